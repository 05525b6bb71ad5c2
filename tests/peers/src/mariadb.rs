use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock};

use nix::sys::signal::Signal;

use crate::proxy::Proxy;
use crate::scratch::Scratch;
use crate::server::{Server, free_ports, loopback};

/// A MariaDB server of one's own. Its user is `updraft`, may do everything and has no password.
#[derive(Debug)]
pub struct MariaDb {
    // Before the folder: the server ends before its files go.
    server: Mutex<Server>,
    scratch: Scratch,
    port: u16,
}

/// A database of its own on a server that may be shared; dropped with the value.
#[derive(Debug)]
pub struct TestDatabase {
    pub url: String,
    name: String,
    server: Arc<MariaDb>,
    /// Its tables are what later ones begin with.
    is_whole: bool,
}

/// The server that the tests of one process share: each takes a [`TestDatabase`] of it.
static SHARED: LazyLock<Arc<MariaDb>> = LazyLock::new(|| Arc::new(MariaDb::start()));

/// The statements that make the tables of a store, with their history: one call instead of several for each of them.
static TEMPLATE: OnceLock<String> = OnceLock::new();

const USER: &str =
    "CREATE USER IF NOT EXISTS updraft@'%';\nGRANT ALL ON *.* TO updraft@'%' WITH GRANT OPTION;\n";

/// Small, and quick rather than safe from a power cut: a killed server still loses nothing, as the kernel has the log.
const OPTIONS: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--max-connections=600",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-doublewrite=0",
    "--innodb-stats-persistent=0",
    "--performance-schema=OFF",
    // Not what we want in the tables: whatever a server's defaults are, ours hold.
    "--character-set-server=latin1",
    "--collation-server=latin1_swedish_ci",
    "--sql-mode=",
];

impl MariaDb {
    /// Starts a server and waits until it answers.
    pub fn start() -> Self {
        let scratch = Scratch::new("mariadb");
        install(&scratch);
        let [port] = free_ports();
        let server = Server::new("mariadbd", scratch.join("server.log"), scratch.join("mariadbd.pid"));
        let started = Self { server: Mutex::new(server), scratch, port };
        started.launch();
        started
    }

    /// A new, empty database.
    pub fn database(self: &Arc<Self>) -> TestDatabase {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("updraft_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name}"));
        TestDatabase { url: self.url(&name), name, server: Arc::clone(self), is_whole: false }
    }

    /// A new, empty database on the server that this process shares.
    pub fn shared_database() -> TestDatabase {
        SHARED.database()
    }

    /// A new database for a whole store.
    pub(crate) fn prepared_database() -> TestDatabase {
        let mut database = Self::shared_database();
        if let Some(template) = TEMPLATE.get() {
            SHARED.execute(&format!("USE {}; {template}", database.name));
        }
        database.is_whole = true;
        database
    }

    pub fn url(&self, database: &str) -> String {
        format!("mysql://updraft@127.0.0.1:{}/{database}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Runs SQL through the `mariadb` client; what it prints.
    pub fn execute(&self, sql: &str) -> String {
        let mut client = Command::new("mariadb")
            .args(["--no-defaults", "--batch", "--raw", "--skip-column-names", "--user=updraft"])
            .arg(format!("--socket={}", self.scratch.join("socket").display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tests/setup.sh installs the mariadb client");
        // Of what is sent and what comes back, one is short, so neither waits for the other. A client that ended early
        // says why.
        let _sent = client.stdin.take().unwrap().write_all(sql.as_bytes());
        let output = client.wait_with_output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.server().end(Signal::SIGKILL);
    }

    /// An orderly end.
    pub fn stop(&self) {
        self.server().end(Signal::SIGTERM);
    }

    /// Starts it again, after [`Self::kill`] or [`Self::stop`], at the same address; waits until it answers.
    pub fn restart(&self) {
        self.launch();
    }

    /// Stands still, with its connections open, until [`Self::go_on`].
    pub fn freeze(&self) {
        self.server().signal(Signal::SIGSTOP);
    }

    pub fn go_on(&self) {
        self.server().signal(Signal::SIGCONT);
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    fn launch(&self) {
        let user_file = self.scratch.join("user.sql");
        fs::write(&user_file, USER).unwrap();
        let mut command = Command::new("mariadbd");
        command.arg("--no-defaults").args(OPTIONS).args(as_root());
        for (option, file) in
            [("datadir", "data"), ("socket", "socket"), ("tmpdir", ""), ("init-file", "user.sql")]
        {
            command.arg(format!("--{option}={}", self.scratch.join(file).display()));
        }
        command.arg(format!("--port={}", self.port));
        let mut server = self.server();
        server.spawn(command);
        server.wait_until_it_greets(loopback(self.port), &[]);
    }
}

/// Makes the system tables.
fn install(scratch: &Scratch) {
    let output = Command::new("mariadb-install-db")
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
        .args(as_root())
        .arg(format!("--datadir={}", scratch.join("data").display()))
        // Two servers at once would remove each other's temporary tables.
        .env("TMPDIR", scratch.path())
        .output()
        .expect("tests/setup.sh installs mariadb-server-core");
    let log = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&log));
}

/// The server refuses to run as root unless told so.
fn as_root() -> Option<&'static str> {
    nix::unistd::geteuid().is_root().then_some("--user=root")
}

impl TestDatabase {
    pub fn server(&self) -> &MariaDb {
        &self.server
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same database, reached through a proxy of the server.
    pub fn url_through(&self, proxy: &Proxy) -> String {
        self.url.replace(&format!(":{}/", self.server.port), &format!(":{}/", proxy.port()))
    }
}

impl TestDatabase {
    /// What makes its tables and their history again.
    fn template(&self) -> String {
        let tables = self.server.execute(&format!("SHOW TABLES IN {}", self.name));
        let shown: String =
            tables.lines().map(|table| format!("SHOW CREATE TABLE {}.{table}; ", self.name)).collect();
        // Each is the name, a tab, and the statement; references may come before what they refer to.
        let mut template = String::from("SET foreign_key_checks = 0");
        for line in self.server.execute(&shown).lines() {
            match line.split_once('\t') {
                Some((_, statement)) if statement.starts_with("CREATE TABLE ") => {
                    template.push_str(";\n");
                    template.push_str(statement);
                }
                _ => template.push_str(line),
            }
        }
        let history = self.server.execute(&format!(
            "SELECT CONCAT(';\nINSERT INTO schema_history VALUES (', number, ', ', QUOTE(name), ', ', statements, ')') \
             FROM {}.schema_history",
            self.name
        ));
        template + &history
    }
}

impl TestDatabase {
    /// A transaction that a test left open holds its tables, and may be one that only goes on when this thread does.
    fn end_connections(&self) {
        let name = &self.name;
        let ids = format!("SELECT id FROM information_schema.processlist WHERE db = '{name}'");
        for id in self.server.execute(&ids).split_whitespace() {
            // It may have ended meanwhile.
            self.server.execute(&format!(
                "DELIMITER //\nBEGIN NOT ATOMIC DECLARE CONTINUE HANDLER FOR 1094 BEGIN END; KILL {id}; END//"
            ));
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A failed test is reported as it failed, whatever became of the server.
        if !std::thread::panicking() {
            if self.is_whole {
                TEMPLATE.get_or_init(|| self.template());
            }
            self.end_connections();
            self.server.execute(&format!("SET lock_wait_timeout = 60; DROP DATABASE {}", self.name));
        }
    }
}
