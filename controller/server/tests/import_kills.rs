//! `kill -9` of the controller at random moments of image imports: what it promised comes true, once, and nothing is
//! left over. `UPDRAFT_KILL_TRIALS` sets the count (`make soak`: 1,000), `UPDRAFT_SEED` the course of events.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PASSWORD: &str = "correct horse";
/// What each import brings: long enough that a kill finds it on its way.
const DATA_BYTES: usize = 256 << 10;
/// Generous: the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// xorshift64*: a course of events that a seed repeats.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }
}

struct Cloud {
    directory: PathBuf,
    port: u16,
    controller: Option<Child>,
    client: Client,
    token: String,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Cloud {
    fn prepare(web: u16) -> Self {
        let directory = std::env::temp_dir().join(format!("updraft-kills-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&directory).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::fs::write(directory.join("password"), PASSWORD).unwrap();
        let at = directory.display();
        let config = format!(
            "listen = '127.0.0.1:{port}'\ndatabase = '{at}/db.sqlite'\nimages_dir = '{at}/images'\n\
             keys_dir = '{at}/keys'\nadmin_password_file = '{at}/password'\nimage_lease_s = 1\n\
             [web_download]\nallowed_networks = ['127.0.0.0/8']\nports = [{web}]\n"
        );
        std::fs::write(directory.join("controller.toml"), config).unwrap();
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        Self { directory, port, controller: None, client, token: String::new() }
    }

    fn start(&mut self) {
        let mut controller = Command::new(env!("CARGO_BIN_EXE_updraft-controller"))
            .arg("--config")
            .arg(self.directory.join("controller.toml"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(controller.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready on"), "the controller did not start: {line}");
        self.controller = Some(controller);
    }

    fn kill(&mut self) {
        if let Some(mut controller) = self.controller.take() {
            let _ = controller.kill();
            let _ = controller.wait();
        }
    }

    async fn log_in(&mut self) {
        let user = json!({"name": "admin", "domain": {"id": "default"}, "password": PASSWORD});
        let scope = json!({"project": {"name": "admin", "domain": {"id": "default"}}});
        let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}});
        let url = format!("http://127.0.0.1:{}/identity/v3/auth/tokens", self.port);
        let response = self.client.post(url).json(&body).send().await.unwrap();
        self.token = response.headers()["x-subject-token"].to_str().unwrap().to_owned();
    }

    /// `None` when the controller died over it.
    async fn call(&self, method: Method, path: &str, body: Value) -> Option<(StatusCode, Value)> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let mut request = self.client.request(method, url).header("x-auth-token", &self.token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.ok()?;
        let status = response.status();
        Some((status, response.json().await.unwrap_or_default()))
    }

    async fn image(&self, id: &str) -> Value {
        self.call(Method::GET, &format!("/image/v2/images/{id}"), Value::Null).await.unwrap().1
    }

    /// Whether the import was promised.
    async fn import(&self, id: &str, method: Value) -> bool {
        let body = json!({"method": method});
        let answer = self.call(Method::POST, &format!("/image/v2/images/{id}/import"), body).await;
        answer.is_some_and(|(status, _)| status == StatusCode::ACCEPTED)
    }

    async fn stage(&self, id: &str) -> bool {
        let url = format!("http://127.0.0.1:{}/image/v2/images/{id}/stage", self.port);
        let request = self.client.put(url).header("x-auth-token", &self.token);
        let request = request.header("content-type", "application/octet-stream").body(vec![7; DATA_BYTES]);
        request.send().await.is_ok_and(|response| response.status() == StatusCode::NO_CONTENT)
    }
}

/// A web server that gives everybody the data, in pieces with pauses.
async fn web() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {DATA_BYTES}\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).await;
                for piece in vec![7_u8; DATA_BYTES].chunks(DATA_BYTES / 16) {
                    if stream.write_all(piece).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(4)).await;
                }
            });
        }
    });
    port
}

/// How long an upload that a kill cut off may still look as if it went on: the lease, and a sweep.
const CLEARED_UP: Duration = Duration::from_secs(10);

/// Waits until the image is in one of the states in which nothing goes on. Data that was staged whole waits for ever,
/// `uploading`, for an import that was not asked for.
async fn settled(cloud: &Cloud, id: &str) -> String {
    let began = Instant::now();
    loop {
        let status = cloud.image(id).await["status"].as_str().unwrap_or_default().to_owned();
        let is_staged = status == "uploading" && began.elapsed() > CLEARED_UP;
        if matches!(status.as_str(), "active" | "queued") || is_staged || began.elapsed() > PATIENCE {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// One import that a kill finds somewhere; whether it was promised, and how it ended.
async fn trial(cloud: &mut Cloud, dice: &mut Dice, web: u16) -> (String, bool) {
    let new = json!({"name": "k", "disk_format": "raw", "container_format": "bare"});
    let (_, made) = cloud.call(Method::POST, "/image/v2/images", new).await.unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    let by_stage = dice.below(2) == 0;
    let pause = Duration::from_millis(dice.below(150));
    let promised = {
        let work = async {
            if by_stage {
                cloud.stage(&id).await && cloud.import(&id, json!({"name": "glance-direct"})).await
            } else {
                let uri = format!("http://127.0.0.1:{web}/image");
                cloud.import(&id, json!({"name": "web-download", "uri": uri})).await
            }
        };
        // The promise may come before the kill or never.
        let mut promised = false;
        tokio::select! {
            answer = async { promised = work.await; std::future::pending::<()>().await } => answer,
            () = tokio::time::sleep(pause) => {}
        }
        promised
    };
    cloud.kill();
    cloud.start();
    (id, promised)
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory.join("images")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_loses_or_doubles_an_import() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let trials = setting("UPDRAFT_KILL_TRIALS").unwrap_or(20);
    let seed = setting("UPDRAFT_SEED").unwrap_or(0x5eed);
    println!("{trials} trials, UPDRAFT_SEED={seed}");
    let (mut dice, web) = (Dice(seed.max(1)), web().await);
    let mut cloud = Cloud::prepare(web);
    cloud.start();
    cloud.log_in().await;
    let (mut promised, mut active) = (0, Vec::new());
    for number in 0..trials {
        let (id, was_promised) = trial(&mut cloud, &mut dice, web).await;
        let status = settled(&cloud, &id).await;
        let is_as_before = !was_promised && matches!(status.as_str(), "queued" | "uploading");
        assert!(status == "active" || is_as_before, "trial {number}: {id} is {status}");
        promised += u64::from(was_promised);
        let tasks =
            cloud.call(Method::GET, &format!("/image/v2/images/{id}/tasks"), Value::Null).await.unwrap().1;
        let tasks = tasks["tasks"].as_array().unwrap().clone();
        assert_eq!(tasks.len(), usize::from(status == "active"), "trial {number}: {tasks:?}");
        if status == "active" {
            let image = cloud.image(&id).await;
            assert_eq!((&image["size"], &tasks[0]["status"]), (&json!(DATA_BYTES), &json!("success")));
            active.push(id);
        } else {
            let path = format!("/image/v2/images/{id}");
            let (deleted, _) = cloud.call(Method::DELETE, &path, Value::Null).await.unwrap();
            assert_eq!(deleted, StatusCode::NO_CONTENT);
        }
    }
    println!("{promised} imports were promised before the kill, {} images are active", active.len());
    let began = Instant::now();
    while files(&cloud.directory).len() != active.len() && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut owners: Vec<String> =
        files(&cloud.directory).into_iter().map(|name| name[..36].to_owned()).collect();
    owners.sort();
    active.sort();
    assert_eq!(owners, active, "one file for each active image, and no other");
    let (status, findings) = cloud.call(Method::GET, "/host/v1/doctor", Value::Null).await.unwrap();
    assert_eq!((status, findings), (StatusCode::OK, json!([])));
}
