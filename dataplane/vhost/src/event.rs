//! Eventfds: kicks, calls, and stop signals.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::ProtocolError;

/// An eventfd of our own, non-blocking.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// # Errors
    /// No file descriptor is left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no memory is passed; the result is checked.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Takes a descriptor that a frontend sent.
    ///
    /// # Errors
    /// It is no eventfd: a write to a full pipe could stop a worker.
    pub fn from_frontend(fd: OwnedFd) -> Result<Self, ProtocolError> {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
        if !link.is_ok_and(|link| link.as_os_str() == "anon_inode:[eventfd]") {
            return Err(ProtocolError::NotAnEventFd);
        }
        // SAFETY: fcntl with integer arguments touches no memory.
        unsafe {
            let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
            libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK);
        }
        Ok(Self(fd))
    }

    /// Adds one to the counter. A full counter wakes its reader just as well, so errors do not matter.
    pub fn notify(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight readable bytes.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Resets the counter; was it above zero?
    pub fn take(&self) -> bool {
        let mut count = [0u8; 8];
        // SAFETY: eight writable bytes.
        let read = unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        read == 8
    }

    /// Waits until the counter is above zero, and resets it. False when `timeout_ms` passed first.
    pub fn wait(&self, timeout_ms: i32) -> bool {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd.
        unsafe { libc::poll(&mut poll, 1, timeout_ms) };
        self.take()
    }

    /// # Errors
    /// No file descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<EventFd> for File {
    fn from(event: EventFd) -> Self {
        event.0.into()
    }
}

/// Where a queue's calls go. The frontend replaces the eventfd behind it while workers notify (QEMU does so when a
/// guest masks an interrupt): the descriptor number stays, so workers need no lock.
#[derive(Debug)]
pub struct Notifier(EventFd);

impl Notifier {
    /// Goes nowhere yet.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub fn new() -> io::Result<Self> {
        EventFd::new().map(Self)
    }

    /// Calls the driver. A system call: once a batch.
    pub fn notify(&self) {
        self.0.notify();
    }

    /// From now on calls go to `target`. `target` is called at once, because a call may have gone to the old one
    /// after the frontend looked at it last.
    pub(crate) fn redirect(&self, target: &EventFd) -> io::Result<()> {
        // SAFETY: both descriptors are open; dup3 replaces ours atomically, and both stay owned as they were.
        let result =
            unsafe { libc::dup3(target.as_fd().as_raw_fd(), self.0.as_fd().as_raw_fd(), libc::O_CLOEXEC) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        self.notify();
        Ok(())
    }

    /// From now on calls go nowhere.
    pub(crate) fn disconnect(&self) -> io::Result<()> {
        self.redirect(&EventFd::new()?)
    }
}
