//! From the desired network ([`NetConfig`]) to the contents of the flow engine's tables.
//!
//! Level-triggered: every call compiles the whole configuration into the half of the tables that is not in force,
//! then swaps the halves by incrementing the generation. What does not fit is refused before anything is written.

mod address;
mod compile;
mod index;
mod router;
mod rules;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use updraft_base::PortId;
use updraft_dataplane_api::net::NetConfig;
use updraft_flow::{PortIndex, View};

use compile::Compiled;

/// After the swap, a packet that was being judged under the old half is done: a batch takes far less. The next
/// call overwrites that half.
const GRACE: Duration = Duration::from_millis(2);

/// What is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The tables' own generation, not the configuration's.
    pub generation: u32,
    /// Where each port is in the tables. The same as before for a port that stays.
    pub ports: BTreeMap<PortId, PortIndex>,
    /// Parts of the configuration that were left out, each with its reason: they name what is not there.
    pub ignored: Vec<String>,
}

/// The configuration does not fit into the tables. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} {what} exceed the limit of {limit}{}", .of.as_ref().map(|of| format!(" ({of})")).unwrap_or_default())]
pub struct TooMany {
    /// What there is too much of.
    pub what: &'static str,
    pub count: usize,
    pub limit: usize,
    /// The object that has too much of it, when it is one.
    pub of: Option<String>,
}

impl TooMany {
    fn check(what: &'static str, count: usize, limit: u32) -> Result<(), Self> {
        if count <= limit as usize {
            Ok(())
        } else {
            Err(Self { what, count, limit: limit as usize, of: None })
        }
    }

    fn of(self, object: impl std::fmt::Display) -> Self {
        Self { of: Some(object.to_string()), ..self }
    }
}

/// Makes `config` the policy in force. When this returns no packet is judged by the old one any more, and flows
/// that the new one does not allow end with their next packet. For one thread at a time.
pub fn apply(view: &View<'_>, config: &NetConfig) -> Result<Applied, TooMany> {
    let assigned = index::assigned(view);
    let ports = index::assign(&assigned, config)?;
    let compiled = Compiled::new(config, &ports)?;
    let half = view.config.generation.acquire().wrapping_add(1) & 1;
    write::write(view, half, &compiled)?;
    let generation = view.config.generation.fetch_add(1).wrapping_add(1);
    std::thread::sleep(GRACE);
    let gone = |index: u32| {
        let stays = ports.values().any(|port| port.0 == index);
        !stays && assigned.values().any(|port| port.0 == index)
    };
    updraft_flow::sweep::cut_ports(view, gone);
    Ok(Applied { generation, ports, ignored: compiled.ignored })
}
