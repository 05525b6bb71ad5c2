//! What the agent asks of the kernel: processes that outlive it, cgroups, capacity.

pub mod capacity;
pub mod cgroup;
pub mod jail;
pub mod process;
