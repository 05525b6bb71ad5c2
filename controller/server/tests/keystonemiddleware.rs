//! OpenStack's services validate tokens by keystonemiddleware's auth_token filter: here it does so against the real
//! controller. `tests/setup.sh client` installs it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod controller;

use std::path::Path;
use std::process::Command;

use controller::{ADMIN_PASSWORD, Controller, python};

#[test]
fn auth_token_validates_by_our_identity() {
    let directory = std::env::temp_dir().join(format!("updraft-middleware-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let controller = Controller::start(&directory);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filtered_app.py");
    let output = Command::new(python())
        .arg(script)
        .args([&controller.endpoint, ADMIN_PASSWORD])
        .output()
        .expect("no python in the client's environment: run tests/setup.sh client");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    drop(controller);
    std::fs::remove_dir_all(&directory).unwrap();
}
