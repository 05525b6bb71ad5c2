//! Servers that speak the identity API, each over a database of its own in a scratch folder: our controller, and the
//! distribution's Keystone behind uWSGI with one worker. Both on the backend's core alone.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::backend::{Core, pin};
use crate::http::{self, Client, Request};
use crate::measure::Failure;

pub const PASSWORD: &str = "a-password-of-the-bench";
/// How long ours may take to serve.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct ApiServer {
    pub address: SocketAddr,
    child: Child,
    _scratch: tempfile::TempDir,
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ApiServer {
    /// `updraft-controller`, from beside this program, on SQLite.
    ///
    /// # Errors
    /// It is not built, or does not start.
    pub fn ours() -> Result<Self, Failure> {
        let scratch = tempfile::tempdir()?;
        let folder = scratch.path();
        let address = free_address()?;
        fs::create_dir(folder.join("images"))?;
        for (name, secret) in [("admin-password", PASSWORD), ("host-credential", "a-credential-of-the-bench")]
        {
            write_secret(&folder.join(name), secret)?;
        }
        let place = folder.display();
        let config = format!(
            "listen = '{address}'\ndatabase = '{place}/updraft.sqlite'\nimages_dir = '{place}/images'\n\
             keys_dir = '{place}/keys'\nadmin_password_file = '{place}/admin-password'\n\
             host_credential_file = '{place}/host-credential'\n"
        );
        let path = folder.join("controller.toml");
        fs::write(&path, config)?;
        let program = std::env::current_exe()?.with_file_name("updraft-controller");
        let mut command = Command::new(program);
        command.arg("--config").arg(path).env("RUST_LOG", "error");
        Self::spawn("ours", command, address, scratch)
    }

    /// Keystone (packages python3-keystone, uwsgi-core, uwsgi-plugin-python3) on SQLite: Fernet tokens, bcrypt of 12
    /// rounds, everything else as it comes.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn keystone() -> Result<Self, Failure> {
        let scratch = tempfile::tempdir()?;
        let folder = scratch.path();
        let address = free_address()?;
        let place = folder.display();
        let config = format!(
            "[DEFAULT]\nlog_file = {place}/keystone.log\n[database]\nconnection = sqlite:///{place}/keystone.sqlite\n\
             [fernet_tokens]\nkey_repository = {place}/fernet\n[credential]\nkey_repository = {place}/credential\n\
             [identity]\npassword_hash_algorithm = bcrypt\npassword_hash_rounds = 12\n"
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
        Self::spawn("keystone", command, address, scratch)
    }

    fn spawn(
        name: &'static str,
        mut command: Command,
        address: SocketAddr,
        scratch: tempfile::TempDir,
    ) -> Result<Self, Failure> {
        pin(Core::Backend)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        pin(Core::Frontend)?;
        let child = child.map_err(|error| Failure::new(format!("cannot start {command:?}: {error}")))?;
        let server = Self { address, child, _scratch: scratch };
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
        let reply = Client::new(self.address).send(&self.login_request())?;
        let token = reply.header("x-subject-token").map(str::to_owned);
        token.ok_or_else(|| Failure::new("a login without a token"))
    }
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
