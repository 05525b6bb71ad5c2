//! Keeps netd, the controller and the agent running. Guests and their block daemons are the agent's, and live on
//! when any of these is restarted.

use std::fs::{self, File, OpenOptions};
use std::process::{ExitCode, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::authority::Authority;
use crate::cloud::Cloud;
use crate::configs::sibling;
use crate::error::Error;
use crate::layout::{Layout, write_atomically};

/// What is supervised, in the order of starting.
pub const PROCESSES: [&str; 3] = ["netd", "controller", "agent"];

/// How long a process may take to obey SIGTERM before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// The wait after an early death; doubled for each further one up to `RESTART_MAX`.
const RESTART_MIN: Duration = Duration::from_millis(50);
const RESTART_MAX: Duration = Duration::from_secs(5);
/// How often the certificate's end and the machine's addresses are looked at.
const CERTIFICATE_PERIOD: Duration = Duration::from_secs(3600);
/// A process that lived this long is restarted at once: guests wait for netd.
const LIVED_LONG: Duration = Duration::from_secs(1);

/// What `updraft status` reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    pub pid: i32,
    pub started_at: Timestamp,
    pub processes: Vec<Process>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Process {
    pub name: String,
    /// 0 while it is down.
    pub pid: i32,
    pub started_at: Timestamp,
    pub restarts: u32,
}

impl State {
    /// The state of the running supervisor; `None` when none runs.
    pub fn load(layout: &Layout) -> Option<Self> {
        let text = fs::read_to_string(layout.supervisor_file()).ok()?;
        let state: Self = serde_json::from_str(&text).ok()?;
        is_ours(state.pid, "updraft").then_some(state)
    }
}

impl State {
    /// Asks a process to end, if it runs.
    pub fn terminate(&self, name: &str) {
        let Some(process) = self.processes.iter().find(|process| process.name == name) else { return };
        if is_ours(process.pid, &format!("updraft-{name}")) {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGTERM);
        }
    }
}

/// True when a process with this id lives and its program is called `program`.
pub fn is_ours(pid: i32, program: &str) -> bool {
    pid > 0
        && fs::read_link(format!("/proc/{pid}/exe"))
            .is_ok_and(|exe| exe.file_name().is_some_and(|name| name.to_string_lossy().starts_with(program)))
}

/// Runs until SIGTERM or SIGINT, then stops what it started.
///
/// # Errors
/// Another supervisor runs on this state folder, or the file system's.
pub async fn run(layout: &Layout) -> Result<ExitCode, Error> {
    // Fails when it already leads a session, which is as good.
    let _ = setsid();
    let _lock = lock(layout)?;
    stop_leftovers(layout);
    let now = Timestamp::now();
    let state =
        Mutex::new(State { pid: std::process::id().cast_signed(), started_at: now, processes: Vec::new() });
    let (stop, stopping) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::io("cannot wait for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::io("cannot wait for SIGINT"))?;
    let [netd, controller, agent] = PROCESSES;
    let all = async {
        tokio::join!(
            keep_running(layout, netd, &state, stopping.clone()),
            keep_running(layout, controller, &state, stopping.clone()),
            keep_running(layout, agent, &state, stopping.clone()),
        )
    };
    let certificates = keep_certificate(layout, stopping.clone());
    let wait_for_signal = async {
        tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
        // The receivers live as long as this function.
        let _ = stop.send(true);
    };
    tokio::join!(all, certificates, wait_for_signal);
    let _ = fs::remove_file(layout.supervisor_file());
    Ok(ExitCode::SUCCESS)
}

/// Signs a new certificate before the old one ends.
async fn keep_certificate(layout: &Layout, mut stopping: watch::Receiver<bool>) {
    loop {
        if let Ok(cloud) = Cloud::load(layout)
            && cloud.tls
        {
            match Authority::new(layout, &cloud).ensure(&cloud, Timestamp::now()) {
                Ok(false) => {}
                Ok(true) => {
                    eprintln!("{} a new certificate was signed", Timestamp::now());
                    // The controller reads it by itself; the agent at its start, which no guest notices.
                    if let Some(state) = State::load(layout) {
                        state.terminate("agent");
                    }
                }
                Err(error) => eprintln!("{} the certificate: {error}", Timestamp::now()),
            }
        }
        if timeout(CERTIFICATE_PERIOD, stopping.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

fn lock(layout: &Layout) -> Result<Flock<File>, Error> {
    let path = layout.run_dir().join("supervisor.lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::path("open", &path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, errno)| Error::io(format!("another supervisor holds {}", path.display()))(errno.into()))
}

/// A supervisor that was killed left its processes behind: they are stopped and started anew, under our eyes.
fn stop_leftovers(layout: &Layout) {
    let Ok(text) = fs::read_to_string(layout.supervisor_file()) else { return };
    let Ok(old) = serde_json::from_str::<State>(&text) else { return };
    for process in old.processes {
        if is_ours(process.pid, &format!("updraft-{}", process.name)) {
            tracing::info!(
                process = process.name,
                pid = process.pid,
                "stopping a process without supervisor"
            );
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
    }
}

async fn keep_running(
    layout: &Layout,
    name: &'static str,
    state: &Mutex<State>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut wait = Duration::ZERO;
    let mut restarts = 0;
    while !*stopping.borrow() {
        let born = Instant::now();
        match spawn(layout, name) {
            Ok(mut child) => {
                record(layout, state, name, child.id(), restarts);
                tokio::select! {
                    status = child.wait() => eprintln!("{} {name} ended: {status:?}", Timestamp::now()),
                    _ = stopping.wait_for(|stop| *stop) => return stop_child(&mut child).await,
                }
            }
            Err(error) => eprintln!("{} {name} cannot be started: {error}", Timestamp::now()),
        }
        record(layout, state, name, None, restarts);
        restarts += 1;
        let lived_long = born.elapsed() >= LIVED_LONG;
        wait = if lived_long { Duration::ZERO } else { (wait * 2).clamp(RESTART_MIN, RESTART_MAX) };
        tokio::select! { () = sleep(wait) => (), _ = stopping.wait_for(|stop| *stop) => () }
    }
}

fn spawn(layout: &Layout, name: &str) -> Result<Child, Error> {
    let program = sibling(&format!("updraft-{name}"))?;
    let log_path = layout.log(name);
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log_path)
        .map_err(Error::path("open", &log_path))?;
    let errors = log.try_clone().map_err(Error::path("open", &log_path))?;
    Command::new(&program)
        .arg("--config")
        .arg(layout.config(name))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .current_dir("/")
        .spawn()
        .map_err(Error::path("start", &program))
}

async fn stop_child(child: &mut Child) {
    if let Some(pid) = child.id() {
        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
    }
    if timeout(STOP_WITHIN, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

fn record(layout: &Layout, state: &Mutex<State>, name: &str, pid: Option<u32>, restarts: u32) {
    // A poisoned lock means a panic elsewhere in this process; the list of processes is still the best there is.
    let mut state = state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let process = Process {
        name: name.to_owned(),
        pid: pid.map_or(0, u32::cast_signed),
        started_at: Timestamp::now(),
        restarts,
    };
    match state.processes.iter_mut().find(|known| known.name == name) {
        Some(known) => *known = process,
        None => state.processes.push(process),
    }
    let written = serde_json::to_string_pretty(&*state)
        .map_err(Error::bad_file(&layout.supervisor_file()))
        .and_then(|text| write_atomically(&layout.supervisor_file(), &text));
    if let Err(error) = written {
        eprintln!("{} {error}", Timestamp::now());
    }
}
