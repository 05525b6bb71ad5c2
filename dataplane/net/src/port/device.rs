//! The port as a vhost-user device: even queues go into the port, odd queues to a worker.

use std::sync::Arc;

use updraft_vhost::message::protocol_feature;
use updraft_vhost::{Device, QueueHandle};

use super::{Port, RxQueue};
use crate::offload::PORT_FEATURES;
use crate::worker::WorkerHandle;

/// Serves one port's socket.
#[derive(Debug)]
pub struct PortDevice {
    port: Arc<Port>,
    workers: Arc<[WorkerHandle]>,
}

impl PortDevice {
    pub fn new(port: Arc<Port>, workers: Arc<[WorkerHandle]>) -> Self {
        Self { port, workers }
    }

    /// The worker that polls a pair's transmit ring.
    fn worker(&self, pair: usize) -> &WorkerHandle {
        &self.workers[(self.port.index.0 as usize + pair) % self.workers.len()]
    }
}

impl Device for PortDevice {
    fn features(&self) -> u64 {
        PORT_FEATURES
    }

    fn protocol_features(&self) -> u64 {
        protocol_feature::MTU
    }

    fn queue_count(&self) -> usize {
        2 * self.port.queue_pairs()
    }

    fn announced_queues(&self) -> u64 {
        self.port.queue_pairs() as u64
    }

    /// QEMU tells what it told the guest. The flow engine enforces the network's own.
    fn set_mtu(&mut self, mtu: u64) -> bool {
        (68..=65535).contains(&mtu)
    }

    fn connected(&mut self) {
        self.port.set_plugged(true);
    }

    fn disconnected(&mut self) {
        self.port.set_plugged(false);
    }

    fn start_queue(&mut self, queue: QueueHandle) {
        let pair = queue.index / 2;
        if queue.index.is_multiple_of(2) {
            self.port.start_rx(pair, RxQueue::new(queue));
        } else {
            self.worker(pair).start(Arc::clone(&self.port), queue);
        }
    }

    fn stop_queue(&mut self, index: usize) -> u16 {
        let pair = index / 2;
        if index.is_multiple_of(2) {
            self.port.stop_rx(pair)
        } else {
            self.worker(pair).stop(self.port.index, index)
        }
    }
}
