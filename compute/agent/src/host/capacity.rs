//! What the host offers, and what is wrong with it.

use std::path::Path;

use rustix::fs::statvfs;
use updraft_base::size::{GIB, KIB, MIB};
use updraft_compute_api::observed::Capacity;

use crate::config::Config;

/// Below this much free space beyond the reserve the host reports a problem, in bytes.
const DISK_LOW_BYTES: u64 = GIB / 2;

/// The host's capacity as offered to the scheduler: processors times the overcommit, memory and disk less the
/// reserves.
pub fn capacity(config: &Config) -> Capacity {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let reserve_bytes = config.disk_reserve_gib * GIB;
    let (total, free) = disk_bytes(&config.state_dir);
    Capacity {
        vcpus: (processors as f64 * config.cpu_overcommit) as u32,
        memory_mib: (memory_total_bytes() / MIB).saturating_sub(config.memory_reserve_mib),
        disk_gib: total.saturating_sub(reserve_bytes) / GIB,
        disk_free_gib: free.saturating_sub(reserve_bytes) / GIB,
    }
}

/// A plain sentence when the state folder's file system is as good as full.
pub fn disk_problem(config: &Config) -> Option<String> {
    let (_, free) = disk_bytes(&config.state_dir);
    (free < config.disk_reserve_gib * GIB + DISK_LOW_BYTES)
        .then(|| format!("the disk of {} is full: {} MiB are free", config.state_dir.display(), free / MIB))
}

/// Size and free space of the file system that holds `path`, in bytes; zeros when it cannot be asked.
pub fn disk_bytes(path: &Path) -> (u64, u64) {
    statvfs(path).map_or((0, 0), |fs| (fs.f_blocks * fs.f_frsize, fs.f_bavail * fs.f_frsize))
}

/// The host's name.
pub fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

fn memory_total_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    kib.unwrap_or(0u64) * KIB
}
