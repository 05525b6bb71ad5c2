//! The processes of a small cloud: controller, database, a simulated host, a web server to download from.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use updraft_peers::{MariaDb, Proxy, TestDatabase};
use updraft_sim::{SimulatedHost, agent};

pub const PASSWORD: &str = "correct horse";
/// What each image has: long enough that a kill finds it on its way.
pub const DATA: [u8; 256 << 10] = [7; 256 << 10];
const HOST_CREDENTIAL: &str = "the simulated host's own secret";
/// How much of a log is shown.
const LOG_TAIL_BYTES: usize = 6000;

/// What the cloud keeps its truth in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    MariaDb,
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    Controller,
    MariaDb,
}

/// The processes, in reach of whoever kills them.
pub struct Processes {
    folder: PathBuf,
    controller: Mutex<Option<Child>>,
    database: Option<Arc<MariaDb>>,
}

pub struct Cloud {
    pub processes: Arc<Processes>,
    pub url: String,
    /// Between the controller and a database server.
    pub proxy: Option<Proxy>,
    pub web: Web,
    pub host: agent::Shared,
    running: tokio::task::JoinHandle<()>,
    folder: TempDir,
    _database: Option<TestDatabase>,
}

impl Processes {
    pub fn victims(&self) -> Vec<Victim> {
        let mut victims = vec![Victim::Controller];
        victims.extend(self.database.iter().map(|_| Victim::MariaDb));
        victims
    }

    pub fn database(&self) -> Option<&MariaDb> {
        self.database.as_deref()
    }

    /// `kill -9`.
    pub fn kill(&self, victim: Victim) {
        match (victim, &self.database) {
            (Victim::MariaDb, Some(database)) => database.kill(),
            _ => {
                if let Some(mut controller) = self.controller.lock().unwrap().take() {
                    controller.kill().unwrap();
                    controller.wait().unwrap();
                }
            }
        }
    }

    /// Starts the victim again; returns when it answers.
    pub fn start(&self, victim: Victim) {
        match (victim, &self.database) {
            (Victim::MariaDb, Some(database)) => database.restart(),
            _ => self.start_controller(),
        }
    }

    fn start_controller(&self) {
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut controller = Command::new(env!("CARGO_BIN_EXE_updraft-controller"))
            .arg("--config")
            .arg(self.folder.join("controller.toml"))
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(controller.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready on"), "the controller did not start:\n{}", self.log_tail());
        *self.controller.lock().unwrap() = Some(controller);
    }

    /// The end of what the controllers logged.
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.running.abort();
        self.processes.kill(Victim::Controller);
    }
}

impl Cloud {
    /// Everything runs when this returns.
    pub async fn start(kind: Database) -> Self {
        let folder = updraft_peers::quick_folder("kills");
        let (server, database, proxy, url) = match kind {
            Database::Sqlite => {
                (None, None, None, folder.path().join("db/updraft.sqlite").display().to_string())
            }
            Database::MariaDb => {
                let server = Arc::new(MariaDb::start());
                let (database, proxy) = (server.database(), Proxy::start(server.port()));
                let url = database.url_through(&proxy);
                (Some(server), Some(database), Some(proxy), url)
            }
        };
        let web = Web::start().await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        configure(folder.path(), port, &url, web.port);
        let processes =
            Processes { folder: folder.path().to_owned(), controller: Mutex::new(None), database: server };
        processes.start(Victim::Controller);
        let url = format!("http://127.0.0.1:{port}");
        let host = Arc::new(Mutex::new(SimulatedHost::new("node-1")));
        let agent = agent::run(Arc::clone(&host), url.clone(), HOST_CREDENTIAL.to_owned());
        let running = tokio::spawn(async move { agent.await.unwrap() });
        Self { processes: Arc::new(processes), url, proxy, web, host, running, folder, _database: database }
    }

    pub fn images(&self) -> PathBuf {
        self.folder.path().join("images")
    }

    /// Where files come and go with the work: images, and SQLite's log.
    pub fn folders(&self) -> Vec<PathBuf> {
        let folders = [self.images(), self.folder.path().join("db")];
        folders.into_iter().filter(|folder| folder.exists()).collect()
    }

    /// The files of one image.
    pub fn files_of(&self, image_id: &str) -> Vec<String> {
        let entries = fs::read_dir(self.images()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(image_id)).collect()
    }
}

fn configure(folder: &Path, port: u16, database: &str, web_port: u16) {
    fs::write(folder.join("password"), PASSWORD).unwrap();
    fs::write(folder.join("credential"), HOST_CREDENTIAL).unwrap();
    let at = folder.display();
    let config = format!(
        "listen = '127.0.0.1:{port}'\ndatabase = '{database}'\nimages_dir = '{at}/images'\nkeys_dir = '{at}/keys'\n\
         admin_password_file = '{at}/password'\nhost_credential_file = '{at}/credential'\nimage_lease_s = 1\n\
         [web_download]\nallowed_networks = ['127.0.0.0/8']\nports = [{web_port}]\n"
    );
    fs::write(folder.join("controller.toml"), config).unwrap();
}

/// A web server that gives everybody the data, in pieces with pauses.
pub struct Web {
    pub port: u16,
    /// Pieces that were sent.
    pub pieces: Arc<AtomicUsize>,
}

/// How many pieces the data is sent in.
pub const PIECES: usize = 16;
const PAUSE: Duration = Duration::from_millis(4);

impl Web {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let pieces = Arc::new(AtomicUsize::new(0));
        let sent = Arc::clone(&pieces);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(give(stream, Arc::clone(&sent)));
            }
        });
        Self { port, pieces }
    }
}

async fn give(mut stream: tokio::net::TcpStream, sent: Arc<AtomicUsize>) {
    let _asked = stream.read(&mut [0; 4096]).await;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", DATA.len());
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    for piece in DATA.chunks(DATA.len() / PIECES) {
        if stream.write_all(piece).await.is_err() {
            return;
        }
        sent.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
}
