//! The openstack client's identity commands against the real controller. `tests/setup.sh client` installs it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod controller;

use std::path::Path;
use std::process::Command;

use controller::{ADMIN_PASSWORD, Controller, python};

#[test]
fn every_identity_command_of_the_client_works() {
    let directory = std::env::temp_dir().join(format!("updraft-client-identity-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let controller = Controller::start(&directory);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/identity_commands.py");
    let output = Command::new(python())
        .arg(script)
        .args([&controller.endpoint, ADMIN_PASSWORD])
        // Nobody's settings, and no proxy on the way to the loopback.
        .env_clear()
        .env("HOME", &directory)
        .env("LANG", "C.UTF-8")
        .env("no_proxy", "127.0.0.1")
        .output()
        .expect("no python in the client's environment: run tests/setup.sh client");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    drop(controller);
    std::fs::remove_dir_all(&directory).unwrap();
}
