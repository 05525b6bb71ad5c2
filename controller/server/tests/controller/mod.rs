//! A real controller with a database of its own, for tests by other programs.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const ADMIN_PASSWORD: &str = "correct horse";

/// A controller of its own; killed when it goes.
struct Controller {
    process: Child,
    endpoint: String,
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Controller {
    /// With its data in the directory, and `more` settings than it must have.
    fn start(directory: &Path, more: &str) -> Self {
        let place = |name: &str| directory.join(name).display().to_string();
        std::fs::write(place("admin-password"), ADMIN_PASSWORD).unwrap();
        let settings = format!(
            "listen = '127.0.0.1:0'\ndatabase = '{}'\nimages_dir = '{}'\nkeys_dir = '{}'\n\
             admin_password_file = '{}'\n{more}",
            place("updraft.sqlite"),
            place("images"),
            place("keys"),
            place("admin-password")
        );
        std::fs::write(place("controller.toml"), settings).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_updraft-controller"))
            .args(["--config", &place("controller.toml")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines.next().expect("the controller ended before it was ready").unwrap();
        let endpoint = ready.strip_prefix("ready on ").expect(&ready).to_owned();
        Self { process, endpoint }
    }
}

/// Runs a script of this folder with the Python that has OpenStack's client, in a scratch folder of the name, against
/// a controller of its own with `more` settings than it must have. The script's arguments are the endpoint, the
/// administrator's password and those given.
pub fn drive(name: &str, script: &str, more: &str, arguments: &[&str]) {
    let directory = std::env::temp_dir().join(format!("updraft-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let controller = Controller::start(&directory, more);
    let output = Command::new(python())
        .arg(Path::new("tests").join(script).canonicalize().unwrap())
        .args([&controller.endpoint, ADMIN_PASSWORD])
        .args(arguments)
        .current_dir(&directory)
        // Nobody's settings, and no proxy on the way to the loopback.
        .env_clear()
        .env("HOME", &directory)
        .env("LANG", "C.UTF-8")
        .env("no_proxy", "127.0.0.1")
        .output()
        .expect("no python in the client's environment: run tests/setup.sh client");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    drop(controller);
    std::fs::remove_dir_all(&directory).unwrap();
}

/// The one of `tests/setup.sh client`.
fn python() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
    cache.join("updraft/venv/bin/python")
}
