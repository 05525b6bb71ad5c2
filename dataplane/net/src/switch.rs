//! Carrying out what the engine decided: into another port's ring, out on the uplink, or to the responders.
//!
//! A [`Batch`] lives as long as one burst of packets. It keeps the ring it filled last locked, because the next packet
//! mostly goes to the same one, and shows what it did (one store, at most one system call for each ring and for the
//! uplink) when the burst is over.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use updraft_flow::{PortIndex, Service, Verdict};
use updraft_xdp::xsk::{FRAME_BYTES, Sender};

use crate::offload::{MAX_FRAME_BYTES, Offload, VNET_HEADER_BYTES, finish};
use crate::plane::{Plane, PortTable, count};
use crate::port::{Body, Port, Refused, RxQueue};

/// A packet on its way: the head in private memory behind room for a virtio-net header, then the rest.
pub struct InFlight<'a> {
    /// [`VNET_HEADER_BYTES`] of room, then the first bytes of the frame.
    pub head: &'a mut [u8],
    pub body: Body<'a>,
    pub offload: Offload,
}

impl InFlight<'_> {
    /// The whole frame in private memory, without the room before it.
    pub fn to_vec(&self) -> Vec<u8> {
        let head = &self.head[VNET_HEADER_BYTES..];
        let mut frame = vec![0; head.len() + self.body.len()];
        frame[..head.len()].copy_from_slice(head);
        self.body.read(&mut frame[head.len()..]);
        frame
    }
}

/// Where a packet came from.
#[derive(Clone, Copy)]
pub enum Origin<'a> {
    Port(&'a std::sync::Arc<Port>),
    Uplink,
}

/// Memory that batches of one thread use one after the other.
pub struct Scratch {
    /// Room for the header, then a whole frame.
    frame: Vec<u8>,
    /// Rings filled and not shown to their drivers.
    touched: Vec<(PortIndex, usize)>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { frame: vec![0; VNET_HEADER_BYTES + MAX_FRAME_BYTES], touched: Vec::with_capacity(64) }
    }
}

/// See the module's text.
pub struct Batch<'a> {
    plane: &'a Plane,
    ports: &'a PortTable,
    worker: usize,
    scratch: &'a mut Scratch,
    ring: Option<(&'a Port, usize, MutexGuard<'a, Option<RxQueue>>)>,
    uplink: Option<MutexGuard<'a, Sender>>,
    uplink_packets: u64,
}

impl<'a> Batch<'a> {
    pub fn new(plane: &'a Plane, ports: &'a PortTable, worker: usize, scratch: &'a mut Scratch) -> Self {
        Self { plane, ports, worker, scratch, ring: None, uplink: None, uplink_packets: 0 }
    }

    /// Carries out one verdict.
    #[inline]
    pub fn carry(&mut self, verdict: Verdict, origin: Origin<'_>, packet: &mut InFlight<'_>) {
        match verdict {
            Verdict::Port(index) => self.send_to_port(index, packet),
            Verdict::Uplink => self.send_to_uplink(packet),
            Verdict::Respond(service) => self.leave_to_responder(service, origin, packet),
            // The engine counted it; the port's own counter is ours.
            Verdict::Drop(_) | Verdict::Pass | Verdict::Defer => {
                if let Origin::Port(port) = origin {
                    port.count_drops(1);
                }
            }
        }
    }

    /// Puts a packet into a guest's receive ring.
    #[inline]
    pub fn send_to_port(&mut self, index: PortIndex, packet: &mut InFlight<'_>) {
        let Some(port) = self.ports.get(index) else {
            return count(&self.plane.drops.not_connected);
        };
        let pair = match packet.body {
            Body::Bytes(frame) if packet.head.len() == VNET_HEADER_BYTES => port.pair_for(frame),
            _ => port.pair_for(&packet.head[VNET_HEADER_BYTES..]),
        };
        if !matches!(&self.ring, Some((current, at, _)) if current.index == index && *at == pair) {
            self.leave_ring();
            // One lock at a time, as in `send_to_uplink`; what is queued there is flushed at the end.
            self.uplink = None;
            self.ring = Some((port, pair, port.rx(pair)));
        }
        let Some((_, _, guard)) = &mut self.ring else { return };
        let Some(queue) = guard.as_mut() else {
            port.count_drops(1);
            return count(&self.plane.drops.not_connected);
        };
        let outcome = if packet.offload.accepted_by(queue.features()) {
            queue.deliver(&packet.offload, packet.head, packet.body)
        } else {
            deliver_finished(queue, packet, &mut self.scratch.frame)
        };
        let counter = match outcome {
            Ok(()) => return,
            Err(Refused::RingFull) => &self.plane.drops.rx_ring_full,
            Err(Refused::TooLong) => &self.plane.drops.too_long,
            Err(Refused::Broken) => &self.plane.drops.not_connected,
        };
        port.count_drops(1);
        count(counter);
    }

    /// Sends a packet out on the uplink, as many frames as it takes.
    pub fn send_to_uplink(&mut self, packet: &InFlight<'_>) {
        let (Some(uplink), drops) = (&self.plane.uplink, &self.plane.drops) else {
            return count(&self.plane.drops.no_uplink);
        };
        if self.uplink.is_none() {
            // One lock at a time: another thread may hold the uplink and wait for this ring.
            self.leave_ring();
        }
        let sender = self.uplink.get_or_insert_with(|| uplink.sender(self.worker));
        if packet.offload.segment_payload != 0 {
            let sent = &mut self.uplink_packets;
            let frame = whole(packet, &mut self.scratch.frame);
            finish(frame, &packet.offload, |head, rest| {
                let queued = sender.queue(|frame| join(frame, head, rest));
                if queued { *sent += 1 } else { count(&drops.uplink_full) }
            });
            return;
        }
        let head = &packet.head[VNET_HEADER_BYTES..];
        let len = head.len() + packet.body.len();
        if len > FRAME_BYTES {
            return count(&drops.too_long);
        }
        let queued = sender.queue(|frame| {
            frame[..head.len()].copy_from_slice(head);
            packet.body.read(&mut frame[head.len()..len]);
            finish(&mut frame[..len], &packet.offload, |_, _| {});
            len
        });
        if queued { self.uplink_packets += 1 } else { count(&drops.uplink_full) }
    }

    /// Leaves a copy to the responders' thread.
    #[cold]
    fn leave_to_responder(&mut self, service: Service, origin: Origin<'_>, packet: &InFlight<'_>) {
        if !self.plane.inbox.offer(service, origin, packet) {
            count(&self.plane.drops.responder_busy);
            if let Origin::Port(port) = origin {
                port.count_drops(1);
            }
        }
    }

    #[inline]
    fn leave_ring(&mut self) {
        if let Some((port, pair, _)) = self.ring.take() {
            let ring = (port.index, pair);
            if !self.scratch.touched.contains(&ring) {
                self.scratch.touched.push(ring);
            }
        }
    }

    /// Shows every receiver what it got.
    #[inline]
    pub fn finish(mut self) {
        if let Some((port, pair, guard)) = &mut self.ring {
            if let Some(queue) = guard.as_mut() {
                queue.publish(&port.counters);
            }
            let shown = (port.index, *pair);
            self.scratch.touched.retain(|ring| *ring != shown);
        }
        self.ring = None;
        for (index, pair) in self.scratch.touched.drain(..) {
            let Some(port) = self.ports.get(index) else { continue };
            if let Some(queue) = port.rx(pair).as_mut() {
                queue.publish(&port.counters);
            }
        }
        if let (1.., Some(uplink)) = (self.uplink_packets, &self.plane.uplink) {
            self.uplink.get_or_insert_with(|| uplink.sender(self.worker)).flush();
            uplink.tx_packets.fetch_add(self.uplink_packets, Ordering::Relaxed);
        }
    }
}

/// Writes a frame from two parts; how many bytes, or none when it is too long.
fn join(frame: &mut [u8], head: &[u8], rest: &[u8]) -> usize {
    let len = head.len() + rest.len();
    if len > frame.len() {
        return 0;
    }
    frame[..head.len()].copy_from_slice(head);
    frame[head.len()..len].copy_from_slice(rest);
    len
}

/// The frame in private memory.
fn whole<'s>(packet: &InFlight<'_>, scratch: &'s mut [u8]) -> &'s mut [u8] {
    let head = &packet.head[VNET_HEADER_BYTES..];
    let len = (head.len() + packet.body.len()).min(scratch.len());
    scratch[..head.len()].copy_from_slice(head);
    packet.body.read(&mut scratch[head.len()..len]);
    &mut scratch[..len]
}

/// Does the offloads that the receiver does not take, and delivers what results.
#[cold]
fn deliver_finished(queue: &mut RxQueue, packet: &InFlight<'_>, scratch: &mut [u8]) -> Result<(), Refused> {
    let frame = whole(packet, scratch);
    let mut outcome = Ok(());
    let mut head = [0; VNET_HEADER_BYTES + 256];
    finish(frame, &packet.offload, |first, rest| {
        // Either a whole frame, or the headers of a segment (at most 128 bytes) and its payload.
        let (first, rest) = if rest.is_empty() { (&[][..], first) } else { (first, rest) };
        let head = &mut head[..VNET_HEADER_BYTES + first.len()];
        head[VNET_HEADER_BYTES..].copy_from_slice(first);
        if let Err(refused) = queue.deliver(&Offload::default(), head, Body::Bytes(rest)) {
            outcome = Err(refused);
        }
    });
    outcome
}
