//! The servers that the control plane works with, for tests: real ones, started on loopback in a scratch folder.
//!
//! A server lives as long as its value, and no longer than the process that started it, however that ends
//! (`scratch.rs`). Whatever cannot be started is a panic with the end of the server's log: a test that needs the server
//! has failed then.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot start its peers has failed")]

mod database;
mod mariadb;
mod proxy;
mod rabbitmq;
mod scratch;
mod server;

pub use database::Database;
pub use mariadb::{MariaDb, TestDatabase};
pub use proxy::{Action, Cut, Proxy, Side};
pub use rabbitmq::RabbitMq;
pub use scratch::quick_folder;
