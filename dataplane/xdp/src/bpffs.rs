//! The directory in bpffs that holds the pins.

use std::path::Path;

use rustix::fs::statfs;
use rustix::mount::{MountFlags, mount};

use crate::error::{Error, Kind};

/// `f_type` of bpffs (linux/magic.h, BPF_FS_MAGIC).
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
/// Where bpffs belongs.
const BPFFS: &str = "/sys/fs/bpf";

fn is_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|stat| stat.f_type as u64 == BPF_FS_MAGIC)
}

/// Makes the directory, after mounting bpffs at `/sys/fs/bpf` when it lies there and none is mounted.
pub fn ensure_directory(dir: &Path) -> Result<(), Error> {
    if dir.starts_with(BPFFS) && !is_bpffs(Path::new(BPFFS)) {
        mount("bpf", BPFFS, "bpf", MountFlags::empty(), None::<&std::ffi::CStr>)
            .map_err(Error::of(Kind::Mount, BPFFS))?;
    }
    std::fs::create_dir_all(dir).map_err(Error::at(Kind::Pin, dir))?;
    if is_bpffs(dir) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Pin,
        format!("{} is not in a bpffs (expected a directory below {BPFFS})", dir.display()),
    ))
}
