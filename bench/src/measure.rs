//! How figures are taken: medians of runs in turn, CPU time from the scheduler, system calls from strace.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A bench that cannot be run, or whose result is void.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// One run of one participant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    /// Requests or packets a second.
    pub rate_per_s: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// CPU time of the backend for one request.
    pub cpu_us: f64,
    /// Resident memory of the backend, where a bench is about it.
    pub memory_mib: f64,
}

impl Run {
    /// `latencies_ns` is sorted in place.
    pub fn new(count: u64, elapsed: Duration, latencies_ns: &mut [u32], cpu: Duration) -> Self {
        latencies_ns.sort_unstable();
        let at = |share: f64| {
            let index = (latencies_ns.len() as f64 * share) as usize;
            latencies_ns.get(index).map_or(0.0, |&ns| f64::from(ns) / 1e3)
        };
        Self {
            rate_per_s: count as f64 / elapsed.as_secs_f64(),
            p50_us: at(0.50),
            p99_us: at(0.99),
            cpu_us: cpu.as_secs_f64() * 1e6 / count.max(1) as f64,
            memory_mib: 0.0,
        }
    }

    /// Each figure's median.
    pub fn median(runs: &[Self]) -> Self {
        Self {
            rate_per_s: median(runs.iter().map(|run| run.rate_per_s)),
            p50_us: median(runs.iter().map(|run| run.p50_us)),
            p99_us: median(runs.iter().map(|run| run.p99_us)),
            cpu_us: median(runs.iter().map(|run| run.cpu_us)),
            memory_mib: median(runs.iter().map(|run| run.memory_mib)),
        }
    }
}

/// The middle value; of an even number the upper of the two.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// CPU time of all threads of a process so far (`/proc/PID/task/TID/schedstat`).
///
/// # Errors
/// The process is gone.
pub fn cpu_time(pid: u32) -> Result<Duration, Failure> {
    let mut total_ns = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
            total_ns += text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(Duration::from_nanos(total_ns))
}

/// CPU time of the calling thread so far.
///
/// # Errors
/// There is no `/proc`.
pub fn own_cpu_time() -> Result<Duration, Failure> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let ns = text.split_whitespace().next().and_then(|ns| ns.parse().ok());
    ns.map(Duration::from_nanos).ok_or_else(|| Failure::new("/proc/thread-self/schedstat cannot be read"))
}

/// Counts the system calls of a process while it lives.
#[derive(Debug)]
pub struct SystemCalls {
    strace: Child,
    output: tempfile::NamedTempFile,
}

impl SystemCalls {
    /// Attaches strace; `None` where it is not installed.
    pub fn attach(pid: u32) -> Option<Self> {
        let output = tempfile::NamedTempFile::new().ok()?;
        let strace = Command::new("strace")
            .args(["-f", "-c", "-U", "calls,name", "-p", &pid.to_string(), "-o"])
            .arg(output.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let attached = || {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
            (tracer.trim() != "0").then_some(())
        };
        for _ in 0..200 {
            if attached().is_some() {
                // All threads follow the first one.
                thread::sleep(Duration::from_millis(50));
                return Some(Self { strace, output });
            }
            thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Detaches; the number of calls in between.
    pub fn count(mut self) -> Option<u64> {
        kill(Pid::from_raw(i32::try_from(self.strace.id()).ok()?), Signal::SIGINT).ok()?;
        self.strace.wait().ok()?;
        total_calls(&fs::read_to_string(self.output.path()).ok()?)
    }
}

/// The number before the word "total" in strace's table.
fn total_calls(table: &str) -> Option<u64> {
    let line = table.lines().find(|line| line.trim_end().ends_with("total"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Resident memory of a process (`VmRSS`).
///
/// # Errors
/// The process is gone.
pub fn resident_mib(pid: u32) -> Result<f64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0).ok_or_else(|| Failure::new("no VmRSS"))
}

/// What the figures were taken on.
pub fn machine() -> String {
    let field = |path: &str, key: &str| {
        let text = fs::read_to_string(Path::new(path)).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    // Not what this thread may use: it is pinned to one of them.
    let cores = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = cores.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or_default().to_owned();
    format!("{} x{cores}, Linux {}, load {load}", field("/proc/cpuinfo", "model name"), kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::{median, total_calls};

    #[test]
    fn the_median_is_not_moved_by_one_bad_run() {
        assert_eq!(median([3.0, 1000.0, 2.0].into_iter()), 3.0);
        assert!(median(std::iter::empty()).is_nan());
    }

    #[test]
    fn straces_table_is_summed_by_strace() {
        let table = "    calls syscall\n--------- ----------------\n       12 read\n       30 write\n--------- ----------------\n       42 total\n";
        assert_eq!(total_calls(table), Some(42));
        assert_eq!(total_calls(""), None);
    }
}
