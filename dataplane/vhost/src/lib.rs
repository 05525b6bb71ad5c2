//! The backend's half of the vhost-user protocol (QEMU docs/interop/vhost-user.rst), shared by blkd and netd.
//!
//! [`Server`] meets QEMU at a unix socket, where either side listens, breaks off and comes back as often as it likes. Each
//! connection is a [`session`] that follows the frontend's messages and tells a [`Device`] when a queue starts and
//! stops. From then on requests flow between the guest and the device's own threads; this crate is not on that path.
//!
//! [`frontend`] is the other half, for tests and benches without a guest.

#![allow(unsafe_code)]

pub mod device;
pub mod error;
pub mod event;
pub mod frontend;
pub mod message;
mod server;
mod session;
mod socket;

pub use device::{Device, QueueHandle};
pub use error::{ProtocolError, SessionError};
pub use event::{EventFd, Notifier};
pub use server::Server;
