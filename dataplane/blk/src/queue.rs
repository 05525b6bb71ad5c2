//! One queue on one thread: requests out of the ring of the guest, operations into the ring of the kernel, a batch
//! at a time, and answers back in the order in which the requests came.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use updraft_uring::{Finished, RequestId, Ring, RingConfig, RingError};
use updraft_vhost::{EventFd, QueueHandle};
use updraft_virtio::Chain;

use crate::device::{BlockDevice, Channel, DeviceError, Geometry, Io, Operation};
use crate::request::{HEADER_BYTES, ID_BYTES, Refusal, Request, Status, parse};
use crate::stats::QueueStats;

/// Entries of the kernel's submission queue.
const RING_ENTRIES: u32 = 256;
/// The most operations that one request becomes: its largest size in chunks of a volume, one for each, and slack.
/// Requests are taken only while so many fit.
const MAX_OPERATIONS_PER_REQUEST: usize = 520;
/// The most requests that are taken before the kernel is entered. A larger batch would save little of the call, and
/// the guest, which could make its next requests meanwhile, would wait for the answers to all of it.
const MAX_BATCH: usize = 8;
/// The longest time that a queue looks for requests without sleeping. Reached only while requests keep coming at
/// shorter intervals than this; an idle queue sleeps at once.
const MAX_SPIN: Duration = Duration::from_micros(40);
/// Looks at the clock once in so many empty turns.
const TURNS_PER_CLOCK: u32 = 16;

/// The shortest time between two messages about failed requests of a queue.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// A request between guest and kernel.
#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    operation: Operation,
    stage: u8,
    /// `start` or `resume` has failed; what is still in the kernel is waited for.
    failed: bool,
}

/// What a queue thread is made of.
pub struct QueueParts {
    pub handle: QueueHandle,
    pub device: Arc<dyn BlockDevice>,
    /// The answer to GET_ID, padded with zeroes.
    pub id: [u8; ID_BYTES],
    pub stats: Arc<QueueStats>,
}

/// Why a queue thread cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum QueueFailure {
    #[error("the device cannot be reached")]
    Device(#[from] DeviceError),
    #[error("the ring failed")]
    Ring(#[from] RingError),
    #[error("an event cannot be watched")]
    Event(#[from] std::io::Error),
}

/// A running queue. Belongs to the thread that made it.
pub struct Queue {
    handle: QueueHandle,
    ring: Ring<InFlight>,
    channel: Box<dyn Channel>,
    geometry: Geometry,
    id: [u8; ID_BYTES],
    stats: Arc<QueueStats>,
    /// Chains to be filled again, so that no request allocates.
    spare: Vec<Chain>,
    /// The driver broke its rules: nothing is taken any more.
    retired: bool,
    /// When a failed request was last logged, and how many were not since.
    logged: Option<Instant>,
    unlogged: u64,
}

impl Queue {
    /// # Errors
    /// The kernel has no io_uring, or the device cannot be opened for this thread.
    pub fn new(parts: QueueParts) -> Result<Self, QueueFailure> {
        let QueueParts { handle, device, id, stats } = parts;
        let geometry = device.geometry();
        let config = RingConfig { entries: RING_ENTRIES, requests: u32::from(handle.queue.size()) };
        let opened = device.open_channel().map_err(QueueFailure::from).and_then(|channel| {
            let ring = Ring::new(config, channel.files())?;
            Ok((channel, ring))
        });
        match opened {
            Ok((channel, ring)) => Ok(Self {
                handle,
                ring,
                channel,
                geometry,
                id,
                stats,
                spare: Vec::new(),
                retired: false,
                logged: None,
                unlogged: 0,
            }),
            Err(failure) => {
                handle.report_broken();
                Err(failure)
            }
        }
    }

    /// Takes what the guest has made available, does what can be done now and answers what is done, without
    /// waiting. True when something moved.
    ///
    /// # Errors
    /// The ring is broken.
    #[inline]
    pub fn turn(&mut self) -> Result<bool, RingError> {
        let taken = self.take_requests();
        self.ring.turn()?;
        let mut moved = taken;
        while let Some(finished) = self.ring.next_finished() {
            self.finished(finished);
            moved = true;
        }
        if moved {
            self.handle.publish();
        }
        Ok(moved)
    }

    /// Where a successor goes on, once nothing is in flight.
    pub fn base(&self) -> u16 {
        self.handle.queue.base()
    }

    /// Requests in the kernel.
    pub fn in_flight(&self) -> usize {
        self.ring.in_flight()
    }

    /// True when the driver broke its rules and the queue stands still for that.
    pub fn is_retired(&self) -> bool {
        self.retired
    }

    #[inline]
    fn take_requests(&mut self) -> bool {
        let mut taken = 0;
        while taken < MAX_BATCH && !self.retired && self.ring.room() >= MAX_OPERATIONS_PER_REQUEST {
            let mut chain = self.spare.pop().unwrap_or_default();
            match self.handle.queue.pop(&mut chain) {
                Ok(true) => {
                    self.begin(chain);
                    taken += 1;
                }
                Ok(false) => {
                    self.spare.push(chain);
                    break;
                }
                Err(error) => {
                    tracing::warn!(queue = self.handle.index, %error, "queue retired");
                    self.retire();
                }
            }
        }
        taken > 0
    }

    fn retire(&mut self) {
        self.retired = true;
        self.handle.report_broken();
    }

    #[inline]
    fn begin(&mut self, chain: Chain) {
        let operation = match parse(&chain, &self.geometry) {
            Ok(Request::Device(operation)) => operation,
            Ok(Request::GetId) => {
                let room = (chain.writable_len() - 1).min(ID_BYTES);
                chain.write(0, &self.id[..room]);
                return self.answer(chain, Status::OK);
            }
            Err(Refusal::Answer(status)) => {
                self.stats.count_error();
                return self.answer(chain, status);
            }
            Err(Refusal::Malformed) => {
                tracing::warn!(queue = self.handle.index, "request without header or status: queue retired");
                return self.retire();
            }
        };
        let state = InFlight { operation, stage: 0, failed: false };
        match self.ring.start(chain, state) {
            Ok(request) => {
                let mut io = Io { ring: &mut self.ring, request, data_start: HEADER_BYTES };
                let outcome = self.channel.start(&mut io, operation);
                self.proceed(request, outcome);
            }
            // As many requests as the queue has descriptors fit, so this needs a bug; the guest need not suffer.
            Err((chain, _)) => self.answer(chain, Status::IO_ERROR),
        }
    }

    #[inline]
    fn finished(&mut self, finished: Finished) {
        let Finished { request, result } = finished;
        let Some((_, state)) = self.ring.request(request) else { return };
        state.stage = state.stage.saturating_add(1);
        let InFlight { operation, stage, failed } = *state;
        if failed {
            self.channel.abandon(request);
            return self.end(request, Status::IO_ERROR);
        }
        let mut io = Io { ring: &mut self.ring, request, data_start: HEADER_BYTES };
        let outcome = self.channel.resume(&mut io, operation, stage, result);
        self.proceed(request, outcome);
    }

    /// After `start` or `resume`: done, waiting for the kernel, or failed.
    #[inline]
    fn proceed(&mut self, request: RequestId, outcome: Result<(), DeviceError>) {
        let idle = self.ring.outstanding(request) == 0;
        match outcome {
            Ok(()) if idle => self.end(request, Status::OK),
            Ok(()) => {}
            Err(error) => {
                self.log(request, &error);
                if idle {
                    let unsupported = matches!(error, DeviceError::Unsupported);
                    self.end(request, if unsupported { Status::UNSUPPORTED } else { Status::IO_ERROR });
                } else if let Some((_, state)) = self.ring.request(request) {
                    state.failed = true;
                }
            }
        }
    }

    /// Says why, at most once in [`LOG_PAUSE`]: a guest decides how often this is called.
    #[cold]
    fn log(&mut self, request: RequestId, error: &DeviceError) {
        if self.logged.is_some_and(|logged| logged.elapsed() < LOG_PAUSE) {
            self.unlogged += 1;
            return;
        }
        self.logged = Some(Instant::now());
        let unlogged = std::mem::take(&mut self.unlogged);
        let operation = self.ring.request(request).map(|(_, state)| state.operation);
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(queue = self.handle.index, ?operation, %error, source, unlogged, "request failed");
    }

    #[inline]
    fn end(&mut self, request: RequestId, status: Status) {
        let Some((chain, state)) = self.ring.take(request) else { return };
        if status == Status::OK {
            self.stats.count(state.operation);
        } else {
            self.stats.count_error();
        }
        self.answer(chain, status);
    }

    #[inline]
    fn answer(&mut self, chain: Chain, status: Status) {
        // `parse` has seen that there is a byte for it.
        chain.write(chain.writable_len() - 1, &[status.0]);
        self.handle.queue.complete(chain.ticket(), chain.writable_len() as u32);
        self.spare.push(chain);
    }

    /// Runs until `stop` is notified; then no request is in flight. Where a successor goes on.
    ///
    /// # Errors
    /// The ring or an event descriptor fails.
    pub fn run(&mut self, stop: &EventFd) -> Result<u16, QueueFailure> {
        self.ring.watch(self.handle.kick.as_fd().try_clone_to_owned()?);
        let stopped = self.ring.watch(stop.as_fd().try_clone_to_owned()?);
        let mut spin = Spin::default();
        self.handle.queue.disable_kicks();
        loop {
            let moved = self.turn()?;
            self.stats.count_turn();
            while let Some(signal) = self.ring.next_signal() {
                if signal == stopped {
                    return self.drain();
                }
            }
            if !moved && !spin.goes_on() && !self.has_requests() {
                let asleep = Instant::now();
                self.ring.wait(None)?;
                spin.woke(asleep.elapsed());
                self.handle.queue.disable_kicks();
            } else if moved {
                spin.restart();
            }
        }
    }

    /// Asks for kicks; true, and kicks are off again, when requests came before that.
    fn has_requests(&mut self) -> bool {
        // A queue that is retired takes no requests; one without room waits for completions first.
        if self.retired || self.ring.room() < MAX_OPERATIONS_PER_REQUEST {
            return false;
        }
        let some = self.handle.queue.enable_kicks().unwrap_or(true);
        if some {
            self.handle.queue.disable_kicks();
        }
        some
    }

    fn drain(&mut self) -> Result<u16, QueueFailure> {
        while self.ring.in_flight() > 0 {
            self.ring.wait(None)?;
            while let Some(finished) = self.ring.next_finished() {
                self.finished(finished);
            }
        }
        self.handle.publish();
        Ok(self.handle.queue.base())
    }
}

/// How long to look for requests before sleeping: as long as waiting has lately been worth it.
#[derive(Debug, Default)]
struct Spin {
    window: Duration,
    turns: u32,
    since: Option<Instant>,
}

impl Spin {
    fn restart(&mut self) {
        self.turns = 0;
        self.since = None;
    }

    /// One more empty turn; may there be another?
    #[inline]
    fn goes_on(&mut self) -> bool {
        if self.window.is_zero() {
            return false;
        }
        std::hint::spin_loop();
        self.turns += 1;
        if !self.turns.is_multiple_of(TURNS_PER_CLOCK) {
            return true;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() < self.window
    }

    /// A sleep that was shorter than the longest window would better have been a spin; a longer one was right.
    fn woke(&mut self, slept: Duration) {
        self.window = if slept < MAX_SPIN { MAX_SPIN } else { self.window / 2 };
        if self.window < MAX_SPIN / 8 {
            self.window = Duration::ZERO;
        }
        self.restart();
    }
}
