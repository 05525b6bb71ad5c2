//! Requests for ever new URLs leave nothing behind in the controller's memory: whatever is counted or kept is counted by
//! the template of a route, never by what a client wrote. `UPDRAFT_RANDOM_URLS` says how many.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use futures_util::{StreamExt, stream};
use reqwest::{Client, Method};

/// Requests of one run, unless it is told otherwise.
const REQUESTS: u64 = 40_000;
/// Requests under way at the same time.
const AT_ONCE: usize = 16;
/// How much the memory of the process may have grown between the first half and the second: what an allocator keeps,
/// and a quarter of what the URLs of one half take.
const MAX_GROWTH_KIB: u64 = 2048;

/// Ends with the test.
struct Controller {
    child: Child,
    url: String,
    _directory: tempfile::TempDir,
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Controller {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        fs::write(path("password"), "a good password").unwrap();
        let config = format!(
            "listen = '127.0.0.1:0'\ndatabase = '{}'\nimages_dir = '{}'\nkeys_dir = '{}'\nadmin_password_file = '{}'\n",
            path("db.sqlite"),
            path("images"),
            path("keys"),
            path("password"),
        );
        fs::write(path("controller.toml"), config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_updraft-controller"))
            .args(["--config", &path("controller.toml")])
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let url = ready.trim().strip_prefix("ready on ").unwrap().to_owned();
        Self { child, url, _directory: directory }
    }

    /// Memory that is the process's own.
    fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

/// A URL that nobody asked for before, and 400 bytes long: nowhere, or an id in a template.
fn url(number: u64) -> (Method, String) {
    let odd = format!("{number:x}-{}", "x".repeat(400));
    match number % 6 {
        0 => (Method::GET, format!("/{odd}")),
        1 => (Method::GET, format!("/v3/projects/{odd}")),
        2 => (Method::DELETE, format!("/image/v2/images/{odd}")),
        3 => (Method::GET, format!("/compute/v2.1/servers/{odd}?{odd}={odd}")),
        4 => (Method::GET, format!("/network/v2.0/{odd}/{odd}")),
        _ => (Method::POST, format!("/identity/v3/{odd}")),
    }
}

async fn ask(client: &Client, base: &str, numbers: std::ops::Range<u64>) {
    let answers = stream::iter(numbers).map(|number| {
        let (method, path) = url(number);
        let request = client.request(method, format!("{base}{path}"));
        async move {
            let status = request.send().await.unwrap().status().as_u16();
            assert!(matches!(status, 401 | 404 | 405), "{path}: {status}");
        }
    });
    answers.buffer_unordered(AT_ONCE).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_26_random_urls_leave_no_memory_behind() {
    let requests = std::env::var("UPDRAFT_RANDOM_URLS").map_or(REQUESTS, |text| text.parse().unwrap());
    let controller = Controller::start();
    let client = Client::builder().no_proxy().build().unwrap();
    ask(&client, &controller.url, 0..requests / 2).await;
    let before = controller.memory_kib();
    ask(&client, &controller.url, requests / 2..requests).await;
    let after = controller.memory_kib();
    println!("{requests} URLs: {before} KiB after the first half, {after} KiB after the second");
    assert!(after <= before + MAX_GROWTH_KIB, "{before} KiB became {after} KiB");
}
