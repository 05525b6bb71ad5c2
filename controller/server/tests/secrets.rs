//! No secret is where it does not belong: with everything logged that can be, not in the logs, not in the arguments, and
//! in the database as a hash at most.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use updraft_sim::{SimulatedHost, agent};

const ADMIN_PASSWORD: &str = "admin-Password-4711";
const HOST_CREDENTIAL: &str = "host-Credential-4711";
const HOST_KEY: &str = "host-Key-4711";

/// A real controller in a folder of its own, which logs all it can.
struct Controller {
    child: Child,
    directory: tempfile::TempDir,
    url: String,
    http: Client,
    secrets: Vec<Secret>,
}

struct Secret {
    what: &'static str,
    text: String,
    /// Kept in clear for a while, for a reason that stands beside it.
    in_database: bool,
}

impl Controller {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for (name, secret) in
            [("password", ADMIN_PASSWORD), ("credential", HOST_CREDENTIAL), ("key", HOST_KEY)]
        {
            fs::write(path(name), secret).unwrap();
        }
        let config = format!(
            "listen = '127.0.0.1:0'\nnovnc_dir = '/'\ndatabase = '{}'\nimages_dir = '{}'\nkeys_dir = '{}'\n\
             admin_password_file = '{}'\nhost_credential_file = '{}'\nhost_key_file = '{}'\n",
            path("db.sqlite").display(),
            path("images").display(),
            path("token-keys").display(),
            path("password").display(),
            path("credential").display(),
            path("key").display()
        );
        fs::write(path("controller.toml"), config).unwrap();
        let log = fs::File::create(path("controller.log")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_updraft-controller"))
            .arg("--config")
            .arg(path("controller.toml"))
            .env("RUST_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let url = ready.trim().strip_prefix("ready on ").unwrap().to_owned();
        let http = Client::builder().no_proxy().build().unwrap();
        let mut this = Self { child, directory, url, http, secrets: Vec::new() };
        this.note("admin password", ADMIN_PASSWORD);
        this.note("host credential", HOST_CREDENTIAL);
        this.note("host key", HOST_KEY);
        this
    }

    fn note(&mut self, what: &'static str, text: &str) {
        assert!(text.len() >= 8, "{what} '{text}' is too short to be looked for");
        self.secrets.push(Secret { what, text: text.to_owned(), in_database: false });
    }

    async fn call(&self, method: Method, path: &str, token: &str, body: Value) -> Response {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.header("x-auth-token", token).header("openstack-api-version", "compute 2.96");
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    /// A call that must succeed; its JSON.
    async fn done(&self, method: Method, path: &str, token: &str, body: Value) -> Value {
        let answer = self.call(method, path, token, body).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn login(&mut self, user: &str, password: &str, project: &str) -> String {
        let user = json!({"name": user, "domain": {"id": "default"}, "password": password});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": project, "domain": {"id": "default"}}},
        }});
        let answer = self.call(Method::POST, "/v3/auth/tokens", "", body).await;
        assert_eq!(answer.status(), 201);
        let token = answer.headers()["x-subject-token"].to_str().unwrap().to_owned();
        self.note("token", &token);
        token
    }

    /// Looks for every secret in what was logged, in the arguments, and in the database as it lies on the disk.
    fn search(&self) {
        let proc = |name: &str| fs::read(format!("/proc/{}/{name}", self.child.id())).unwrap();
        let log = fs::read(self.file("controller.log")).unwrap();
        assert!(log.windows(5).any(|part| part == b"TRACE"), "everything is logged");
        let mut places = vec![("the log", log), ("argv", proc("cmdline")), ("environment", proc("environ"))];
        for name in ["db.sqlite", "db.sqlite-wal"] {
            places.push(("the database", fs::read(self.file(name)).unwrap_or_default()));
        }
        let mut found = Vec::new();
        for secret in &self.secrets {
            for (place, bytes) in &places {
                let needle = secret.text.as_bytes();
                if !(secret.in_database && *place == "the database")
                    && bytes.windows(needle.len()).any(|part| part == needle)
                {
                    found.push(format!("{} is in {place}", secret.what));
                }
            }
        }
        assert!(found.is_empty(), "{found:#?}");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_where_it_does_not_belong() {
    let mut cloud = Controller::start().await;
    let admin = cloud.login("admin", ADMIN_PASSWORD, "admin").await;
    identity(&mut cloud, &admin).await;
    hosts(&mut cloud, &admin).await;
    compute(&mut cloud, &admin).await;
    for key in fs::read_dir(cloud.file("token-keys")).unwrap() {
        let path = key.unwrap().path();
        // Beside the keys lies the lock of whoever changes them; it is empty.
        if path.file_name().is_some_and(|name| name == ".lock") {
            continue;
        }
        let key = fs::read_to_string(path).unwrap();
        cloud.note("token key", key.trim());
    }
    // What is written after the answer is written by now.
    cloud.done(Method::GET, "/host/v1/audit", &admin, Value::Null).await;
    cloud.search();
}

async fn identity(cloud: &mut Controller, admin: &str) {
    for (what, password) in
        [("wrong password", "wrong-Password-1"), ("password as name", "misplaced-Password-1")]
    {
        cloud.note(what, password);
        let user = json!({"name": if what == "wrong password" { "admin" } else { password },
            "domain": {"id": "default"}, "password": password});
        let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}});
        assert_eq!(cloud.call(Method::POST, "/v3/auth/tokens", "", body).await.status(), 401);
    }
    cloud.note("malformed password", "malformed-Password-1");
    let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": "malformed-Password-1"}}}});
    assert_eq!(cloud.call(Method::POST, "/v3/auth/tokens", "", body).await.status(), 400);
    let password = "alice-Password-1";
    cloud.note("user password", password);
    let user = json!({"user": {"name": "alice", "password": password}});
    let user = cloud.done(Method::POST, "/v3/users", admin, user).await;
    let id = user["user"]["id"].as_str().unwrap().to_owned();
    cloud.note("changed password", "alice-Password-2");
    let change = json!({"user": {"original_password": password, "password": "alice-Password-2"}});
    let alice = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": id, "password": password}}}}});
    let token = cloud.call(Method::POST, "/v3/auth/tokens", "", alice).await;
    let token = token.headers()["x-subject-token"].to_str().unwrap().to_owned();
    cloud.note("unscoped token", &token);
    cloud.done(Method::POST, &format!("/v3/users/{id}/password"), &token, change).await;
    // A token that is shown, and one that is revoked, pass through headers.
    let other = cloud.login("admin", ADMIN_PASSWORD, "admin").await;
    let url = format!("{}/v3/auth/tokens", cloud.url);
    for method in [Method::GET, Method::DELETE] {
        let request = cloud.http.request(method, &url).header("x-auth-token", admin);
        assert!(request.header("x-subject-token", &other).send().await.unwrap().status().is_success());
    }
}

async fn hosts(cloud: &mut Controller, admin: &str) {
    let added = cloud.done(Method::POST, "/host/v1/hosts", admin, json!({"name": "node-2"})).await;
    let secret = added["enrolment_secret"].as_str().unwrap().to_owned();
    cloud.note("enrolment secret", &secret);
    for (path, bearer) in [("/host/v1/enrolment", secret), ("/host/v1/credential", String::new())] {
        let bearer = if bearer.is_empty() { cloud.secrets.last().unwrap().text.clone() } else { bearer };
        let request = cloud.http.post(format!("{}{path}", cloud.url)).bearer_auth(bearer);
        let given: Value = request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
        cloud.note("what the controller shows", given["controller_credential"].as_str().unwrap());
        cloud.note("enrolled credential", given["credential"].as_str().unwrap());
    }
}

async fn compute(cloud: &mut Controller, admin: &str) {
    let host = Arc::new(Mutex::new(SimulatedHost::new("node-1")));
    let running = tokio::spawn(agent::run(host, cloud.url.clone(), HOST_CREDENTIAL.to_owned()));
    // Up to 2.91 a key pair is made here, and its private half is answered once.
    let request =
        cloud.http.post(format!("{}/compute/v2.1/os-keypairs", cloud.url)).header("x-auth-token", admin);
    let made = request.json(&json!({"keypair": {"name": "k"}})).send().await.unwrap();
    let made: Value = made.error_for_status().unwrap().json().await.unwrap();
    let private_key = made["keypair"]["private_key"].as_str().unwrap();
    cloud.note("private key", private_key.lines().nth(2).unwrap());
    let server = server(cloud, admin).await;
    for (kind, protocol) in [("novnc", "vnc"), ("serial", "serial")] {
        let body = json!({"remote_console": {"protocol": protocol, "type": kind}});
        let path = format!("/compute/v2.1/servers/{server}/remote-consoles");
        let console = cloud.done(Method::POST, &path, admin, body).await;
        let url = console["remote_console"]["url"].as_str().unwrap().to_owned();
        let ticket = url.split("token").nth(1).unwrap().trim_start_matches("%3D").trim_start_matches('=');
        let ticket: String = ticket.chars().take_while(char::is_ascii_hexdigit).collect();
        cloud.note("console ticket", &ticket);
        if protocol == "serial" {
            // It is used: as the URL of a request it passes every layer that logs.
            let url = url.replacen("ws", "http", 1);
            let open = cloud.http.get(url).header("connection", "upgrade").header("upgrade", "websocket");
            let open = open
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
            assert_eq!(open.send().await.unwrap().status(), 101);
        }
    }
    let log = json!({"os-getConsoleOutput": {}});
    cloud.done(Method::POST, &format!("/compute/v2.1/servers/{server}/action"), admin, log).await;
    cloud.done(Method::GET, "/host/v1/doctor", admin, Value::Null).await;
    running.abort();
}

/// A server that is switched on.
async fn server(cloud: &mut Controller, admin: &str) -> String {
    let flavor = json!({"flavor": {"name": "small", "ram": 64, "vcpus": 1, "disk": 1, "id": "1"}});
    cloud.done(Method::POST, "/compute/v2.1/flavors", admin, flavor).await;
    let image = json!({"name": "i", "disk_format": "raw", "container_format": "bare"});
    let image = cloud.done(Method::POST, "/image/v2/images", admin, image).await;
    let upload = format!("{}/image/v2/images/{}/file", cloud.url, image["id"].as_str().unwrap());
    let upload = cloud.http.put(upload).header("x-auth-token", admin);
    let upload = upload.header("content-type", "application/octet-stream").body(vec![7; 1 << 20]);
    assert_eq!(upload.send().await.unwrap().status(), 204);
    let network = json!({"network": {"name": "private"}});
    let network = cloud.done(Method::POST, "/network/v2.0/networks", admin, network).await;
    let network_id = &network["network"]["id"];
    let subnet = json!({"subnet": {"network_id": network_id, "cidr": "10.0.0.0/24", "ip_version": 4}});
    cloud.done(Method::POST, "/network/v2.0/subnets", admin, subnet).await;
    let body = json!({"server": {"name": "one", "imageRef": image["id"], "flavorRef": "1",
        "networks": [{"uuid": network_id}], "adminPass": "guest-Password-1"}});
    let server = cloud.done(Method::POST, "/compute/v2.1/servers", admin, body).await;
    // The plan needs it until the guest was started the first time; a host cannot use a hash.
    let text = "guest-Password-1".to_owned();
    cloud.secrets.push(Secret { what: "guest password", text, in_database: true });
    let id = server["server"]["id"].as_str().unwrap().to_owned();
    for _ in 0..3000 {
        let path = format!("/compute/v2.1/servers/{id}");
        let shown = cloud.done(Method::GET, &path, admin, Value::Null).await;
        if shown["server"]["status"] == "ACTIVE" {
            return id;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the server does not become ACTIVE; see {}", Path::new("controller.log").display());
}
