//! Servers that speak the identity API, each over a database of its own: our controller, and the distribution's Keystone
//! behind uWSGI with one worker. Both on the backend's core alone; a MariaDB between them may run on either.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use updraft_peers::{MariaDb, TestDatabase};

use crate::backend::{Core, pin};
use crate::http::{self, Client, Request};
use crate::measure::Failure;

pub const PASSWORD: &str = "a-password-of-the-bench";
/// Keystone's default, for both where they are to hash alike.
pub const BCRYPT_COST: u32 = 12;
/// How long ours may take to serve.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct ApiServer {
    pub address: SocketAddr,
    child: Child,
    _scratch: tempfile::TempDir,
    _database: Option<TestDatabase>,
}

/// Whether Keystone keeps what it read.
#[derive(Clone, Copy, Debug)]
pub enum Caching {
    /// As the distribution's package comes: for the length of one request.
    OneRequest,
    /// In its process, for the ten minutes that are Keystone's default.
    InMemory,
}

/// What our controller keeps its state in.
#[derive(Clone, Copy, Debug)]
pub enum Database {
    /// As it comes.
    Sqlite,
    /// The server that Keystone uses as well.
    MariaDb,
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ApiServer {
    /// `updraft-controller`, from beside this program, as it comes but for `settings` (lines of its configuration) and
    /// the limit on logins, which Keystone does not have.
    ///
    /// # Errors
    /// It is not built, or does not start.
    pub fn ours(database: Database, settings: &str) -> Result<Self, Failure> {
        let database = matches!(database, Database::MariaDb).then(MariaDb::shared_database);
        let scratch = tempfile::tempdir()?;
        let folder = scratch.path();
        let address = free_address()?;
        fs::create_dir(folder.join("images"))?;
        for (name, secret) in [("admin-password", PASSWORD), ("host-credential", "a-credential-of-the-bench")]
        {
            write_secret(&folder.join(name), secret)?;
        }
        let place = folder.display();
        let url = match &database {
            Some(database) => database.url.clone(),
            None => format!("{place}/updraft.sqlite"),
        };
        let config = format!(
            "listen = '{address}'\ndatabase = '{url}'\nimages_dir = '{place}/images'\n\
             keys_dir = '{place}/keys'\nadmin_password_file = '{place}/admin-password'\n\
             host_credential_file = '{place}/host-credential'\n{settings}\n\
             [rate_limits]\nlogins_per_address = {}\n",
            u32::MAX
        );
        let path = folder.join("controller.toml");
        fs::write(&path, config)?;
        let program = std::env::current_exe()?.with_file_name("updraft-controller");
        let mut command = Command::new(program);
        command.arg("--config").arg(path).env_remove("RUST_LOG");
        Self::spawn("ours", command, address, (scratch, database))
    }

    /// Keystone (packages python3-keystone, uwsgi-core, uwsgi-plugin-python3) on MariaDB, as SQLite is locked by its own
    /// second writer: Fernet tokens, bcrypt of cost [`BCRYPT_COST`], everything else as it comes.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn keystone(caching: Caching) -> Result<Self, Failure> {
        let database = MariaDb::shared_database();
        let scratch = tempfile::tempdir()?;
        let folder = scratch.path();
        let address = free_address()?;
        let place = folder.display();
        let url = database.url.replace("mysql://", "mysql+pymysql://");
        let cache = match caching {
            Caching::OneRequest => "",
            Caching::InMemory => "[cache]\nbackend = dogpile.cache.memory\n",
        };
        let config = format!(
            "[DEFAULT]\nlog_file = {place}/keystone.log\n[database]\nconnection = {url}?charset=utf8\n\
             [fernet_tokens]\nkey_repository = {place}/fernet\n[credential]\nkey_repository = {place}/credential\n\
             [identity]\npassword_hash_algorithm = bcrypt\npassword_hash_rounds = {BCRYPT_COST}\n{cache}"
        );
        let path = folder.join("keystone.conf");
        fs::write(&path, config)?;
        for name in ["fernet", "credential"] {
            fs::create_dir(folder.join(name))?;
        }
        let url = format!("http://{address}/v3");
        let user = ["--keystone-user", "root", "--keystone-group", "root"];
        manage(&path, &["db_sync"])?;
        manage(&path, &[&["fernet_setup"], &user[..]].concat())?;
        manage(&path, &[&["credential_setup"], &user[..]].concat())?;
        let bootstrap = ["--bootstrap-password", PASSWORD, "--bootstrap-public-url", &url];
        manage(&path, &[&["bootstrap", "--bootstrap-region-id", "RegionOne"], &bootstrap[..]].concat())?;
        let mut command = Command::new("uwsgi_python3");
        command.args(["--http-socket", &address.to_string(), "--wsgi-file", "/usr/bin/keystone-wsgi-public"]);
        command.args(["--processes", "1", "--threads", "1", "--die-on-term", "--disable-logging"]);
        command.args(["--add-header", "Connection: close"]).env("OS_KEYSTONE_CONFIG_DIR", folder);
        command.env("OS_KEYSTONE_CONFIG_FILES", "keystone.conf");
        Self::spawn("keystone", command, address, (scratch, Some(database)))
    }

    fn spawn(
        name: &'static str,
        mut command: Command,
        address: SocketAddr,
        (scratch, database): (tempfile::TempDir, Option<TestDatabase>),
    ) -> Result<Self, Failure> {
        pin(Core::Backend)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        pin(Core::Frontend)?;
        let child = child.map_err(|error| Failure::new(format!("cannot start {command:?}: {error}")))?;
        let server = Self { address, child, _scratch: scratch, _database: database };
        http::wait_listening(address)?;
        let start = Instant::now();
        while server.login().is_err() {
            if start.elapsed() > PATIENCE {
                return Err(Failure::new(format!("{name} does not log anybody in")));
            }
        }
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A login by password, scoped to the project `admin`.
    pub fn login_request(&self) -> Request {
        let body = format!(
            r#"{{"auth":{{"identity":{{"methods":["password"],"password":{{"user":{{"name":"admin","domain":{{"id":"default"}},"password":"{PASSWORD}"}}}}}},"scope":{{"project":{{"name":"admin","domain":{{"id":"default"}}}}}}}}}}"#
        );
        Request::new("POST", "/v3/auth/tokens", &[], &body, 201)
    }

    /// The token of a fresh login.
    ///
    /// # Errors
    /// The login fails.
    pub fn login(&self) -> Result<String, Failure> {
        let mut client = Client::new(self.address);
        let token = client.send(&self.login_request())?.header("x-subject-token").map(str::to_owned);
        token.ok_or_else(|| Failure::new("a login without a token"))
    }

    /// Gives it the services and endpoints that `other` has, so that the tokens of both carry the same catalog.
    ///
    /// # Errors
    /// One of them refuses.
    pub fn take_catalog_of(&self, other: &Self) -> Result<(), Failure> {
        let mut theirs = Client::new(other.address);
        let token = other.login()?;
        let asked = Request::new("GET", "/v3/auth/catalog", &[("X-Auth-Token", token.as_str())], "", 200);
        let catalog = json(&theirs.send(&asked)?.body)?;
        let token = self.login()?;
        let mut mine = Client::new(self.address);
        let headers = [("X-Auth-Token", token.as_str())];
        let services = json(&mine.send(&Request::new("GET", "/v3/services", &headers, "", 200))?.body)?;
        for service in services["services"].as_array().into_iter().flatten() {
            let path = format!("/v3/services/{}", service["id"].as_str().unwrap_or_default());
            mine.send(&Request::new("DELETE", &path, &headers, "", 204))?;
        }
        for service in catalog["catalog"].as_array().into_iter().flatten() {
            let body = json!({"service": {"type": service["type"], "name": service["name"]}}).to_string();
            let made = json(&mine.send(&Request::new("POST", "/v3/services", &headers, &body, 201))?.body)?;
            for endpoint in service["endpoints"].as_array().into_iter().flatten() {
                let body = json!({"endpoint": {
                    "service_id": made["service"]["id"],
                    "interface": endpoint["interface"],
                    "region_id": endpoint["region_id"],
                    "url": endpoint["url"],
                }});
                mine.send(&Request::new("POST", "/v3/endpoints", &headers, &body.to_string(), 201))?;
            }
        }
        Ok(())
    }
}

fn json(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::new(format!("an answer that is no JSON: {error}")))
}

fn manage(config: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let mut command = Command::new("keystone-manage");
    command.arg("--config-file").arg(config).args(arguments).stdin(Stdio::null());
    let output = command.output().map_err(|error| Failure::new(format!("keystone-manage: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Failure::new(format!("keystone-manage {arguments:?}: {said}")))
}

fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn write_secret(path: &PathBuf, secret: &str) -> Result<(), Failure> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(secret.as_bytes())?)
}
