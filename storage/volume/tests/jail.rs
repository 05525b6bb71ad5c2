//! The scanner's jail: what is forbidden kills it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use updraft_volume::scanner::enter_jail;

/// Says to this program, started again, what to try from inside.
const TRY: &str = "UPDRAFT_JAIL_TRY";
/// signal(7), on x86-64 and aarch64.
const SIGSYS: i32 = 31;

/// Runs in the child alone.
#[test]
#[ignore = "the child of the tests below"]
fn child() {
    let what = std::env::var(TRY).unwrap();
    let path = std::env::temp_dir().join("updraft-jail");
    enter_jail().unwrap();
    match what.as_str() {
        "nothing" => {}
        "open" => drop(std::fs::File::open("/etc/passwd")),
        "create" => drop(std::fs::File::create(path)),
        "socket" => drop(std::net::UdpSocket::bind("127.0.0.1:0")),
        "program" => drop(Command::new("/bin/true").status()),
        "memory" => drop(std::hint::black_box(vec![1_u8; 512 << 20])),
        other => panic!("{other}"),
    }
}

fn attempt(what: &str) -> ExitStatus {
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new(own);
    command.args(["child", "--exact", "--ignored", "--test-threads=1"]).env(TRY, what);
    command.output().unwrap().status
}

/// The control of the tests below: they fail by what they try, and not by the jail itself.
#[test]
fn row_13_who_tries_nothing_ends_well() {
    assert!(attempt("nothing").success());
}

#[test]
fn rows_10_to_13_a_forbidden_system_call_kills_the_scanner() {
    for what in ["open", "create", "socket", "program"] {
        assert_eq!(attempt(what).signal(), Some(SIGSYS), "{what}");
    }
}

#[test]
fn row_13_memory_is_bounded() {
    assert!(!attempt("memory").success());
}
