//! A unix stream that carries messages with file descriptors beside them.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr;

use crate::error::{ProtocolError, SessionError};
use crate::message::{HEADER_BYTES, Header, MAX_DESCRIPTORS};

/// Room for the descriptors of one message, as the kernel lays them out.
const CONTROL_BYTES: usize = 128;

/// A request with what came along.
#[derive(Debug)]
pub(crate) struct Message {
    pub header: Header,
    pub payload: Vec<u8>,
    pub descriptors: Vec<OwnedFd>,
}

/// Reads the next message; `None` when the peer closed between two messages.
pub(crate) fn receive(stream: &UnixStream) -> Result<Option<Message>, SessionError> {
    let mut header = [0; HEADER_BYTES];
    let mut descriptors = Vec::new();
    let first = receive_with_descriptors(stream, &mut header, &mut descriptors)?;
    if first == 0 {
        return Ok(None);
    }
    read_rest(stream, &mut header[first..])?;
    let header = Header::parse(header)?;
    let mut payload = vec![0; header.size as usize];
    read_rest(stream, &mut payload)?;
    Ok(Some(Message { header, payload, descriptors }))
}

fn read_rest(mut stream: &UnixStream, bytes: &mut [u8]) -> Result<(), SessionError> {
    stream.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ProtocolError::Cut.into(),
        _ => error.into(),
    })
}

fn receive_with_descriptors(
    stream: &UnixStream,
    bytes: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> Result<usize, SessionError> {
    let mut control = MaybeUninit::<[u64; CONTROL_BYTES / 8]>::zeroed();
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all zeroes is a valid msghdr.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_BYTES;
    let received = loop {
        // SAFETY: the message points at buffers of the lengths it says, which live until the end of this function.
        let received = unsafe { libc::recvmsg(stream.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC) };
        if received >= 0 {
            break received as usize;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error.into());
        }
    };
    // SAFETY: the kernel filled `message` in and wrote whole headers within msg_controllen; CMSG_* stay inside it.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let len = (*header).cmsg_len - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<i32>();
                for index in 0..len / size_of::<i32>() {
                    // SCM_RIGHTS made these descriptors for us just now: they are nobody else's.
                    descriptors.push(OwnedFd::from_raw_fd(ptr::read_unaligned(data.add(index))));
                }
            }
            header = libc::CMSG_NXTHDR(&message, header);
        }
    }
    if message.msg_flags & libc::MSG_CTRUNC != 0 || descriptors.len() > MAX_DESCRIPTORS {
        return Err(ProtocolError::DescriptorFlood { limit: MAX_DESCRIPTORS }.into());
    }
    Ok(received)
}

/// Sends a message, descriptors with its first byte.
pub(crate) fn send(
    mut stream: &UnixStream,
    header: Header,
    payload: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend_from_slice(payload);
    let sent = if descriptors.is_empty() { 0 } else { send_with_descriptors(stream, &bytes, descriptors)? };
    stream.write_all(&bytes[sent..])
}

fn send_with_descriptors(
    stream: &UnixStream,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let numbers: Vec<i32> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let len = size_of_val(numbers.as_slice());
    let mut control = MaybeUninit::<[u64; CONTROL_BYTES / 8]>::zeroed();
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: all zeroes is a valid msghdr.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: CMSG_SPACE and CMSG_LEN only compute.
    let (space, cmsg_len) = unsafe { (libc::CMSG_SPACE(len as u32), libc::CMSG_LEN(len as u32)) };
    if space as usize > CONTROL_BYTES {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    message.msg_controllen = space as usize;
    // SAFETY: the control buffer is large enough (just checked) and aligned, so the first header lies in it.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = cmsg_len as usize;
        ptr::copy_nonoverlapping(numbers.as_ptr().cast::<u8>(), libc::CMSG_DATA(header), len);
    }
    // SAFETY: the message points at buffers of the lengths it says.
    let sent = unsafe { libc::sendmsg(stream.as_raw_fd(), &message, libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
}
