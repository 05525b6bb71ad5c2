//! QEMU: which accelerator works, how a machine is started, and how it is spoken to.

pub mod argv;
pub mod machine;
pub mod probe;
pub mod qmp;
