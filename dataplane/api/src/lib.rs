//! The contract of netd and blkd: what they are told and what they report, over a unix socket.
//!
//! Both daemons are told their whole desired state at once ([`net::NetConfig`], [`blk::BlkConfig`]); they make it
//! so and answer what is. Telling the same state twice changes nothing. They keep the last state they were told in
//! their own state folder and serve it after a restart before anyone has spoken to them.

#![forbid(unsafe_code)]

pub mod blk;
pub mod net;
pub mod socket;

use serde::{Deserialize, Serialize};

/// Who listens at the socket where a daemon and QEMU meet. The other side connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SocketRole {
    /// The daemon, as most vhost-user backends do.
    #[default]
    Listens,
    /// QEMU (chardev with `server=on`). It takes a killed daemon's successor at once; as a client it would try again
    /// only after a whole second.
    Connects,
}
