//! What people use images with: the real `openstack` client and openstacksdk, against the real controller.
//! `tests/setup.sh client` installs them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod controller;

use std::io::{Read, Write};
use std::net::TcpListener;

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
    let port = web();
    let fetching = format!("[web_download]\nallowed_networks = ['127.0.0.0/8']\nports = [80, {port}]\n");
    let url = format!("http://127.0.0.1:{port}/disk.raw");
    controller::drive("image-client", "image_client.py", &fetching, &[&url]);
}
