//! One connection: what the frontend has told us, and the queues that follow from it.
//!
//! A queue runs when it has everything: memory, addresses, a kick, and leave to run. Whatever a message changes under
//! a running queue, the queue is stopped first (which drains it), changed, and started again where it was.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use updraft_virtio::features::{RING_EVENT_IDX, RING_INDIRECT_DESC, VERSION_1};
use updraft_virtio::queue::{MAX_QUEUE_SIZE, QueueConfig};
use updraft_virtio::{GuestMemory, RegionSpec, SplitQueue};

use crate::device::{Device, QueueHandle};
use crate::error::{ProtocolError, SessionError};
use crate::event::{EventFd, Notifier};
use crate::message::{
    F_PROTOCOL_FEATURES, Fields, Header, MAX_CONFIG_BYTES, MAX_DESCRIPTORS, VRING_NO_DESCRIPTOR,
    protocol_feature, request,
};
use crate::socket::Message;

/// What is sent back: a header and its payload.
type Reply = Option<(Header, Vec<u8>)>;

/// Bytes of one entry in a memory table.
const REGION_BYTES: usize = 32;

/// A queue as the frontend described it so far.
#[derive(Debug)]
struct Vring {
    size: u16,
    base: u16,
    /// Descriptor table, available and used ring, in the frontend's addresses.
    addresses: Option<[u64; 3]>,
    kick: Option<Arc<EventFd>>,
    call: Arc<Notifier>,
    error: Option<Arc<EventFd>>,
    enabled: bool,
    running: bool,
}

impl Vring {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            size: 0,
            base: 0,
            addresses: None,
            kick: None,
            call: Arc::new(Notifier::new()?),
            error: None,
            enabled: false,
            running: false,
        })
    }
}

pub(crate) struct Session<'a> {
    device: &'a mut dyn Device,
    features: u64,
    protocol_features: u64,
    memory: Option<Arc<GuestMemory>>,
    /// Made when first mentioned: a device may have many queues of which a guest uses one.
    vrings: Vec<Option<Vring>>,
}

impl<'a> Session<'a> {
    pub fn new(device: &'a mut dyn Device) -> Self {
        let vrings = (0..device.queue_count()).map(|_| None).collect();
        Self { device, features: 0, protocol_features: 0, memory: None, vrings }
    }

    /// Follows one message.
    ///
    /// # Errors
    /// The frontend broke the protocol: close the connection.
    pub fn handle(&mut self, message: Message) -> Result<Reply, SessionError> {
        let header = message.header;
        if let Some(reply) = self.answer(&message)? {
            return Ok(Some((Header::for_reply(header.request, reply.len() as u32), reply)));
        }
        let done = self.follow(message)?;
        if header.wants_reply() && self.protocol_features & protocol_feature::REPLY_ACK != 0 {
            let status = u64::from(!done).to_ne_bytes().to_vec();
            return Ok(Some((Header::for_reply(header.request, 8), status)));
        }
        Ok(None)
    }

    /// Stops every queue.
    pub fn stop_all(&mut self) {
        for index in 0..self.vrings.len() {
            self.stop(index);
        }
    }

    fn offered_features(&self) -> u64 {
        self.device.features() | VERSION_1 | RING_EVENT_IDX | RING_INDIRECT_DESC | F_PROTOCOL_FEATURES
    }

    fn offered_protocol_features(&self) -> u64 {
        use protocol_feature::{MQ, REPLY_ACK, RESET_DEVICE};
        self.device.protocol_features() | MQ | REPLY_ACK | RESET_DEVICE
    }

    /// Requests with an answer of their own.
    fn answer(&mut self, message: &Message) -> Result<Option<Vec<u8>>, SessionError> {
        let word = |value: u64| Ok(Some(value.to_ne_bytes().to_vec()));
        match message.header.request {
            request::GET_FEATURES => word(self.offered_features()),
            request::GET_PROTOCOL_FEATURES => word(self.offered_protocol_features()),
            request::GET_QUEUE_NUM => word(self.device.announced_queues()),
            request::GET_VRING_BASE => {
                let (index, _) = vring_state(message)?;
                let position = self.position(index)?;
                self.stop(position);
                let vring = self.vring(index)?;
                vring.kick = None;
                let mut reply = index.to_ne_bytes().to_vec();
                reply.extend_from_slice(&u32::from(vring.base).to_ne_bytes());
                Ok(Some(reply))
            }
            request::GET_CONFIG => self.read_config(message).map(Some),
            _ => Ok(None),
        }
    }

    /// Requests that change something. False when the change is refused but the connection may live.
    fn follow(&mut self, message: Message) -> Result<bool, SessionError> {
        let header = message.header;
        match header.request {
            request::SET_OWNER => {}
            request::RESET_OWNER | request::RESET_DEVICE => self.reset(),
            request::SET_FEATURES => self.set_features(word(&message)?)?,
            request::SET_PROTOCOL_FEATURES => {
                let bits = word(&message)?;
                check_offered(bits, self.offered_protocol_features())?;
                self.protocol_features = bits;
            }
            request::SET_MEM_TABLE => self.set_memory(message)?,
            request::SET_VRING_NUM => {
                let (index, value) = vring_state(&message)?;
                let size = u16::try_from(value).ok();
                let size = size.filter(|size| size.is_power_of_two() && *size <= MAX_QUEUE_SIZE);
                let size = size.ok_or(bad_field(index, "the size", value.into()))?;
                self.change(index, |vring| vring.size = size)?;
            }
            request::SET_VRING_BASE => {
                let (index, value) = vring_state(&message)?;
                let base = u16::try_from(value).map_err(|_| bad_field(index, "the base", value.into()))?;
                self.change(index, |vring| vring.base = base)?;
            }
            request::SET_VRING_ADDR => self.set_addresses(&message)?,
            request::SET_VRING_ENABLE => {
                let (index, value) = vring_state(&message)?;
                self.change(index, |vring| vring.enabled = value == 1)?;
            }
            request::SET_VRING_KICK | request::SET_VRING_CALL | request::SET_VRING_ERR => {
                self.set_event(message)?;
            }
            request::NET_SET_MTU if self.device.protocol_features() & protocol_feature::MTU != 0 => {
                return Ok(self.device.set_mtu(word(&message)?));
            }
            request::SET_CONFIG => return self.write_config(&message),
            request => return Err(ProtocolError::UnknownRequest { request }.into()),
        }
        Ok(true)
    }

    fn reset(&mut self) {
        self.stop_all();
        for vring in self.vrings.iter_mut().flatten() {
            vring.enabled = false;
            vring.kick = None;
            vring.base = 0;
        }
    }

    fn set_features(&mut self, bits: u64) -> Result<(), ProtocolError> {
        check_offered(bits, self.offered_features())?;
        if bits != self.features {
            self.stop_all();
            self.features = bits;
            self.start_all();
        }
        Ok(())
    }

    fn set_memory(&mut self, mut message: Message) -> Result<(), ProtocolError> {
        let header = message.header;
        let mut fields = Fields(&message.payload);
        let count = fields.u32() as usize;
        fields.u32();
        if count > MAX_DESCRIPTORS || message.payload.len() < 8 + count * REGION_BYTES {
            return Err(header.bad_size());
        }
        if message.descriptors.len() != count {
            let count = message.descriptors.len();
            return Err(ProtocolError::Descriptors { request: header.request, count });
        }
        let specs = message.descriptors.drain(..).map(|file| RegionSpec {
            guest_address: fields.u64(),
            size: fields.u64(),
            user_address: fields.u64(),
            mmap_offset: fields.u64(),
            file,
        });
        let memory = Arc::new(GuestMemory::map(specs.collect())?);
        self.stop_all();
        self.memory = Some(memory);
        self.start_all();
        Ok(())
    }

    fn set_addresses(&mut self, message: &Message) -> Result<(), SessionError> {
        check_size(message, 40)?;
        let mut fields = Fields(&message.payload);
        let (index, _flags) = (fields.u32(), fields.u32());
        let (descriptors, used, avail) = (fields.u64(), fields.u64(), fields.u64());
        self.change(index, |vring| vring.addresses = Some([descriptors, avail, used]))
    }

    fn set_event(&mut self, message: Message) -> Result<(), SessionError> {
        let payload = word(&message)?;
        let Message { header, mut descriptors, .. } = message;
        let index = (payload & 0xff) as u32;
        let wanted = usize::from(payload & VRING_NO_DESCRIPTOR == 0);
        if descriptors.len() != wanted {
            let count = descriptors.len();
            return Err(ProtocolError::Descriptors { request: header.request, count }.into());
        }
        let event = descriptors.pop().map(|fd: OwnedFd| EventFd::from_frontend(fd)).transpose()?;
        match (header.request, event) {
            (request::SET_VRING_KICK, None) => Err(bad_field(index, "the kick", VRING_NO_DESCRIPTOR).into()),
            (request::SET_VRING_KICK, Some(event)) => {
                let implied = self.features & F_PROTOCOL_FEATURES == 0;
                self.change(index, |vring| {
                    vring.kick = Some(Arc::new(event));
                    // Without protocol features there is no SET_VRING_ENABLE: a ring with a kick runs.
                    vring.enabled |= implied;
                })
            }
            (request::SET_VRING_CALL, Some(event)) => Ok(self.vring(index)?.call.redirect(&event)?),
            (request::SET_VRING_CALL, None) => Ok(self.vring(index)?.call.disconnect()?),
            (_, event) => self.change(index, |vring| vring.error = event.map(Arc::new)),
        }
    }

    fn read_config(&mut self, message: &Message) -> Result<Vec<u8>, SessionError> {
        let (offset, size, mut reply) = config_range(message)?;
        reply.resize(12 + size, 0);
        if self.device.read_config(offset, &mut reply[12..]) {
            return Ok(reply);
        }
        // An answer without payload is an error by the specification.
        Ok(Vec::new())
    }

    fn write_config(&mut self, message: &Message) -> Result<bool, SessionError> {
        let (offset, size, _) = config_range(message)?;
        let bytes = message.payload.get(12..12 + size).ok_or(message.header.bad_size())?;
        Ok(self.device.write_config(offset, bytes))
    }

    /// The place of queue `index`, if the device has so many.
    fn position(&self, index: u32) -> Result<usize, ProtocolError> {
        let count = self.vrings.len();
        let position = index as usize;
        if position < count { Ok(position) } else { Err(ProtocolError::QueueIndex { index, count }) }
    }

    fn vring(&mut self, index: u32) -> Result<&mut Vring, SessionError> {
        let position = self.position(index)?;
        let vring = &mut self.vrings[position];
        if vring.is_none() {
            *vring = Some(Vring::new()?);
        }
        let count = self.vrings.len();
        self.vrings[position].as_mut().ok_or_else(|| ProtocolError::QueueIndex { index, count }.into())
    }

    /// Changes a queue while it stands still.
    fn change(&mut self, index: u32, apply: impl FnOnce(&mut Vring)) -> Result<(), SessionError> {
        let position = self.position(index)?;
        self.stop(position);
        apply(self.vring(index)?);
        self.start(position);
        Ok(())
    }

    fn stop(&mut self, position: usize) {
        if let Some(vring) = self.vrings[position].as_mut().filter(|vring| vring.running) {
            vring.base = self.device.stop_queue(position);
            vring.running = false;
        }
    }

    fn start_all(&mut self) {
        for position in 0..self.vrings.len() {
            self.start(position);
        }
    }

    fn start(&mut self, position: usize) {
        let (Some(memory), Some(vring)) = (&self.memory, &mut self.vrings[position]) else { return };
        let (Some(addresses), Some(kick), true, false) =
            (vring.addresses, &vring.kick, vring.enabled, vring.running)
        else {
            return;
        };
        let [Some(descriptors), Some(avail), Some(used)] =
            addresses.map(|address| memory.user_to_guest(address))
        else {
            // The table is about to change, or the frontend is confused; either way nothing can run here.
            tracing::debug!(queue = position, "ring addresses outside the memory table");
            return;
        };
        let config = QueueConfig {
            size: vring.size,
            descriptors,
            avail,
            used,
            base: vring.base,
            event_idx: self.features & RING_EVENT_IDX != 0,
            indirect: self.features & RING_INDIRECT_DESC != 0,
        };
        match SplitQueue::new(Arc::clone(memory), &config) {
            Ok(queue) => {
                vring.running = true;
                // A predecessor may have died between publishing and calling.
                vring.call.notify();
                self.device.start_queue(QueueHandle {
                    index: position,
                    features: self.features & !F_PROTOCOL_FEATURES,
                    queue,
                    kick: Arc::clone(kick),
                    call: Arc::clone(&vring.call),
                    error: vring.error.clone(),
                });
            }
            Err(error) => tracing::warn!(queue = position, %error, "queue not started"),
        }
    }
}

fn check_offered(bits: u64, offered: u64) -> Result<(), ProtocolError> {
    match bits & !offered {
        0 => Ok(()),
        bits => Err(ProtocolError::Features { bits }),
    }
}

fn check_size(message: &Message, size: u32) -> Result<(), ProtocolError> {
    if message.header.size == size { Ok(()) } else { Err(message.header.bad_size()) }
}

/// The payload of one 64-bit word.
fn word(message: &Message) -> Result<u64, ProtocolError> {
    check_size(message, 8)?;
    Ok(Fields(&message.payload).u64())
}

/// The payload of a queue's index and a number.
fn vring_state(message: &Message) -> Result<(u32, u32), ProtocolError> {
    check_size(message, 8)?;
    let mut fields = Fields(&message.payload);
    Ok((fields.u32(), fields.u32()))
}

/// Offset and size of a configuration access, and the twelve bytes that say so.
fn config_range(message: &Message) -> Result<(usize, usize, Vec<u8>), ProtocolError> {
    let mut fields = Fields(&message.payload);
    let (offset, size) = (fields.u32() as usize, fields.u32() as usize);
    let head = message.payload.get(..12).ok_or(message.header.bad_size())?;
    if offset > MAX_CONFIG_BYTES || size > MAX_CONFIG_BYTES - offset {
        return Err(message.header.bad_size());
    }
    Ok((offset, size, head.to_vec()))
}

fn bad_field(index: u32, field: &'static str, value: u64) -> ProtocolError {
    ProtocolError::QueueField { index, field, value }
}
