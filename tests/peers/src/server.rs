use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How long a server may take until it answers, on a busy machine too.
const START_LIMIT: Duration = Duration::from_secs(180);
/// How long one attempt to reach it may take.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of a log is shown when a server does not start.
const LOG_TAIL_BYTES: usize = 4000;

/// A server process, in a process group of its own with what it starts.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    child: Option<Child>,
    log: PathBuf,
    pid_file: PathBuf,
}

impl Server {
    pub fn new(name: &'static str, log: PathBuf, pid_file: PathBuf) -> Self {
        Self { name, child: None, log, pid_file }
    }

    /// Starts the process; what it prints goes to the log.
    pub fn spawn(&mut self, mut command: Command) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = fs::File::options().create(true).append(true).open(&self.log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot start {}: {error} (tests/setup.sh installs it)", self.name)
            });
        fs::write(&self.pid_file, child.id().to_string()).unwrap();
        self.child = Some(child);
    }

    /// Waits until something at `address` answers to `hello` (MySQL speaks first, so nothing has to be said there).
    pub fn wait_until_it_greets(&mut self, address: SocketAddr, hello: &[u8]) {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if greets(address, hello) {
                return;
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "{} ended ({}):\n{}", self.name, ended.unwrap(), self.log_tail());
            assert!(Instant::now() < deadline, "{} does not answer:\n{}", self.name, self.log_tail());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A signal to the process and all that it started.
    pub fn signal(&self, signal: Signal) {
        let Some(child) = &self.child else { return };
        // Gone already is as good.
        let _sent = killpg(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal);
    }

    /// Sends the signal and waits for the end.
    pub fn end(&mut self, signal: Signal) {
        self.signal(signal);
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
            fs::write(&self.pid_file, "").unwrap();
        }
    }

    fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(Signal::SIGKILL);
    }
}

fn greets(address: SocketAddr, hello: &[u8]) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, GREETING_TIMEOUT) else { return false };
    let timeout = stream.set_read_timeout(Some(GREETING_TIMEOUT));
    timeout.is_ok() && stream.write_all(hello).is_ok() && stream.read(&mut [0; 16]).is_ok_and(|read| read > 0)
}

/// Ports on loopback that nobody uses. Somebody else may take one before the server does; then the server says so, and
/// the test fails by name.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    // All at once, so that they differ.
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
