//! Ids, addresses and units that every other crate shares. A leaf: it depends on nothing of ours.

#![forbid(unsafe_code)]

pub mod id;
pub mod mac;
pub mod size;

pub use id::{
    DiskId, FloatingIpId, HostId, ImageId, NetworkId, PortId, RouterId, SecurityGroupId, ServerId, SubnetId,
};
pub use mac::MacAddress;
