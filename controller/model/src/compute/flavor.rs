use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A size of server that the operator offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Flavor {
    /// Chosen by the operator or generated: not always a UUID.
    pub id: String,
    pub name: String,
    pub vcpus: u16,
    pub memory_mib: u32,
    /// 0 means "as large as the image".
    pub disk_gib: u32,
    pub ephemeral_gib: u32,
    pub swap_mib: u32,
    pub rxtx_factor: f64,
    pub is_public: bool,
    pub disabled: bool,
    pub description: Option<String>,
    pub extra_specs: BTreeMap<String, String>,
}

/// What a server keeps of its flavor, so that a flavor that is changed or deleted later changes no server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlavorSnapshot {
    pub id: String,
    pub name: String,
    pub vcpus: u16,
    pub memory_mib: u32,
    pub disk_gib: u32,
    pub ephemeral_gib: u32,
    pub swap_mib: u32,
    pub extra_specs: BTreeMap<String, String>,
}

impl Flavor {
    pub fn snapshot(&self) -> FlavorSnapshot {
        FlavorSnapshot {
            id: self.id.clone(),
            name: self.name.clone(),
            vcpus: self.vcpus,
            memory_mib: self.memory_mib,
            disk_gib: self.disk_gib,
            ephemeral_gib: self.ephemeral_gib,
            swap_mib: self.swap_mib,
            extra_specs: self.extra_specs.clone(),
        }
    }
}
