//! The frontend's half of the protocol, for tests and benches that drive a backend without a guest.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use updraft_virtio::driver::{DriverQueue, GuestRam};

use crate::event::EventFd;
use crate::message::protocol_feature::{CONFIG, MQ, MTU, REPLY_ACK, RESET_DEVICE};
use crate::message::{F_PROTOCOL_FEATURES, Fields, Header, request};
use crate::socket;

/// How long a backend may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What this half of the protocol can keep. DPDK offers STATUS, for one, and would wait for messages about it.
const PROTOCOL_FEATURES: u64 = MQ | REPLY_ACK | MTU | CONFIG | RESET_DEVICE;

/// A connection to a backend.
#[derive(Debug)]
pub struct Frontend {
    stream: UnixStream,
    /// Acknowledged device features.
    features: u64,
    acknowledge: bool,
}

/// The event descriptors of a started queue.
#[derive(Debug)]
pub struct QueueEvents {
    pub kick: EventFd,
    pub call: EventFd,
}

impl Frontend {
    /// Connects, trying until `patience` is over: the backend may be just starting.
    ///
    /// # Errors
    /// Nobody listens at `path`.
    pub fn connect(path: &Path, patience: Duration) -> io::Result<Self> {
        let deadline = Instant::now() + patience;
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        };
        Self::on(stream)
    }

    /// Takes the next backend that connects to `listener`.
    ///
    /// # Errors
    /// The listener's own.
    pub fn accept(listener: &UnixListener) -> io::Result<Self> {
        let (stream, _) = listener.accept()?;
        Self::on(stream)
    }

    fn on(stream: UnixStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Self { stream, features: 0, acknowledge: false })
    }

    /// Hangs up, as a frontend that dies does.
    ///
    /// # Errors
    /// The backend hung up before.
    pub fn hang_up(&self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Both)
    }

    /// Agrees on the device features that both sides have, out of `wanted`.
    ///
    /// # Errors
    /// The backend breaks off.
    pub fn negotiate(&mut self, wanted: u64) -> io::Result<u64> {
        self.send(request::SET_OWNER, &[], &[])?;
        let offered = self.ask_word(request::GET_FEATURES)?;
        let mut features = offered & wanted;
        if offered & F_PROTOCOL_FEATURES != 0 {
            features |= F_PROTOCOL_FEATURES;
            let protocol = self.ask_word(request::GET_PROTOCOL_FEATURES)? & PROTOCOL_FEATURES;
            self.send_word(request::SET_PROTOCOL_FEATURES, protocol)?;
            self.acknowledge = protocol & REPLY_ACK != 0;
        }
        self.features = features & !F_PROTOCOL_FEATURES;
        self.send_word(request::SET_FEATURES, features)?;
        Ok(self.features)
    }

    /// # Errors
    /// The backend breaks off or refuses.
    pub fn set_memory(&mut self, ram: &[&GuestRam]) -> io::Result<()> {
        let specs: Vec<_> = ram.iter().map(|ram| ram.spec()).collect::<io::Result<_>>()?;
        let mut payload = (specs.len() as u32).to_ne_bytes().to_vec();
        payload.extend_from_slice(&[0; 4]);
        for spec in &specs {
            for field in [spec.guest_address, spec.size, spec.user_address, spec.mmap_offset] {
                payload.extend_from_slice(&field.to_ne_bytes());
            }
        }
        let files: Vec<BorrowedFd<'_>> = specs.iter().map(|spec| spec.file.as_fd()).collect();
        self.send(request::SET_MEM_TABLE, &payload, &files)
    }

    /// Describes a queue, starts it at `base` and enables it.
    ///
    /// # Errors
    /// The backend breaks off or refuses.
    pub fn start_queue(&mut self, index: u32, driver: &DriverQueue, base: u16) -> io::Result<QueueEvents> {
        let events = QueueEvents { kick: EventFd::new()?, call: EventFd::new()? };
        self.send_state(request::SET_VRING_NUM, index, u32::from(driver.size()))?;
        self.send_state(request::SET_VRING_BASE, index, u32::from(base))?;
        let (descriptors, avail, used) = driver.addresses();
        let mut payload = index.to_ne_bytes().to_vec();
        payload.extend_from_slice(&[0; 4]);
        for address in [descriptors, used, avail] {
            payload.extend_from_slice(&driver.ram().user_address(address).to_ne_bytes());
        }
        payload.extend_from_slice(&[0; 8]);
        self.send(request::SET_VRING_ADDR, &payload, &[])?;
        let word = u64::from(index).to_ne_bytes();
        self.send(request::SET_VRING_CALL, &word, &[events.call.as_fd()])?;
        self.send(request::SET_VRING_KICK, &word, &[events.kick.as_fd()])?;
        self.send_state(request::SET_VRING_ENABLE, index, 1)?;
        Ok(events)
    }

    /// Stops a queue; the index from which a successor goes on.
    ///
    /// # Errors
    /// The backend breaks off.
    pub fn stop_queue(&mut self, index: u32) -> io::Result<u16> {
        let mut payload = index.to_ne_bytes().to_vec();
        payload.extend_from_slice(&[0; 4]);
        let reply = self.ask(request::GET_VRING_BASE, &payload)?;
        let mut fields = Fields(&reply);
        fields.u32();
        Ok(fields.u32() as u16)
    }

    /// # Errors
    /// The backend breaks off.
    pub fn queue_num(&mut self) -> io::Result<u64> {
        self.ask_word(request::GET_QUEUE_NUM)
    }

    /// `size` bytes of the configuration space from `offset` on.
    ///
    /// # Errors
    /// The backend breaks off or has no such bytes.
    pub fn read_config(&mut self, offset: u32, size: u32) -> io::Result<Vec<u8>> {
        let mut payload = Vec::new();
        for field in [offset, size, 0] {
            payload.extend_from_slice(&field.to_ne_bytes());
        }
        payload.resize(12 + size as usize, 0);
        let reply = self.ask(request::GET_CONFIG, &payload)?;
        reply.get(12..).map(<[u8]>::to_vec).ok_or_else(|| io::Error::other("no such configuration"))
    }

    /// Sends a request, and waits for its acknowledgement where that was negotiated.
    ///
    /// # Errors
    /// The backend breaks off or refuses.
    pub fn send(&mut self, request: u32, payload: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let header = Header::for_request(request, payload.len() as u32, self.acknowledge);
        socket::send(&self.stream, header, payload, files)?;
        if !self.acknowledge {
            return Ok(());
        }
        match Fields(&self.reply()?).u64() {
            0 => Ok(()),
            code => Err(io::Error::other(format!("request {request} was refused: {code}"))),
        }
    }

    /// Sends a request that has an answer of its own.
    ///
    /// # Errors
    /// The backend breaks off.
    pub fn ask(&mut self, request: u32, payload: &[u8]) -> io::Result<Vec<u8>> {
        socket::send(&self.stream, Header::for_request(request, payload.len() as u32, false), payload, &[])?;
        self.reply()
    }

    /// Sends bytes as they are, for tests that break the protocol.
    ///
    /// # Errors
    /// The backend broke off already.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut &self.stream, bytes)
    }

    /// Waits until the backend closes the connection; false when it sends something instead, or stays silent.
    pub fn closed_by_backend(&mut self) -> bool {
        match socket::receive(&self.stream) {
            Ok(message) => message.is_none(),
            // What we sent lies unread in the closed socket.
            Err(crate::SessionError::Io(error)) => error.kind() == io::ErrorKind::ConnectionReset,
            Err(_) => false,
        }
    }

    fn reply(&self) -> io::Result<Vec<u8>> {
        match socket::receive(&self.stream) {
            Ok(Some(message)) => Ok(message.payload),
            Ok(None) => Err(io::ErrorKind::ConnectionAborted.into()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn ask_word(&mut self, request: u32) -> io::Result<u64> {
        Ok(Fields(&self.ask(request, &[])?).u64())
    }

    fn send_word(&mut self, request: u32, value: u64) -> io::Result<()> {
        self.send(request, &value.to_ne_bytes(), &[])
    }

    fn send_state(&mut self, request: u32, index: u32, value: u32) -> io::Result<()> {
        let mut payload = index.to_ne_bytes().to_vec();
        payload.extend_from_slice(&value.to_ne_bytes());
        self.send(request, &payload, &[])
    }
}
