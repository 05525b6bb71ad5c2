//! The ring: submission in batches, the in-flight table, completions, watches.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use updraft_virtio::{Chain, GuestMemory};

use crate::error::{Failure, RingError};
use crate::operation::{FileIndex, Kind, Operation, Span};
use crate::registered::Registered;
use crate::slots::{Key, Slots};

/// The most operations that one ring has in flight. Pushing one more is refused with [`RingError::Full`].
pub const MAX_OPERATIONS: u32 = 4096;
/// Marks the user data of watches; operations have it clear.
const WATCH: u64 = 1 << 63;

/// Sizes of a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingConfig {
    /// Entries of the submission queue, a power of two; a full queue is submitted and goes on.
    pub entries: u32,
    /// Requests in flight at most; one more is handed back.
    pub requests: u32,
}

/// A request in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Key);

/// All operations of a request have ended.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    pub request: RequestId,
    pub result: Result<(), Failure>,
}

#[derive(Debug)]
struct Request<T> {
    chain: Chain,
    state: T,
    outstanding: u32,
    failure: Option<Failure>,
}

/// A ring for the thread that made it.
pub struct Ring<T> {
    uring: IoUring,
    requests: Slots<Request<T>>,
    operations: Slots<Operation>,
    finished: VecDeque<Finished>,
    signals: VecDeque<u32>,
    files: Vec<Arc<File>>,
    registered: Registered,
    watches: Vec<OwnedFd>,
    /// Watches that the kernel dropped and that must be armed again.
    unarmed: Vec<u32>,
    spare_vectors: Vec<Vec<libc::iovec>>,
}

impl<T> Ring<T> {
    /// Makes a ring whose operations name `files` by their place in the list. It must be used by this thread only.
    ///
    /// # Errors
    /// The kernel has no io_uring, or a limit on it.
    pub fn new(config: RingConfig, files: Vec<Arc<File>>) -> Result<Self, RingError> {
        let uring = build(config.entries).map_err(RingError::Setup)?;
        if !files.is_empty() {
            let raw: Vec<_> = files.iter().map(|file| file.as_raw_fd()).collect();
            let registered = uring.submitter().register_files(&raw);
            registered.map_err(|source| RingError::Register { what: "files", source })?;
        }
        Ok(Self {
            uring,
            requests: Slots::new(config.requests),
            operations: Slots::new(MAX_OPERATIONS),
            finished: VecDeque::new(),
            signals: VecDeque::new(),
            files,
            registered: Registered::default(),
            watches: Vec::new(),
            unarmed: Vec::new(),
            spare_vectors: Vec::new(),
        })
    }

    /// Registers `memory` as fixed buffers, which pins all of it. Requests in other memory work as before.
    ///
    /// # Errors
    /// Not enough lockable memory. The ring works without.
    pub fn register_memory(&mut self, memory: &Arc<GuestMemory>) -> Result<(), RingError> {
        let refused = |source| RingError::Register { what: "guest memory", source };
        let Some((registered, buffers)) = Registered::plan(memory) else {
            return Err(refused(io::ErrorKind::InvalidInput.into()));
        };
        self.unregister_memory();
        // SAFETY: the buffers are the mapped regions of `memory`, which `registered` keeps mapped until they are
        // unregistered; the kernel holds the pages themselves from here on.
        unsafe { self.uring.submitter().register_buffers(&buffers) }.map_err(refused)?;
        self.registered = registered;
        Ok(())
    }

    /// Lets go of the registered memory. Operations in flight keep what they use.
    pub fn unregister_memory(&mut self) {
        // Fails only when nothing is registered.
        let _ = self.uring.submitter().unregister_buffers();
        self.registered = Registered::default();
    }

    /// Wakes [`Ring::wait`] whenever `fd` becomes readable; [`Ring::next_signal`] tells the number that is returned
    /// here. An eventfd need not be read: each write to it is one event.
    pub fn watch(&mut self, fd: OwnedFd) -> u32 {
        let index = self.watches.len() as u32;
        self.watches.push(fd);
        self.unarmed.push(index);
        index
    }

    /// How many operations can be pushed before [`RingError::Full`].
    #[inline]
    pub fn room(&self) -> usize {
        MAX_OPERATIONS as usize - self.operations.len()
    }

    /// Requests that are not yet taken back.
    #[inline]
    pub fn in_flight(&self) -> usize {
        self.requests.len()
    }

    /// Takes a request in. Operations can be pushed for it until [`Ring::take`].
    ///
    /// # Errors
    /// The table is full; chain and state come back.
    #[inline]
    pub fn start(&mut self, chain: Chain, state: T) -> Result<RequestId, (Chain, T)> {
        let request = Request { chain, state, outstanding: 0, failure: None };
        self.requests.insert(request).map(RequestId).map_err(|request| (request.chain, request.state))
    }

    /// The request's buffers and state.
    #[inline]
    pub fn request(&mut self, id: RequestId) -> Option<(&Chain, &mut T)> {
        self.requests.get_mut(id.0).map(|request| (&request.chain, &mut request.state))
    }

    /// Gives the request back, unless operations of it are in flight.
    #[inline]
    pub fn take(&mut self, id: RequestId) -> Option<(Chain, T)> {
        if self.requests.get(id.0)?.outstanding > 0 {
            return None;
        }
        self.requests.remove(id.0).map(|request| (request.chain, request.state))
    }

    /// Operations of the request that have not ended.
    #[inline]
    pub fn outstanding(&self, id: RequestId) -> u32 {
        self.requests.get(id.0).map_or(0, |request| request.outstanding)
    }

    /// Makes the request fail once its operations have ended.
    pub fn fail(&mut self, id: RequestId, failure: Failure) {
        if let Some(request) = self.requests.get_mut(id.0) {
            request.failure.get_or_insert(failure);
        }
    }

    /// Reads from the file at `offset_bytes` into `span` of the request's writable part.
    ///
    /// # Errors
    /// A full table, an unknown request or file, a span outside the buffers.
    #[inline]
    pub fn read(
        &mut self,
        id: RequestId,
        file: FileIndex,
        offset_bytes: u64,
        span: Span,
    ) -> Result<(), RingError> {
        self.push(id, Kind::Read, file, offset_bytes, span)
    }

    /// Writes `span` of the request's readable part to the file at `offset_bytes`.
    ///
    /// # Errors
    /// As [`Ring::read`].
    #[inline]
    pub fn write(
        &mut self,
        id: RequestId,
        file: FileIndex,
        offset_bytes: u64,
        span: Span,
    ) -> Result<(), RingError> {
        self.push(id, Kind::Write, file, offset_bytes, span)
    }

    /// Makes all earlier *completed* writes to the file durable (fdatasync).
    ///
    /// # Errors
    /// As [`Ring::read`].
    pub fn datasync(&mut self, id: RequestId, file: FileIndex) -> Result<(), RingError> {
        self.push(id, Kind::Datasync, file, 0, 0..0)
    }

    /// Makes a hole, which reads as zeroes.
    ///
    /// # Errors
    /// As [`Ring::read`].
    pub fn punch(
        &mut self,
        id: RequestId,
        file: FileIndex,
        offset_bytes: u64,
        len_bytes: u64,
    ) -> Result<(), RingError> {
        self.push(id, Kind::Punch { len_bytes }, file, offset_bytes, 0..0)
    }

    #[inline]
    fn push(
        &mut self,
        id: RequestId,
        kind: Kind,
        file: FileIndex,
        offset_bytes: u64,
        span: Span,
    ) -> Result<(), RingError> {
        let request = self.requests.get_mut(id.0).ok_or(RingError::NoSuchRequest)?;
        let limit = match kind {
            Kind::Read => request.chain.writable_len(),
            Kind::Write => request.chain.readable_len(),
            Kind::Datasync | Kind::Punch { .. } => 0,
        };
        if span.start > span.end || span.end > limit {
            return Err(RingError::Span { start: span.start, end: span.end });
        }
        if file.0 as usize >= self.files.len() {
            return Err(RingError::NoSuchFile { index: file.0 });
        }
        let vectors = self.spare_vectors.pop().unwrap_or_default();
        let operation = Operation { request: id.0, kind, file, offset_bytes, span, moved: 0, vectors };
        let limit = self.operations.limit();
        let key = self.operations.insert(operation).map_err(|_| RingError::Full { limit })?;
        request.outstanding += 1;
        self.enqueue(key)
    }

    /// Builds the operation's entry and puts it into the submission queue, submitting first when that is full.
    #[inline]
    fn enqueue(&mut self, key: Key) -> Result<(), RingError> {
        let Some(operation) = self.operations.get_mut(key) else { return Ok(()) };
        let Some(request) = self.requests.get(operation.request) else { return Ok(()) };
        let user_data = u64::from(key.generation) << 32 | u64::from(key.index);
        let entry = operation.entry(&request.chain, &self.registered).user_data(user_data);
        let pushed = self.push_entry(&entry);
        if pushed.is_err() {
            self.end(key, Some(Failure::Os(libc::EIO)));
        }
        pushed
    }

    #[inline]
    fn push_entry(&mut self, entry: &squeue::Entry) -> Result<(), RingError> {
        loop {
            // SAFETY: an operation's addresses point into its request's chain and its own vectors, both owned by
            // this ring until the completion was seen (`take` refuses before, `drop` waits or leaks); a watch's
            // descriptor is owned by the ring as well.
            if unsafe { self.uring.submission().push(entry) }.is_ok() {
                return Ok(());
            }
            self.enter(0, None)?;
        }
    }

    /// Submits everything that was pushed, and collects what is complete, without waiting.
    ///
    /// # Errors
    /// The ring is broken.
    #[inline]
    pub fn turn(&mut self) -> Result<(), RingError> {
        self.arm()?;
        let submission = self.uring.submission();
        let work = !submission.is_empty() || submission.taskrun() || submission.cq_overflow();
        drop(submission);
        if work {
            self.enter(0, None)?;
        }
        self.collect()
    }

    /// Submits and sleeps until something completes, a watch fires or `timeout` passes.
    ///
    /// # Errors
    /// The ring is broken.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<(), RingError> {
        self.arm()?;
        self.collect()?;
        if self.finished.is_empty() && self.signals.is_empty() {
            self.enter(1, timeout)?;
            self.collect()?;
        }
        Ok(())
    }

    /// The next request whose operations have all ended.
    #[inline]
    pub fn next_finished(&mut self) -> Option<Finished> {
        self.finished.pop_front()
    }

    /// The next watch that fired.
    #[inline]
    pub fn next_signal(&mut self) -> Option<u32> {
        self.signals.pop_front()
    }

    fn arm(&mut self) -> Result<(), RingError> {
        while let Some(index) = self.unarmed.pop() {
            let fd = types::Fd(self.watches[index as usize].as_raw_fd());
            let entry = opcode::PollAdd::new(fd, libc::POLLIN as u32).multi(true).build();
            self.push_entry(&entry.user_data(WATCH | u64::from(index)))?;
        }
        Ok(())
    }

    fn enter(&mut self, want: usize, timeout: Option<Duration>) -> Result<(), RingError> {
        let submitter = self.uring.submitter();
        let entered = match timeout {
            Some(timeout) => {
                let limit = types::Timespec::from(timeout);
                submitter.submit_with_args(want, &types::SubmitArgs::new().timespec(&limit))
            }
            None => submitter.submit_and_wait(want),
        };
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // Nothing happened in time, a signal, or the kernel asks for completions to be collected first.
                Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY) => self.collect(),
                _ => Err(RingError::Enter(error)),
            },
        }
    }

    #[inline]
    fn collect(&mut self) -> Result<(), RingError> {
        loop {
            let next = self.uring.completion().next();
            let Some(entry) = next else { return Ok(()) };
            if entry.user_data() & WATCH != 0 {
                self.signalled(&entry);
            } else {
                self.completed(&entry)?;
            }
        }
    }

    fn signalled(&mut self, entry: &cqueue::Entry) {
        let index = (entry.user_data() & u64::from(u32::MAX)) as u32;
        if !cqueue::more(entry.flags()) {
            self.unarmed.push(index);
        }
        if !self.signals.contains(&index) {
            self.signals.push_back(index);
        }
    }

    #[inline]
    fn completed(&mut self, entry: &cqueue::Entry) -> Result<(), RingError> {
        let user_data = entry.user_data();
        let key = Key { index: user_data as u32, generation: (user_data >> 32) as u32 };
        let Some(operation) = self.operations.get_mut(key) else { return Ok(()) };
        let failure = match (&operation.kind, u32::try_from(entry.result())) {
            (Kind::Read | Kind::Write, Ok(count)) => {
                if count > 0 && !operation.advance(count) {
                    return self.enqueue(key);
                }
                let wanted = operation.moved.saturating_add(operation.span.len() as u32);
                (!operation.span.is_empty()).then_some(Failure::Short { moved: operation.moved, wanted })
            }
            (Kind::Datasync | Kind::Punch { .. }, Ok(_)) => None,
            (_, Err(_)) => match -entry.result() {
                libc::EINTR | libc::EAGAIN => return self.enqueue(key),
                errno => Some(Failure::Os(errno)),
            },
        };
        self.end(key, failure);
        Ok(())
    }

    #[inline]
    fn end(&mut self, key: Key, failure: Option<Failure>) {
        let Some(operation) = self.operations.remove(key) else { return };
        self.spare_vectors.push(operation.vectors);
        let Some(request) = self.requests.get_mut(operation.request) else { return };
        request.outstanding -= 1;
        if let Some(failure) = failure {
            request.failure.get_or_insert(failure);
        }
        if request.outstanding == 0 {
            let result = request.failure.take().map_or(Ok(()), Err);
            self.finished.push_back(Finished { request: RequestId(operation.request), result });
        }
    }
}

/// Waits for the kernel to let go of all memory and of the files (a lock on one of them may hold up a successor); when the ring is too broken for that, leaks the memory instead.
impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        while self.operations.len() > 0 {
            if self.enter(1, None).is_err() || self.collect().is_err() {
                mem::forget(mem::replace(&mut self.requests, Slots::new(0)));
                mem::forget(mem::replace(&mut self.operations, Slots::new(0)));
                return;
            }
        }
        self.unregister_memory();
        // Fails only when none is registered.
        let _ = self.uring.submitter().unregister_files();
    }
}

/// The cheapest kind of ring that this kernel has: completions are worked on only when this thread asks.
pub(crate) fn build(entries: u32) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
    builder.setup_submit_all().setup_cqsize(entries * 4).dontfork();
    builder.build(entries).or_else(|_| IoUring::new(entries))
}
