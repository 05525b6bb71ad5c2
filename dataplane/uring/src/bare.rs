//! Random reads with nothing but a ring: the limit that a block backend over io_uring can come near to. For benches.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use io_uring::{opcode, types};

use crate::ring::build;

/// What a run of random reads was like.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    pub count: u64,
    pub elapsed: Duration,
    /// Of each read, from submission to completion, in nanoseconds.
    pub latencies_ns: Vec<u32>,
}

/// Keeps `depth` reads of `block_bytes` under way for `duration`, at the offsets that `next` gives; `check` sees the
/// offset and the bytes of each and says whether they are right.
///
/// # Errors
/// io_uring's, a short read, or bytes that are not right.
pub fn random_reads(
    file: &File,
    depth: u32,
    block_bytes: usize,
    duration: Duration,
    mut next: impl FnMut() -> u64,
    check: impl Fn(u64, &[u8]) -> bool,
) -> io::Result<Reads> {
    let mut ring = build(depth.next_power_of_two().max(2))?;
    let mut buffers = vec![vec![0_u8; block_bytes]; depth as usize];
    let vectors: Vec<_> = buffers
        .iter_mut()
        .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: block_bytes })
        .collect();
    ring.submitter().register_files(&[file.as_raw_fd()])?;
    // SAFETY: the buffers live until the end of this function and are neither moved nor dropped before the loop below
    // has seen the completion of every read.
    unsafe { ring.submitter().register_buffers(&vectors) }?;
    let mut under_way = vec![(0_u64, Instant::now()); depth as usize];
    let mut idle: Vec<u32> = (0..depth).collect();
    let mut reads = Reads::default();
    let mut failure = None;
    let begin = Instant::now();
    loop {
        let now = Instant::now();
        if failure.is_none() && now - begin < duration {
            for slot in idle.drain(..) {
                let offset = next();
                under_way[slot as usize] = (offset, now);
                let address = vectors[slot as usize].iov_base.cast();
                let read = opcode::ReadFixed::new(types::Fixed(0), address, block_bytes as u32, slot as u16);
                let entry = read.offset(offset).build().user_data(u64::from(slot));
                // SAFETY: as above; at most `depth` entries are in the queue, which has room for them.
                unsafe { ring.submission().push(&entry) }.map_err(io::Error::other)?;
            }
        } else if idle.len() == depth as usize {
            break;
        }
        ring.submit_and_wait(1)?;
        let ended = Instant::now();
        for entry in ring.completion() {
            let slot = entry.user_data() as usize;
            let (offset, begun) = under_way[slot];
            let whole = usize::try_from(entry.result()) == Ok(block_bytes);
            if !whole || !check(offset, &buffers[slot]) {
                failure = Some(io::Error::other(format!("wrong bytes at {offset}: {}", entry.result())));
            }
            reads.count += 1;
            reads.latencies_ns.push((ended - begun).as_nanos().min(u128::from(u32::MAX)) as u32);
            idle.push(slot as u32);
        }
    }
    reads.elapsed = begin.elapsed();
    failure.map_or(Ok(reads), Err)
}
