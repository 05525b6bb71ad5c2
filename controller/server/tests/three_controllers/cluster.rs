//! Three controllers behind a client that asks one after the other, and what it does when they die over it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use updraft_peers::{MariaDb, RabbitMq, TestDatabase};

pub const CONTROLLERS: usize = 3;
/// What each image holds: long enough that a kill finds it on its way.
pub const DATA_BYTES: usize = 128 << 10;
/// Generous: the machine may be busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(180);
const PASSWORD: &str = "correct horse";
/// How long an upload that a kill cut off may still look as if it went on: the lease of its file and that of the sweep.
const CLEARED_UP: Duration = Duration::from_secs(8);
const IMAGE_LEASE_S: u32 = 2;

/// What is made and deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Project,
    User,
    Network,
    Image,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Project, Self::User, Self::Network, Self::Image];

    pub fn path(self) -> &'static str {
        match self {
            Self::Project => "/identity/v3/projects",
            Self::User => "/identity/v3/users",
            Self::Network => "/network/v2.0/networks",
            Self::Image => "/image/v2/images",
        }
    }

    /// The key around one item; images have none.
    pub fn key(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::User => "user",
            Self::Network => "network",
            Self::Image => "",
        }
    }

    pub fn collection(self) -> &'static str {
        self.path().rsplit('/').next().unwrap()
    }

    pub fn body(self, name: &str) -> Value {
        match self {
            Self::Image => json!({"name": name, "disk_format": "raw", "container_format": "bare"}),
            Self::Project | Self::User | Self::Network => {
                let key = self.key();
                json!({key: {"name": name}})
            }
        }
    }

    pub fn id(self, body: &Value) -> String {
        let item = if self == Self::Image { body } else { &body[self.key()] };
        item["id"].as_str().unwrap_or_else(|| panic!("no id in {body}")).to_owned()
    }

    /// What its making and its end are told as.
    pub fn events(self) -> (&'static str, &'static str) {
        match self {
            Self::Project => ("identity.project.created", "identity.project.deleted"),
            Self::User => ("identity.user.created", "identity.user.deleted"),
            Self::Network => ("network.create.end", "network.delete.end"),
            Self::Image => ("image.create", "image.delete"),
        }
    }
}

pub struct Cluster {
    // In this order they go: controllers, broker, database, folder.
    pub controllers: Vec<Controller>,
    pub broker: RabbitMq,
    _database: TestDatabase,
    pub directory: TempDir,
    client: Client,
    token: Mutex<String>,
    turn: AtomicUsize,
    pub acknowledged: AtomicUsize,
    pub unknown: AtomicUsize,
}

pub struct Controller {
    port: u16,
    config: PathBuf,
    log: PathBuf,
    process: Mutex<Option<Child>>,
}

impl Controller {
    pub fn start(&self) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_updraft-controller"))
            .arg("--config")
            .arg(&self.config)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let log = || fs::read_to_string(&self.log).unwrap_or_default();
        assert!(line.starts_with("ready on"), "a controller did not start: {line}\n{}", log());
        *self.process.lock().unwrap() = Some(child);
    }

    pub fn kill(&self) {
        if let Some(mut child) = self.process.lock().unwrap().take() {
            let _killed = child.kill();
            let _ended = child.wait();
        }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Cluster {
    pub fn prepare() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = MariaDb::shared_database();
        let broker = RabbitMq::start();
        fs::write(directory.path().join("password"), PASSWORD).unwrap();
        fs::write(directory.path().join("broker-password"), "guest").unwrap();
        let controllers = (0..CONTROLLERS).map(|number| {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let at = directory.path().display();
            let text = format!(
                "listen = '127.0.0.1:{port}'\ndatabase = '{}'\nimages_dir = '{at}/images'\nkeys_dir = '{at}/keys'\n\
                 admin_password_file = '{at}/password'\nimage_lease_s = {IMAGE_LEASE_S}\n\
                 [bus]\nurl = 'amqp://guest@127.0.0.1:{}/%2f'\npassword_file = '{at}/broker-password'\n",
                database.url,
                broker.port(),
            );
            let config = directory.path().join(format!("controller-{number}.toml"));
            fs::write(&config, text).unwrap();
            let log = directory.path().join(format!("controller-{number}.log"));
            Controller { port, config, log, process: Mutex::default() }
        });
        Self {
            controllers: controllers.collect(),
            broker,
            _database: database,
            directory,
            client: Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap(),
            token: Mutex::default(),
            turn: AtomicUsize::new(0),
            acknowledged: AtomicUsize::new(0),
            unknown: AtomicUsize::new(0),
        }
    }

    pub async fn log_in(&self) {
        let user = json!({"name": "admin", "domain": {"id": "default"}, "password": PASSWORD});
        let scope = json!({"project": {"name": "admin", "domain": {"id": "default"}}});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let body = json!({"auth": {"identity": identity, "scope": scope}});
        let url = format!("http://127.0.0.1:{}/identity/v3/auth/tokens", self.controllers[0].port);
        let response = self.client.post(url).json(&body).send().await.unwrap();
        *self.token.lock().unwrap() = response.headers()["x-subject-token"].to_str().unwrap().to_owned();
        let token: Value = response.json().await.unwrap();
        let path = format!("/network/v2.0/quotas/{}", token["token"]["project"]["id"].as_str().unwrap());
        let unlimited = Request::new(Method::PUT, &path).json(json!({"quota": {"network": -1}}));
        assert_eq!(self.attempt(unlimited).await.unwrap().0, StatusCode::OK);
    }

    /// The balancer: each request goes to the next controller, whether it lives or not. `None` when it died over it.
    async fn attempt(&self, request: Request<'_>) -> Option<(StatusCode, Value)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CONTROLLERS;
        let url = format!("http://127.0.0.1:{}{}", self.controllers[turn].port, request.path);
        let token = self.token.lock().unwrap().clone();
        let mut sent = self.client.request(request.method, url).header("x-auth-token", token);
        if let Some(key) = request.key {
            sent = sent.header("idempotency-key", key);
        }
        sent = match request.body {
            Body::None => sent,
            Body::Json(body) => sent.json(&body),
            Body::Data => sent.header("content-type", "application/octet-stream").body(vec![7; DATA_BYTES]),
        };
        let response = sent.send().await.ok()?;
        let status = response.status();
        let bytes = response.bytes().await.ok()?;
        // Faults of images are pages of HTML.
        let text = || String::from_utf8_lossy(&bytes).into_owned().into();
        Some((status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text())))
    }

    /// Asks until somebody answers for sure.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let began = Instant::now();
        loop {
            match self.attempt(Request::new(Method::GET, path)).await {
                Some((status, body)) if status.as_u16() < 500 => return (status, body),
                other => assert!(began.elapsed() < PATIENCE, "{path}: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn named(&self, kind: Kind, name: &str) -> Vec<String> {
        let (status, body) = self.get(&format!("{}?name={name}", kind.path())).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let items = body[kind.collection()].as_array().unwrap();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Makes something, sending the request again with the same key until it is known that it was carried out.
    pub async fn create(&self, kind: Kind, name: &str) -> String {
        let began = Instant::now();
        loop {
            let request = Request::new(Method::POST, kind.path()).json(kind.body(name)).key(name);
            match self.attempt(request).await {
                Some((StatusCode::CREATED, body)) => {
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    return kind.id(&body);
                }
                Some((StatusCode::CONFLICT, body)) => {
                    let text = body.to_string();
                    assert!(text.contains("Idempotency-Key"), "{kind:?} {name}: {text}");
                    if text.contains("was carried out") {
                        let found = self.named(kind, name).await;
                        assert_eq!(found.len(), 1, "{kind:?} {name} was carried out");
                        return found.into_iter().next().unwrap();
                    }
                }
                Some((status, body)) => {
                    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{kind:?} {name}: {body}");
                }
                None => drop(self.unknown.fetch_add(1, Ordering::Relaxed)),
            }
            assert!(began.elapsed() < PATIENCE, "{kind:?} {name} was not made");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Deletes something until it is known to be gone. Gone before the first answer that is sure is gone by us.
    pub async fn delete(&self, kind: Kind, id: &str) {
        let began = Instant::now();
        let mut is_unsure = false;
        loop {
            let path = format!("{}/{id}", kind.path());
            match self.attempt(Request::new(Method::DELETE, &path)).await {
                Some((StatusCode::NO_CONTENT, _)) => break,
                Some((StatusCode::NOT_FOUND, _)) if is_unsure => break,
                Some((StatusCode::SERVICE_UNAVAILABLE, _)) => {}
                Some((status, body)) => panic!("{kind:?} {id}: {status} {body}"),
                None => {
                    is_unsure = true;
                    self.unknown.fetch_add(1, Ordering::Relaxed);
                }
            }
            assert!(began.elapsed() < PATIENCE, "{kind:?} {id} was not deleted");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    async fn image_status(&self, id: &str) -> String {
        let (status, image) = self.get(&format!("{}/{id}", Kind::Image.path())).await;
        assert_eq!(status, StatusCode::OK, "{id}: {image}");
        image["status"].as_str().unwrap().to_owned()
    }

    /// Gives the image its data, by an upload or by an import, whatever dies; then it is active.
    pub async fn fill(&self, id: &str, by_import: bool) {
        let began = Instant::now();
        let mut unsure_since = None;
        loop {
            assert!(began.elapsed() < PATIENCE, "{id} is {}", self.image_status(id).await);
            let path = |verb: &str| format!("{}/{id}/{verb}", Kind::Image.path());
            let status = self.image_status(id).await;
            let is_settled =
                unsure_since.is_none_or(|since: Instant| status == "queued" || since.elapsed() > CLEARED_UP);
            let verb = match status.as_str() {
                "active" => break,
                "queued" if by_import => "stage",
                "queued" => "file",
                // Staged for sure, or still on its way, or left behind and soon queued again.
                "uploading" if is_settled => "import",
                _ => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let path = path(verb);
            let request = match verb {
                "import" => {
                    Request::new(Method::POST, &path).json(json!({"method": {"name": "glance-direct"}}))
                }
                _ => Request { body: Body::Data, ..Request::new(Method::PUT, &path) },
            };
            match self.attempt(request).await {
                Some((status, _)) if status.is_success() => unsure_since = None,
                // Somebody has it who died, or we were too early or too late: look again.
                _ => unsure_since = Some(Instant::now()),
            }
        }
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

/// A request to whichever controller is next.
pub struct Request<'a> {
    method: Method,
    path: &'a str,
    body: Body,
    key: Option<&'a str>,
}

pub enum Body {
    None,
    Json(Value),
    Data,
}

impl<'a> Request<'a> {
    fn new(method: Method, path: &'a str) -> Self {
        Self { method, path, body: Body::None, key: None }
    }

    fn json(self, body: Value) -> Self {
        Self { body: Body::Json(body), ..self }
    }

    pub fn key(self, key: &'a str) -> Self {
        Self { key: Some(key), ..self }
    }
}
