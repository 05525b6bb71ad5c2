//! A guest without a guest: the driver's side of a network card, on a real vhost-user socket.

#![allow(dead_code)] // each test file uses its part

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use updraft_net::offload::{VNET_HEADER_BYTES, feature};
use updraft_vhost::frontend::{Frontend, QueueEvents};
use updraft_virtio::driver::{DriverQueue, GuestRam};
use updraft_virtio::features::{RING_EVENT_IDX, RING_INDIRECT_DESC, VERSION_1};

/// How long anything may take. Only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_MS: i32 = 30_000;

const RAM_BYTES: usize = 16 << 20;
const RING: u16 = 256;
const TX_BYTES: usize = 1 << 17;

/// What Linux accepts.
pub const LINUX: u64 = VERSION_1
    | RING_EVENT_IDX
    | RING_INDIRECT_DESC
    | feature::CSUM
    | feature::GUEST_CSUM
    | feature::GUEST_TSO4
    | feature::GUEST_ECN
    | feature::HOST_TSO4
    | feature::HOST_ECN
    | feature::MRG_RXBUF;
/// What a driver without any offload accepts.
pub const PLAIN: u64 = VERSION_1 | RING_EVENT_IDX;

/// A frame as a driver gets it.
#[derive(Debug)]
pub struct Received {
    pub header: [u8; VNET_HEADER_BYTES],
    pub frame: Vec<u8>,
}

/// A guest's card with one queue pair, plugged in.
pub struct Plugged {
    pub frontend: Frontend,
    pub ram: Arc<GuestRam>,
    pub rx: DriverQueue,
    pub tx: DriverQueue,
    pub rx_events: QueueEvents,
    pub tx_events: QueueEvents,
    /// Receive buffers by head.
    posted: HashMap<u16, (u64, u32)>,
    /// Where frames to send are put, one after the other.
    tx_area: u64,
    tx_at: usize,
    repost: bool,
}

impl Plugged {
    /// Connects to a port with `buffers` receive buffers of `buffer_bytes` each.
    pub fn plug_with(path: &Path, features: u64, buffers: usize, buffer_bytes: u32) -> Self {
        let ram = GuestRam::new(0x10_0000, RAM_BYTES).unwrap();
        let rx = DriverQueue::new(Arc::clone(&ram), RING, true);
        let tx = DriverQueue::new(Arc::clone(&ram), RING, true);
        let (frontend, rx_events, tx_events) = connect(path, features, &ram, &rx, &tx);
        let tx_area = ram.take(TX_BYTES * 8, 64);
        let mut card = Self {
            frontend,
            rx,
            tx,
            rx_events,
            tx_events,
            posted: HashMap::new(),
            tx_area,
            tx_at: 0,
            repost: true,
            ram,
        };
        for _ in 0..buffers {
            let at = card.ram.take(buffer_bytes as usize, 64);
            card.post((at, buffer_bytes));
        }
        card.publish_rx();
        card
    }

    /// Connects as Linux would.
    pub fn plug(path: &Path) -> Self {
        Self::plug_with(path, LINUX, 128, 1536)
    }

    /// Connects again after the backend went away: the rings go on where the used indexes say.
    pub fn reconnect(&mut self, path: &Path, features: u64) {
        // A backend serves one frontend at a time. One that was killed hung up already.
        let _ = self.frontend.hang_up();
        let (frontend, rx_events, tx_events) = connect(path, features, &self.ram, &self.rx, &self.tx);
        (self.frontend, self.rx_events, self.tx_events) = (frontend, rx_events, tx_events);
    }

    /// Receive buffers are not given back from now on.
    pub fn keep_buffers(&mut self) {
        self.repost = false;
    }

    fn post(&mut self, buffer: (u64, u32)) {
        let head = self.rx.add(&[], &[buffer]).expect("a free descriptor");
        self.posted.insert(head, buffer);
    }

    fn publish_rx(&mut self) {
        if self.rx.publish() {
            self.rx_events.kick.notify();
        }
    }

    /// Sends a frame that needs no offload.
    pub fn send(&mut self, frame: &[u8]) {
        self.send_with([0; VNET_HEADER_BYTES], frame);
    }

    /// Sends a frame behind a header, in two buffers.
    pub fn send_with(&mut self, header: [u8; VNET_HEADER_BYTES], frame: &[u8]) {
        self.queue_with(header, frame);
        self.kick();
    }

    /// Puts a frame into the ring without showing it.
    pub fn queue_with(&mut self, header: [u8; VNET_HEADER_BYTES], frame: &[u8]) {
        while self.tx.poll().is_some() {}
        let slot = self.tx_area + (TX_BYTES * (self.tx_at % 8)) as u64;
        self.tx_at += 1;
        self.ram.write(slot, &header);
        self.ram.write(slot + 64, frame);
        let buffers = [(slot, VNET_HEADER_BYTES as u32), (slot + 64, frame.len() as u32)];
        self.tx.add(&buffers, &[]).expect("a free descriptor");
    }

    pub fn kick(&mut self) {
        if self.tx.publish() {
            self.tx_events.kick.notify();
        }
    }

    /// Waits until the backend took everything that was sent.
    pub fn wait_sent(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.tx.free() < usize::from(RING) {
            if self.tx.poll().is_none() && !self.tx.enable_calls() {
                assert!(Instant::now() < deadline, "the backend does not take packets");
                self.tx_events.call.wait(PATIENCE_MS);
            }
        }
    }

    /// The next frame, if one is there.
    pub fn try_receive(&mut self) -> Option<Received> {
        let (head, written) = self.rx.poll()?;
        let mut bytes = self.take(head, written);
        let header: [u8; VNET_HEADER_BYTES] = bytes[..VNET_HEADER_BYTES].try_into().unwrap();
        let buffers = u16::from_le_bytes([header[10], header[11]]);
        for _ in 1..buffers {
            let (head, written) = self.rx.poll().expect("all buffers of a frame are used at once");
            bytes.extend(self.take(head, written));
        }
        self.publish_rx();
        Some(Received { header, frame: bytes.split_off(VNET_HEADER_BYTES) })
    }

    fn take(&mut self, head: u16, written: u32) -> Vec<u8> {
        let (at, len) = self.posted.remove(&head).expect("a head that was posted");
        assert!(written <= len);
        let mut bytes = vec![0; written as usize];
        self.ram.read(at, &mut bytes);
        if self.repost {
            self.post((at, len));
        }
        bytes
    }

    /// Waits for the next frame.
    pub fn receive(&mut self) -> Received {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(received) = self.try_receive() {
                return received;
            }
            assert!(Instant::now() < deadline, "no frame came");
            if !self.rx.enable_calls() {
                self.rx_events.call.wait(PATIENCE_MS);
            }
        }
    }

    /// Sends `probe`, whose answer is sure, and checks that nothing came before that answer.
    pub fn expect_quiet(&mut self, probe: &[u8], is_answer: impl Fn(&[u8]) -> bool) {
        self.send(probe);
        let received = self.receive();
        assert!(is_answer(&received.frame), "something else came: {:02x?}", received.frame);
    }
}

fn connect(
    path: &Path,
    features: u64,
    ram: &GuestRam,
    rx: &DriverQueue,
    tx: &DriverQueue,
) -> (Frontend, QueueEvents, QueueEvents) {
    let mut frontend = Frontend::connect(path, PATIENCE).unwrap();
    assert_eq!(frontend.negotiate(features).unwrap(), features, "features that a port must offer");
    frontend.set_memory(&[ram]).unwrap();
    let rx_events = frontend.start_queue(0, rx, rx.used_index()).unwrap();
    let tx_events = frontend.start_queue(1, tx, tx.used_index()).unwrap();
    (frontend, rx_events, tx_events)
}

/// The header of a TCP frame whose checksum is not computed, and which is to be cut into pieces of `segment` bytes.
pub fn tcp_header(segment: u16) -> [u8; VNET_HEADER_BYTES] {
    let mut header = [0; VNET_HEADER_BYTES];
    header[0] = 1;
    header[6..8].copy_from_slice(&34u16.to_le_bytes());
    header[8..10].copy_from_slice(&16u16.to_le_bytes());
    if segment > 0 {
        header[1] = 1;
        header[2..4].copy_from_slice(&54u16.to_le_bytes());
        header[4..6].copy_from_slice(&segment.to_le_bytes());
    }
    header
}
