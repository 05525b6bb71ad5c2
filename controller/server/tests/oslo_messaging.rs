//! OpenStack's consumers listen with oslo.messaging: here its listener understands what the controller sends.
//! `tests/setup.sh client` installs it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use updraft_peers::RabbitMq;

const PASSWORD: &str = "correct horse";
/// More lines than the listener prints before the one that is waited for.
const MAX_LINES: usize = 200;

/// A process and the lines that it prints; killed when it goes.
struct Running {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("tests/setup.sh client installs it");
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it ended").unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

fn python() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
    cache.join("updraft/venv/bin/python")
}

fn controller(directory: &Path, broker: &RabbitMq) -> Running {
    let at = directory.display();
    let settings = format!(
        "listen = '127.0.0.1:0'\ndatabase = '{at}/db'\nimages_dir = '{at}/images'\nkeys_dir = '{at}/keys'\n\
         admin_password_file = '{at}/password'\n\
         [bus]\nurl = 'amqp://guest@127.0.0.1:{}/%2f'\npassword_file = '{at}/broker-password'\n",
        broker.port()
    );
    std::fs::write(directory.join("password"), PASSWORD).unwrap();
    std::fs::write(directory.join("broker-password"), "guest").unwrap();
    std::fs::write(directory.join("controller.toml"), settings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_updraft-controller"));
    Running::start(command.arg("--config").arg(directory.join("controller.toml")))
}

async fn make_project(endpoint: &str, name: &str) -> (String, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let user = json!({"name": "admin", "domain": {"id": "default"}, "password": PASSWORD});
    let scope = json!({"project": {"name": "admin", "domain": {"id": "default"}}});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    let login = json!({"auth": {"identity": identity, "scope": scope}});
    let answer = client.post(format!("{endpoint}/v3/auth/tokens")).json(&login).send().await.unwrap();
    let token = answer.headers()["x-subject-token"].clone();
    let made = client.post(format!("{endpoint}/v3/projects")).header("x-auth-token", token);
    let made = made.json(&json!({"project": {"name": name}})).send().await.unwrap();
    let request_id = made.headers()["x-openstack-request-id"].to_str().unwrap().to_owned();
    let made: Value = made.json().await.unwrap();
    (made["project"]["id"].as_str().unwrap().to_owned(), request_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn oslo_messagings_listener_understands_what_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let broker = RabbitMq::start();
    let url = broker.url().replace("amqp://", "rabbit://").replace("%2f", "");
    let mut controller = controller(directory.path(), &broker);
    let ready = controller.line();
    let endpoint = ready.strip_prefix("ready on ").expect(&ready);
    let mut listener = Running::start(Command::new(python()).arg("tests/oslo_listener.py").arg(url));
    let (id, request_id) = make_project(endpoint, "told").await;
    let told =
        (0..MAX_LINES).map(|_| serde_json::from_str::<Value>(&listener.line()).unwrap()).find(|told| {
            told["event_type"] == "identity.project.created"
                && told["payload"]["resource_info"] == id.as_str()
        });
    let told = told.expect("the project was told of");
    assert_eq!((&told["priority"], &told["request_id"]), (&json!("info"), &json!(request_id)));
    assert_eq!(told["payload"]["action"], "created.project");
    assert_eq!(told["payload"]["outcome"], "success");
    assert_eq!(told["payload"]["target"], json!({"id": id, "typeURI": "data/security/project"}));
    assert!(told["publisher_id"].as_str().unwrap().starts_with("identity."), "{told}");
}
