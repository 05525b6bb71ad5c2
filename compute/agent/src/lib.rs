//! The host agent: makes the host look like its plan, and tells the controller what is.
//!
//! Reading order: [`plan`] (what should be) → [`supervisor`] (a task for each server) → [`server::decide`] (what
//! next) → [`server::steps`] (how) → [`qemu`], [`blkd`], [`images`], [`volumes`], [`netd`] (with what) →
//! [`observe`] (what is). Beside them [`metadata`] and [`config_drive`] for the guests, [`http`] for the controller.

#![forbid(unsafe_code)]

pub mod agent;
pub mod blkd;
pub mod board;
pub mod config;
pub mod config_drive;
pub mod controller;
pub mod host;
pub mod http;
pub mod images;
pub mod layout;
pub mod metadata;
pub mod netd;
pub mod observe;
pub mod offline;
pub mod plan;
pub mod qemu;
pub mod record;
pub mod server;
pub mod supervisor;
pub mod volumes;
