use std::io;

/// What the ring itself can be accused of; the rings's owner cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    #[error("io_uring cannot be set up: {0}")]
    Setup(#[source] io::Error),
    #[error("io_uring cannot register {what}: {source}")]
    Register { what: &'static str, source: io::Error },
    #[error("io_uring cannot be entered: {0}")]
    Enter(#[source] io::Error),
    #[error("the in-flight table of {limit} operations is full")]
    Full { limit: u32 },
    #[error("the request is not in flight")]
    NoSuchRequest,
    #[error("file {index} is not registered")]
    NoSuchFile { index: u32 },
    #[error("bytes {start} to {end} are outside the request's buffers")]
    Span { start: usize, end: usize },
}

/// Why a request failed: the first of its operations that did. The others were still waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The operating system's error number.
    #[error("{}", io::Error::from_raw_os_error(*.0))]
    Os(i32),
    /// The file ended before the transfer did, or a write moved nothing.
    #[error("the transfer stopped after {moved} of {wanted} bytes")]
    Short { moved: u32, wanted: u32 },
}

impl Failure {
    /// True when the storage behind the file is full (ENOSPC, EDQUOT): the request may work later.
    pub fn is_no_space(self) -> bool {
        matches!(self, Self::Os(libc::ENOSPC | libc::EDQUOT))
    }
}
