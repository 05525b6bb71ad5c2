//! The link that keeps the program on the interface: pinned, so that it outlives this process.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind};

/// Commands of bpf(2) and the fields of their argument that are used here (linux/bpf.h).
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_LINK_DETACH: libc::c_long = 34;

/// `union bpf_attr`, as far as BPF_OBJ_GET uses it.
#[repr(C)]
#[derive(Default)]
struct ObjGet {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// `union bpf_attr`, as far as BPF_OBJ_GET_INFO_BY_FD uses it.
#[repr(C)]
struct InfoByFd {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// `struct bpf_link_info`, as far as an XDP link uses it.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    prog_id: u32,
    pad: u32,
    ifindex: u32,
    rest: [u32; 27],
}

/// The program on an interface, as the kernel says it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Index of the interface in its network namespace.
    pub ifindex: u32,
    /// The kernel's id of the program.
    pub program_id: u32,
    /// `native`: the link is made so that the kernel refuses any other mode.
    pub mode: &'static str,
}

pub(crate) fn link_path(pin_dir: &Path) -> PathBuf {
    pin_dir.join("link")
}

fn bpf<T>(command: libc::c_long, attribute: &mut T) -> std::io::Result<i32> {
    // SAFETY: `attribute` is a live struct laid out as this command's part of union bpf_attr, and its length is
    // given; what it points to is kept alive by the caller.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attribute), size_of::<T>()) };
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result as i32) }
}

fn open_pin(path: &Path) -> Result<Option<OwnedFd>, Error> {
    let text = CString::new(path.as_os_str().as_bytes()).map_err(Error::at(Kind::Pin, path))?;
    let mut request = ObjGet { pathname: text.as_ptr() as u64, ..ObjGet::default() };
    match bpf(BPF_OBJ_GET, &mut request) {
        // SAFETY: the kernel just gave us this descriptor.
        Ok(fd) => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) })),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::at(Kind::Pin, path)(error)),
    }
}

fn info(fd: BorrowedFd<'_>) -> std::io::Result<LinkInfo> {
    let mut answer = LinkInfo::default();
    let mut request = InfoByFd {
        bpf_fd: fd.as_raw_fd() as u32,
        info_len: size_of::<LinkInfo>() as u32,
        info: std::ptr::from_mut(&mut answer) as u64,
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut request)?;
    Ok(answer)
}

/// Where the program of this pin directory is attached now, by the kernel's word; `None` when it is nowhere.
pub fn attachment(pin_dir: &Path) -> Result<Option<Attachment>, Error> {
    use std::os::fd::AsFd;
    let path = link_path(pin_dir);
    let Some(link) = open_pin(&path)? else { return Ok(None) };
    let info = info(link.as_fd()).map_err(Error::at(Kind::Pin, &path))?;
    // An interface that is gone, or a link that was detached by force, leaves index 0.
    Ok((info.ifindex != 0).then_some(Attachment {
        ifindex: info.ifindex,
        program_id: info.prog_id,
        mode: "native",
    }))
}

/// Takes the program off the interface. The tables stay.
pub fn detach(pin_dir: &Path) -> Result<(), Error> {
    let path = link_path(pin_dir);
    let Some(link) = open_pin(&path)? else { return Ok(()) };
    // Even while others hold the link open. A link without an interface (ENOLINK) is detached already.
    let mut request = link.as_raw_fd() as u64;
    match bpf(BPF_LINK_DETACH, &mut request) {
        Err(error) if error.raw_os_error() != Some(libc::ENOLINK) => {
            Err(Error::at(Kind::Attach, &path)(error))
        }
        _ => std::fs::remove_file(&path).map_err(Error::at(Kind::Pin, &path)),
    }
}
