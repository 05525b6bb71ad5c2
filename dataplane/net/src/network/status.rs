//! What netd reports.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use updraft_dataplane_api::net::{NetStatus, PortStatus, UplinkStatus};
use updraft_flow::layout::FLOW_SLOTS;

use super::{AttachedUplink, Network};

impl Network {
    /// What is, now.
    pub fn status(&self) -> NetStatus {
        let view = self.plane.view(0);
        let mut drops: BTreeMap<String, u64> = BTreeMap::new();
        for (reason, count) in view.drops().chain(self.plane.drops.iter()).filter(|(_, count)| *count > 0) {
            *drops.entry(reason.to_owned()).or_default() += count;
        }
        let mut ports: Vec<PortStatus> =
            self.ports.values().map(|served| port_status(&served.port)).collect();
        ports.sort_by_key(|port| port.id);
        NetStatus {
            generation: self.generation,
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            uplink: self.uplink.as_ref().map(|uplink| self.uplink_status(uplink)),
            ports,
            drops,
            flows: self.plane.flows.load(Ordering::Relaxed),
            flow_capacity: u64::from(FLOW_SLOTS),
        }
    }

    fn uplink_status(&self, uplink: &AttachedUplink) -> UplinkStatus {
        let view = self.plane.view(0);
        let attachment = updraft_xdp::attachment(&uplink.settings.bpffs_dir).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot ask where the XDP program is");
            None
        });
        let mut counters: BTreeMap<String, u64> =
            view.kernel_events().map(|(name, count)| (name.to_owned(), count)).collect();
        let reasons = view.kernel_drops().filter(|(_, count)| *count > 0);
        counters.extend(reasons.map(|(reason, count)| (format!("dropped_{reason}"), count)));
        let packets = |counter: &dyn Fn(&crate::plane::UplinkPlane) -> u64| {
            self.plane.uplink.as_ref().map_or(0, counter)
        };
        UplinkStatus {
            interface: uplink.settings.interface.clone(),
            xdp_attached: attachment.is_some(),
            xdp_mode: attachment.map(|attachment| attachment.mode.to_owned()).unwrap_or_default(),
            xdp_counters: counters,
            tx_packets: packets(&|uplink| uplink.tx_packets.load(Ordering::Relaxed)),
            rx_packets: packets(&|uplink| uplink.rx_packets.load(Ordering::Relaxed)),
        }
    }
}

fn port_status(port: &crate::port::Port) -> PortStatus {
    let counters = &port.counters;
    PortStatus {
        id: port.id,
        plugged: port.is_plugged(),
        connected: port.is_connected(),
        rx_packets: counters.rx_packets.load(Ordering::Relaxed),
        rx_bytes: counters.rx_bytes.load(Ordering::Relaxed),
        tx_packets: counters.tx_packets.load(Ordering::Relaxed),
        tx_bytes: counters.tx_bytes.load(Ordering::Relaxed),
        drops: counters.drops.load(Ordering::Relaxed),
    }
}
