//! The agent as the controller and a guest see it: real processes, real QEMU, real sockets.

mod controller;
mod failures;
mod jail;
mod lifecycle;
mod metadata;
mod qmp;
mod setup;

/// One QEMU at a time: the tests run on small machines, without KVM.
static QEMU: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
