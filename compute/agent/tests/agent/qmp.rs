//! The QMP client against a real QEMU without a guest.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use updraft_agent::qemu::qmp::{Qmp, QmpError, Version};

struct Qemu(Child);

impl Qemu {
    fn start(socket: &Path) -> Self {
        let chardev = format!("socket,id=qmp,path={},server=on,wait=off", socket.display());
        let mut command = Command::new("qemu-system-x86_64");
        command.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-machine",
            "q35,accel=tcg",
            "-S",
        ]);
        command.args(["-m", "16", "-chardev", &chardev, "-mon", "chardev=qmp,mode=control"]);
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn connect(socket: &Path) -> Qmp {
    loop {
        match Qmp::connect(socket).await {
            Ok(qmp) => return qmp,
            Err(QmpError::Io(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn commands_events_refusals_and_the_end() {
    let _turn = crate::QEMU.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("qmp");
    let _qemu = Qemu::start(&socket);
    let qmp = connect(&socket).await;
    assert!(qmp.version >= Version { major: 7, minor: 0, micro: 0 });

    let status = qmp.execute("query-status", json!({})).await.unwrap();
    assert_eq!(status["status"], "prelaunch");
    match qmp.execute("no-such-command", json!({})).await {
        Err(QmpError::Refused { class, .. }) => assert_eq!(class, "CommandNotFound"),
        other => panic!("{other:?}"),
    }
    // Answers find who asked, however many ask at once.
    let (name, kvm, cpus) = tokio::join!(
        qmp.execute("query-name", json!({})),
        qmp.execute("query-kvm", json!({})),
        qmp.execute("query-cpus-fast", json!({})),
    );
    assert!(name.unwrap().is_object());
    assert_eq!(kvm.unwrap()["enabled"], false);
    assert_eq!(cpus.unwrap().as_array().unwrap().len(), 1);

    let mut events = qmp.events();
    qmp.execute("cont", json!({})).await.unwrap();
    assert_eq!(events.recv().await.unwrap().name, "RESUME");

    // QEMU serves one at a time: a dropped client makes room for the next.
    drop(qmp);
    let qmp = connect(&socket).await;
    let _ = qmp.execute("quit", json!({})).await;
    while qmp.is_open() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(matches!(qmp.execute("query-status", json!({})).await, Err(QmpError::Closed)));
}
