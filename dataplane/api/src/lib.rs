//! The contract of netd and blkd: what they are told and what they report, over a unix socket.
//!
//! Both daemons are told their whole desired state at once ([`net::NetConfig`], [`blk::BlkConfig`]); they make it
//! so and answer what is. Telling the same state twice changes nothing. They keep the last state they were told in
//! their own state folder and serve it after a restart before anyone has spoken to them.

#![forbid(unsafe_code)]

pub mod blk;
pub mod net;
pub mod socket;
