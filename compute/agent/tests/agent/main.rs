//! The agent as the controller and a guest see it: real processes, real QEMU, real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod controller;
mod failures;
mod guest;
mod jail;
mod lifecycle;
mod metadata;
mod qmp;
mod setup;

/// One QEMU at a time: the tests run on small machines, without KVM.
static QEMU: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
