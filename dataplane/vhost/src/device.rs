//! What a device must be to be served: two real ones exist, the block device and the network port.

use std::sync::Arc;

use updraft_virtio::SplitQueue;

use crate::event::{EventFd, Notifier};

/// A queue that a frontend started, handed to the device to run on a thread of its own.
#[derive(Debug)]
pub struct QueueHandle {
    pub index: usize,
    /// The device features that the driver accepted.
    pub features: u64,
    /// The ring, its positions and the guest's memory.
    pub queue: SplitQueue,
    /// Counts up when the driver has new requests. Watch it edge-triggered and it need never be read.
    pub kick: Arc<EventFd>,
    /// Where calls to the driver go.
    pub call: Arc<Notifier>,
    pub(crate) error: Option<Arc<EventFd>>,
}

impl QueueHandle {
    /// Publishes what is done and calls the driver if it wants that: one store and at most one system call a batch.
    #[inline]
    pub fn publish(&mut self) {
        if self.queue.publish() > 0 && self.queue.wants_call() {
            self.call.notify();
        }
    }

    /// Tells the frontend that the queue is retired because the driver broke its rules.
    pub fn report_broken(&self) {
        if let Some(error) = &self.error {
            error.notify();
        }
    }
}

/// A virtio device behind a vhost-user socket. Called by one thread at a time, the server's.
pub trait Device {
    /// Device feature bits (virtio 1.2, section 5). `VERSION_1`, `RING_EVENT_IDX` and `RING_INDIRECT_DESC` are added.
    fn features(&self) -> u64;

    /// Further bits of [`crate::message::protocol_feature`]. `MQ`, `REPLY_ACK` and `RESET_DEVICE` are added.
    fn protocol_features(&self) -> u64 {
        0
    }

    /// Queues, each direction counted.
    fn queue_count(&self) -> usize;

    /// The answer to `GET_QUEUE_NUM`. A network device counts pairs there.
    fn announced_queues(&self) -> u64 {
        self.queue_count() as u64
    }

    /// Copies the configuration space from `offset` on into `bytes`; false when the range is outside it.
    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> bool {
        let _ = (offset, bytes);
        false
    }

    /// Writes to the configuration space; false when the driver may not.
    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> bool {
        let _ = (offset, bytes);
        false
    }

    /// The frontend's MTU in bytes (`NET_SET_MTU`); false when the device cannot serve it.
    fn set_mtu(&mut self, mtu: u64) -> bool {
        let _ = mtu;
        false
    }

    /// Runs a queue from now on. Requests may lie in it already: do not wait for a kick before looking.
    fn start_queue(&mut self, queue: QueueHandle);

    /// Stops a queue that was started: returns when nothing works on a request and no thread touches the queue any more.
    /// The answer is [`SplitQueue::base`], where a successor goes on: what was popped and not completed is popped again.
    fn stop_queue(&mut self, index: usize) -> u16;

    /// A frontend connected; no queue runs.
    fn connected(&mut self) {}

    /// The frontend is gone; all queues were stopped.
    fn disconnected(&mut self) {}
}
