//! One QEMU without any of Updraft's parts: emulated processor, plain virtio devices, QEMU's own user-mode network.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use updraft_e2e::wait::{GUEST, PROCESS, until};

/// Runs a program that must succeed.
pub fn run(program: &str, arguments: &[&str]) {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A port of loopback that nobody listens on just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("loopback has ports")
        .port()
}

/// A running virtual machine; killed when dropped.
pub struct Machine {
    folder: PathBuf,
    qemu: Child,
    qmp: BufReader<UnixStream>,
    console: Arc<Mutex<String>>,
    keyboard: UnixStream,
    ssh_port: u16,
    /// Bytes of the console that earlier waits have consumed.
    seen: usize,
}

impl Machine {
    /// Starts a machine with `disk` (qcow2) as its root disk. `user_network`: further options of QEMU's network.
    /// `key`, `disk` and sockets are in `folder`.
    pub fn start(folder: &Path, user_network: &str, further_arguments: &[&str]) -> Self {
        let ssh_port = free_port();
        let path = |name: &str| folder.join(name).display().to_string();
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-machine", "q35,accel=tcg", "-cpu", "Nehalem", "-m", "256", "-nodefaults"]);
        command.args(["-vga", "std", "-display", "none", "-device", "virtio-rng-pci"]);
        command.args(["-drive", &format!("file={},if=none,id=root,format=qcow2", path("disk.qcow2"))]);
        command.args(["-device", "virtio-blk-pci,drive=root,bootindex=0"]);
        command
            .args(["-netdev", &format!("user,id=net0,hostfwd=tcp:127.0.0.1:{ssh_port}-:22{user_network}")]);
        command.args(["-device", "virtio-net-pci,netdev=net0,id=card0"]);
        for slot in ["spare0", "spare1"] {
            command.args(["-device", &format!("pcie-root-port,id={slot},chassis={}", &slot[5..])]);
        }
        command.args(["-chardev", &format!("socket,id=console,path={},server=on,wait=off", path("console"))]);
        command.args(["-serial", "chardev:console"]);
        command.args(["-qmp", &format!("unix:{},server=on,wait=off", path("qmp"))]);
        let qemu = command.args(further_arguments).stdin(Stdio::null()).spawn().expect("qemu is installed");
        let keyboard = until("QEMU's console", PROCESS, || UnixStream::connect(folder.join("console")).ok());
        let console = Arc::new(Mutex::new(String::new()));
        collect(keyboard.try_clone().expect("a socket can be cloned"), Arc::clone(&console));
        let qmp = until("QEMU's monitor", PROCESS, || UnixStream::connect(folder.join("qmp")).ok());
        let mut machine = Self {
            folder: folder.to_owned(),
            qemu,
            qmp: BufReader::new(qmp),
            console,
            keyboard,
            ssh_port,
            seen: 0,
        };
        machine.read_message();
        machine.qmp("qmp_capabilities", &json!({}));
        machine
    }

    fn read_message(&mut self) -> Value {
        let mut line = String::new();
        self.qmp.read_line(&mut line).expect("the monitor is readable");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("QMP: {error}: {line:?}"))
    }

    /// Runs a monitor command and returns its result; events on the way are passed over.
    pub fn qmp(&mut self, command: &str, arguments: &Value) -> Value {
        let text = json!({"execute": command, "arguments": arguments}).to_string();
        self.qmp.get_mut().write_all(text.as_bytes()).expect("the monitor is writable");
        loop {
            let message = self.read_message();
            assert!(message.get("error").is_none(), "QMP {command} {arguments}: {message}");
            if let Some(result) = message.get("return") {
                return result.clone();
            }
        }
    }

    /// Waits for `text` on the serial console after everything that was waited for before; returns its whole line.
    pub fn await_console(&mut self, text: &str) -> String {
        let console = Arc::clone(&self.console);
        let seen = self.seen;
        let (line, end) = until(&format!("{text:?} on the console"), GUEST, || {
            let log = console.lock().expect("no reader panicked");
            let at = seen + log.get(seen..)?.find(text)?;
            let start = log[..at].rfind('\n').map_or(0, |newline| newline + 1);
            let end = log[at..].find('\n').map_or(log.len(), |newline| at + newline);
            Some((log[start..end].trim_end().to_owned(), at + text.len()))
        });
        self.seen = end;
        line
    }

    /// Everything that was on the console.
    pub fn console(&self) -> String {
        self.console.lock().expect("no reader panicked").clone()
    }

    /// Types a line on the serial console.
    pub fn type_line(&mut self, text: &str) {
        self.keyboard.write_all(format!("{text}\r").as_bytes()).expect("the console is writable");
    }

    /// Runs a shell command in the guest by SSH, whatever its exit code.
    pub fn try_ssh(&self, user: &str, options: &[&str], command: &str) -> Output {
        let mut ssh = Command::new("ssh");
        ssh.args(["-p", &self.ssh_port.to_string(), "-i"]).arg(self.folder.join("key"));
        ssh.args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
        ]);
        ssh.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=60"]).args(options);
        ssh.arg(format!("{user}@127.0.0.1")).arg(command).stdin(Stdio::null());
        ssh.output().expect("ssh is installed")
    }

    /// Runs a shell command in the guest as user updraft and returns what it printed.
    pub fn ssh(&self, command: &str) -> String {
        let output = self.try_ssh("updraft", &[], command);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "in the guest: {command}: {}\n{errors}", output.status);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Waits until QEMU has ended of its own accord.
    pub fn await_end(&mut self) {
        let qemu = &mut self.qemu;
        let status = until("the machine is off", GUEST, || qemu.try_wait().expect("QEMU is our child"));
        assert!(status.success(), "QEMU ended with {status}");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        if std::thread::panicking() {
            eprintln!(
                "--- the guest's console\n{}",
                self.console.lock().map_or(String::new(), |log| log.clone())
            );
        }
    }
}

/// Keeps reading, so that QEMU never waits for us.
fn collect(mut socket: UnixStream, log: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = socket.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).replace('\r', "");
            log.lock().expect("no waiter panicked while holding the log").push_str(&text);
        }
    });
}

/// A folder for one machine with an SSH key and a root disk of 1 GiB on top of `image`.
pub fn prepare(name: &str, image: &Path) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("updraft-guest-image-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the temporary folder is writable");
    let path = |name: &str| folder.join(name).display().to_string();
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path("key")]);
    let backing = image.display().to_string();
    run(
        "qemu-img",
        &["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", &backing, &path("disk.qcow2"), "1G"],
    );
    folder
}
