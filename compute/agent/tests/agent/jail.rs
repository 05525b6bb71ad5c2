//! Programs started apart from the agent.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use updraft_agent::host::jail::{EXIT_NOT_STARTED, EXIT_RUNS_ALREADY, RunDetached, arguments};
use updraft_agent::host::process::{Process, Start};

const JAIL: &str = env!("CARGO_BIN_EXE_updraft-agent");

fn options(record: &Path, command: &[&str]) -> RunDetached {
    RunDetached {
        record: record.into(),
        start_epoch: 3,
        soft_reboot_epoch: 1,
        cgroup: None,
        file_size_limit_bytes: None,
        command: command.iter().map(Into::into).collect(),
    }
}

fn run(options: &RunDetached) -> Output {
    Command::new(JAIL).args(arguments(options)).output().unwrap()
}

#[tokio::test]
async fn nothing_runs_twice_and_what_runs_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let (record, log) = (dir.path().join("p"), dir.path().join("log"));
    let options = options(&record, &["sleep", "1000"]);
    let start = Start { jail_binary: Path::new(JAIL), options: options.clone(), log: &log };
    let mut first = Process::start(start.clone()).await.unwrap();
    assert_eq!(run(&options).status.code(), Some(EXIT_RUNS_ALREADY.into()));
    assert!(Process::start(start).await.is_err());

    let mut found = Process::find(&record).unwrap().expect("it runs");
    assert_eq!(found.identity, first.identity);
    assert_eq!((found.identity.epochs.start, found.identity.epochs.soft_reboot), (3, 1));
    let session = std::fs::read_to_string(format!("/proc/{}/stat", found.identity.pid)).unwrap();
    let session: u32 = session.split(' ').nth(5).unwrap().parse().unwrap();
    assert_eq!(session, found.identity.pid, "its own session");

    found.stop(Duration::from_secs(5)).await.unwrap();
    first.ended().await;
    assert!(!first.is_alive());
    assert!(Process::find(&record).unwrap().is_none());
}

#[test]
fn a_missing_program_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&options(&dir.path().join("p"), &["/nowhere/qemu"]));
    assert_eq!(output.status.code(), Some(EXIT_NOT_STARTED.into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/qemu"));
}

#[test]
fn a_file_beyond_the_limit_fails_to_be_written_and_kills_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    let script = format!("head -c 100000 /dev/zero > {}; echo survived", file.display());
    let mut options = options(&dir.path().join("p"), &["sh", "-c", &script]);
    options.file_size_limit_bytes = Some(4096);
    let output = run(&options);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "survived\n");
    assert_eq!(file.metadata().unwrap().len(), 4096);
}
