//! A worker: a plain thread that polls its ports' transmit rings and, the first one, the uplink.
//!
//! A ring that was kicked is *active*: it is polled, without kicks and calls, as long as packets come, and a little
//! longer. Then it asks for a kick again. A worker without active rings sleeps in epoll.

mod packets;

pub(crate) use packets::now_ns;

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::{io, process};

use rustix::event::{Timespec, epoll};
use updraft_flow::PortIndex;
use updraft_vhost::{EventFd, QueueHandle};
use updraft_virtio::QueueError;
use updraft_virtio::features::VERSION_1;
use updraft_xdp::xsk;

use crate::offload::{LEGACY_VNET_HEADER_BYTES, VNET_HEADER_BYTES, feature};
use crate::plane::Plane;
use crate::port::Port;
use packets::PacketLoop;

/// Rounds without a packet before a ring goes back to sleep. One round of an idle ring is well below 100 ns, so this
/// is some ten microseconds: less than a wake-up costs.
const IDLE_ROUNDS: u32 = 256;

/// Rounds between two looks at epoll while rings are active.
const ROUNDS_BETWEEN_LOOKS: u32 = 64;

/// Epoll tokens of what is not a ring.
const TOKEN_COMMANDS: u64 = u64::MAX;
const TOKEN_UPLINK: u64 = u64::MAX - 1;

/// A transmit ring of a port.
pub(crate) struct TxQueue {
    pub port: Arc<Port>,
    pub handle: QueueHandle,
    pub header_bytes: usize,
    idle: u32,
    active: bool,
    /// Retired: the driver broke the rules. Kept until it is stopped.
    broken: bool,
}

enum Command {
    Start(Box<(Arc<Port>, QueueHandle)>),
    Stop { port: PortIndex, queue: usize, base: Sender<u16> },
    Quit,
}

/// The other threads' side of a worker. Dropping it ends the worker.
#[derive(Debug)]
pub struct WorkerHandle {
    commands: Sender<Command>,
    wake: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerHandle {
    /// Starts worker `number`; `uplink` are the sockets that it reads, on one worker only.
    ///
    /// # Errors
    /// No thread or descriptor is left.
    pub fn spawn(number: usize, plane: Arc<Plane>, uplink: Vec<xsk::Receiver>) -> io::Result<Self> {
        let (commands, inbox) = mpsc::channel();
        let wake = Arc::new(EventFd::new()?);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &*wake, epoll::EventData::new_u64(TOKEN_COMMANDS), epoll::EventFlags::IN)?;
        for socket in &uplink {
            epoll::add(&epoll, socket, epoll::EventData::new_u64(TOKEN_UPLINK), epoll::EventFlags::IN)?;
        }
        let signal = Arc::clone(&wake);
        let thread = thread::Builder::new().name(format!("netd-worker-{number}")).spawn(move || {
            let _guard = AbortOnPanic;
            let packets = PacketLoop::new(&plane, number);
            let queues = Vec::new();
            Worker { epoll, wake: signal, inbox, queues, uplink, uplink_idle: 0, packets }.run();
        })?;
        Ok(Self { commands, wake, thread: Some(thread) })
    }

    /// Polls a port's transmit ring from now on.
    pub fn start(&self, port: Arc<Port>, queue: QueueHandle) {
        self.tell(Command::Start(Box::new((port, queue))));
    }

    /// Stops a ring and waits until it is; where a successor goes on.
    pub fn stop(&self, port: PortIndex, queue: usize) -> u16 {
        let (base, answer) = mpsc::channel();
        self.tell(Command::Stop { port, queue, base });
        answer.recv().unwrap_or(0)
    }

    fn tell(&self, command: Command) {
        // The worker outlives its handle, or the process is ending.
        let _ = self.commands.send(command);
        self.wake.notify();
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.tell(Command::Quit);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A worker that died would leave its ports dead without a word; a dead process is restarted.
pub(crate) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            process::abort();
        }
    }
}

struct Worker<'a> {
    epoll: rustix::fd::OwnedFd,
    wake: Arc<EventFd>,
    inbox: Receiver<Command>,
    /// By epoll token.
    queues: Vec<Option<TxQueue>>,
    uplink: Vec<xsk::Receiver>,
    uplink_idle: u32,
    packets: PacketLoop<'a>,
}

impl Worker<'_> {
    fn run(mut self) {
        let mut active: Vec<usize> = Vec::new();
        let mut rounds = 0;
        // Frames may have come before epoll was set up.
        self.uplink_idle = 0;
        loop {
            let busy = self.uplink_idle < IDLE_ROUNDS && !self.uplink.is_empty();
            if (!busy && active.is_empty()) || rounds >= ROUNDS_BETWEEN_LOOKS {
                rounds = 0;
                if !self.wait(!busy && active.is_empty(), &mut active) {
                    return;
                }
            }
            rounds += 1;
            self.packets.begin_round();
            if busy {
                self.poll_uplink();
            }
            let (queues, packets) = (&mut self.queues, &mut self.packets);
            active.retain(|&token| queues[token].as_mut().is_some_and(|queue| poll_ring(queue, packets)));
        }
    }

    /// Waits for kicks, frames and commands, or only looks; false when the worker shall end.
    fn wait(&mut self, block: bool, active: &mut Vec<usize>) -> bool {
        let mut events = [const { std::mem::MaybeUninit::<epoll::Event>::uninit() }; 32];
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timeout = if block { None } else { Some(&zero) };
        let Ok((events, _)) = epoll::wait(&self.epoll, &mut events, timeout) else { return true };
        let mut commands = false;
        for event in events.iter() {
            match event.data.u64() {
                TOKEN_COMMANDS => commands = true,
                TOKEN_UPLINK => self.uplink_idle = 0,
                token => self.activate(token as usize, active),
            }
        }
        !commands || self.obey(active)
    }

    fn activate(&mut self, token: usize, active: &mut Vec<usize>) {
        if let Some(queue) = self.queues.get_mut(token).and_then(Option::as_mut)
            && !queue.active
            && !queue.broken
        {
            queue.active = true;
            queue.idle = 0;
            queue.handle.queue.disable_kicks();
            active.push(token);
        }
    }

    /// Follows all commands; false at the last.
    fn obey(&mut self, active: &mut Vec<usize>) -> bool {
        self.wake.take();
        while let Ok(command) = self.inbox.try_recv() {
            match command {
                Command::Start(started) => {
                    let token = self.add(*started);
                    // Requests may lie there already, unannounced.
                    self.activate(token, active);
                }
                Command::Stop { port, queue, base } => {
                    let found = self.remove(port, queue);
                    active.retain(|&token| self.queues[token].is_some());
                    // The asker waits; if it is gone, so is its interest.
                    let _ = base.send(found);
                }
                Command::Quit => return false,
            }
        }
        true
    }

    fn add(&mut self, (port, handle): (Arc<Port>, QueueHandle)) -> usize {
        let token = self.queues.iter().position(Option::is_none).unwrap_or(self.queues.len());
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        // Edge-triggered: a kick wakes the worker once, and the eventfd is never read.
        if let Err(error) =
            epoll::add(&self.epoll, &*handle.kick, epoll::EventData::new_u64(token as u64), flags)
        {
            tracing::error!(port = %port.id, %error, "kicks cannot be watched");
        }
        let long = handle.features & (VERSION_1 | feature::MRG_RXBUF) != 0;
        let header_bytes = if long { VNET_HEADER_BYTES } else { LEGACY_VNET_HEADER_BYTES };
        let queue = TxQueue { port, handle, header_bytes, idle: 0, active: false, broken: false };
        if token == self.queues.len() {
            self.queues.push(None);
        }
        self.queues[token] = Some(queue);
        token
    }

    fn remove(&mut self, port: PortIndex, index: usize) -> u16 {
        let wanted = |queue: &TxQueue| queue.port.index == port && queue.handle.index == index;
        let Some(slot) = self.queues.iter_mut().find(|slot| slot.as_ref().is_some_and(wanted)) else {
            return 0;
        };
        let Some(mut queue) = slot.take() else { return 0 };
        let _ = epoll::delete(&self.epoll, &*queue.handle.kick);
        queue.handle.publish();
        queue.handle.queue.base()
    }

    fn poll_uplink(&mut self) {
        let mut received = 0;
        for socket in &mut self.uplink {
            received += self.packets.forward_uplink(socket);
        }
        self.uplink_idle = if received > 0 { 0 } else { self.uplink_idle + 1 };
    }
}

/// Takes one burst from a ring; false when it goes to sleep.
fn poll_ring(queue: &mut TxQueue, packets: &mut PacketLoop<'_>) -> bool {
    match packets.forward_guest(queue) {
        Ok(0) => {
            queue.idle += 1;
            if queue.idle < IDLE_ROUNDS {
                std::hint::spin_loop();
                return true;
            }
            match queue.handle.queue.enable_kicks() {
                Ok(false) => queue.active = false,
                Ok(true) => {
                    // Something came at the last moment.
                    queue.handle.queue.disable_kicks();
                    queue.idle = 0;
                }
                Err(error) => retire(queue, error),
            }
        }
        Ok(_) => queue.idle = 0,
        Err(error) => retire(queue, error),
    }
    queue.active
}

/// The driver broke the rules of the ring: it is not looked at again.
#[cold]
fn retire(queue: &mut TxQueue, error: QueueError) {
    queue.active = false;
    if !queue.broken {
        queue.broken = true;
        tracing::warn!(port = %queue.port.id, queue = queue.handle.index, %error, "transmit ring retired");
        queue.handle.report_broken();
    }
}
