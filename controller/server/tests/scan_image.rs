//! `updraft-controller scan-image`: the scanner in its jail, as the controller starts it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::fs::File;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

fn scan(bytes: &[u8]) -> Value {
    let path = std::env::temp_dir().join(format!("updraft-scan-{}", uuid::Uuid::new_v4()));
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_updraft-controller"))
        .arg("scan-image")
        .env_clear()
        .stdin(File::open(&path).unwrap())
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    std::fs::remove_file(path).unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn rows_10_and_11_what_names_other_files_is_refused() {
    assert_eq!(scan(&[7; 4096]), json!({"accepted": {"format": "raw", "virtual_size_bytes": 4096}}));
    let mut backed = vec![0; 65_536];
    backed[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    backed[8..16].copy_from_slice(&512_u64.to_be_bytes());
    backed[16..20].copy_from_slice(&11_u32.to_be_bytes());
    backed[512..523].copy_from_slice(b"/etc/shadow");
    let refused = scan(&backed);
    let reason = refused["refused"]["reason"].as_str().unwrap();
    assert!(reason.contains("backing file") && !reason.contains("shadow"), "{refused}");
    let flat = b"# Disk DescriptorFile\nversion=1\nRW 4192256 FLAT \"/etc/shadow\" 0\n";
    assert!(scan(flat)["refused"]["reason"].as_str().unwrap().contains("another file"));
}
