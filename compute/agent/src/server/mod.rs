//! One server: what to do next ([`decide`]), how ([`steps`]), and the task that goes round and round ([`task`]).

pub mod console_log;
pub mod decide;
pub mod failure;
pub mod steps;
pub mod task;
