//! A cloud of a test's own: state folder, names, ports and external network apart from any other.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::wait::{PROCESS, until};
use crate::{bin_dir, cache_dir};

/// A running cloud; removed with everything it made when dropped.
pub struct Cloud {
    pub state_dir: PathBuf,
    name: String,
    environment: Vec<(String, String)>,
}

impl Cloud {
    /// `name`: at most 10 letters. `slot`: 0 to 200, apart for clouds that may run at the same time.
    pub fn start(name: &str, slot: u16) -> Self {
        let state_dir = PathBuf::from(format!("/tmp/updraft-{name}"));
        let mut cloud = Self { state_dir, name: name.to_owned(), environment: Vec::new() };
        // What an earlier run, killed in the middle, left behind.
        let _ = cloud.try_updraft(&["down", "--purge"]);
        cloud.up(slot);
        let openrc = cloud.updraft(&["openrc"]);
        cloud.environment = openrc
            .lines()
            .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
            .collect();
        cloud
    }

    fn up(&self, slot: u16) {
        let (listen, agent) = (18_000 + 2 * slot, 18_001 + 2 * slot);
        self.updraft(&[
            "up",
            "--name",
            &self.name,
            "--listen",
            &format!("127.0.0.1:{listen}"),
            "--agent-listen",
            &format!("127.0.0.1:{agent}"),
            "--external-cidr",
            "198.51.100.0/24",
        ]);
    }

    /// Runs `updraft` and returns what it printed.
    pub fn updraft(&self, arguments: &[&str]) -> String {
        let output = self.try_updraft(arguments);
        accept(&format!("updraft {}", arguments.join(" ")), &output)
    }

    /// Runs `updraft`, whatever its exit code.
    pub fn try_updraft(&self, arguments: &[&str]) -> Output {
        Command::new(bin_dir().join("updraft"))
            .env("UPDRAFT_STATE_DIR", &self.state_dir)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("updraft is built")
    }

    /// A command that runs in the external network.
    pub fn outside(&self, program: &str) -> Command {
        let mut command = Command::new(bin_dir().join("updraft"));
        command.env("UPDRAFT_STATE_DIR", &self.state_dir).args(["external", "--", program]);
        command
    }

    /// Runs the `openstack` client; panics when it fails.
    pub fn openstack(&self, arguments: &str) -> String {
        accept(&format!("openstack {arguments}"), &self.try_openstack(arguments))
    }

    /// Runs the `openstack` client for its JSON.
    pub fn openstack_json(&self, arguments: &str) -> Value {
        let text = self.openstack(&format!("{arguments} -f json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("openstack {arguments}: {error}: {text}"))
    }

    /// Runs the `openstack` client, which must fail; returns its complaint.
    pub fn openstack_refused(&self, arguments: &str) -> String {
        let output = self.try_openstack(arguments);
        assert!(!output.status.success(), "openstack {arguments}: was not refused");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn try_openstack(&self, arguments: &str) -> Output {
        Command::new(cache_dir().join("venv/bin/openstack"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .args(arguments.split_whitespace())
            .stdin(Stdio::null())
            .output()
            .expect("the openstack client is installed (make setup)")
    }

    /// The process id of a supervised daemon.
    pub fn pid_of(&self, daemon: &str) -> i32 {
        until(&format!("{daemon} runs"), PROCESS, || {
            let text = fs::read_to_string(self.state_dir.join("run/supervisor.json")).ok()?;
            let state: Value = serde_json::from_str(&text).ok()?;
            let processes = state["processes"].as_array()?;
            let process = processes.iter().find(|process| process["name"] == daemon)?;
            process["pid"].as_i64().filter(|pid| *pid > 0)?.try_into().ok()
        })
    }

    /// Process ids of everything whose program is `program` and whose arguments name this cloud.
    pub fn processes(&self, program: &str) -> Vec<i32> {
        let marker = self.state_dir.to_string_lossy().into_owned();
        let entries = fs::read_dir("/proc").expect("/proc is mounted");
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_string_lossy().parse::<i32>().ok())
            .filter(|pid| {
                let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let text = String::from_utf8_lossy(&command_line);
                let first = text.split('\0').next().unwrap_or_default();
                first.rsplit('/').next() == Some(program) && text.contains(&marker)
            })
            .collect()
    }

    /// Kills a daemon without warning and waits until its successor answers.
    pub fn kill_and_await_successor(&self, daemon: &str) {
        let before = self.pid_of(daemon);
        kill(Pid::from_raw(before), Signal::SIGKILL).expect("the daemon is there to be killed");
        until(&format!("a successor of {daemon}"), PROCESS, || (self.pid_of(daemon) != before).then_some(()));
        self.await_healthy();
    }

    /// Waits until `updraft status` is content.
    pub fn await_healthy(&self) {
        until("every daemon answers", PROCESS, || {
            self.try_updraft(&["status"]).status.success().then_some(())
        });
    }

    /// Waits until `updraft doctor` has nothing to say.
    pub fn await_nothing_amiss(&self) {
        let mut last = String::new();
        let deadline = std::time::Instant::now() + PROCESS;
        loop {
            let output = self.try_updraft(&["doctor"]);
            if output.status.success() {
                return;
            }
            last.clear();
            last.push_str(&String::from_utf8_lossy(&output.stdout));
            last.push_str(&String::from_utf8_lossy(&output.stderr));
            assert!(std::time::Instant::now() < deadline, "updraft doctor still finds:\n{last}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        let output = self.try_updraft(&["down", "--purge"]);
        if !std::thread::panicking() {
            accept("updraft down --purge", &output);
            for program in ["updraft-agent", "updraft-blkd", "updraft-netd", "qemu-system-x86_64"] {
                assert_eq!(self.processes(program), Vec::<i32>::new(), "{program} still runs");
            }
            assert!(!self.state_dir.exists(), "{} is still there", self.state_dir.display());
            let namespaces = fs::read_dir("/run/netns").map(|entries| entries.count()).unwrap_or(0);
            let ours = fs::exists(format!("/run/netns/{}-dp", self.name)).unwrap_or(false);
            assert!(!ours, "one of {namespaces} namespaces is still this cloud's");
        }
    }
}

impl Cloud {
    /// The end of every log, for whoever reads the failure.
    fn print_logs(&self) {
        let Ok(entries) = fs::read_dir(self.state_dir.join("log")) else { return };
        for entry in entries.flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines.len().saturating_sub(40);
            eprintln!("--- {}\n{}", entry.path().display(), lines[tail..].join("\n"));
        }
    }
}

fn accept(what: &str, output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}\n{out}{errors}", output.status);
    out
}
