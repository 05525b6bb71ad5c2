//! What people use images with: the real `openstack` client and openstacksdk, against the real controller.
//! `tests/setup.sh client` installs them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod controller;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use controller::{ADMIN_PASSWORD, Controller, python};

/// What the client uploads, too: a plain disk of 4 KiB.
fn disk() -> Vec<u8> {
    (0..4096_u32).map(|byte| (byte % 256) as u8).collect()
}

/// Serves the disk to everybody on loopback; its port.
fn web() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", disk().len());
            let _ = stream.write_all(&[head.into_bytes(), disk()].concat());
        }
    });
    port
}

#[test]
fn the_clients_image_commands_work_unchanged() {
    let directory = std::env::temp_dir().join(format!("updraft-image-client-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let port = web();
    let fetching = format!("[web_download]\nallowed_networks = ['127.0.0.0/8']\nports = [80, {port}]\n");
    let controller = Controller::start(&directory, &fetching);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/image_client.py");
    let output = Command::new(python())
        .arg(script)
        .args([&controller.endpoint, ADMIN_PASSWORD, directory.to_str().unwrap()])
        .arg(format!("http://127.0.0.1:{port}/disk.raw"))
        .output()
        .expect("no python in the client's environment: run tests/setup.sh client");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    drop(controller);
    std::fs::remove_dir_all(&directory).unwrap();
}
