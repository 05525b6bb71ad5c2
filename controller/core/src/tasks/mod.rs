//! Durable work: task rows with a lease and repeatable steps, and the workers that run them.
//!
//! A worker leases a row, runs its present step, and goes on until the task waits or ends. Each step is **one
//! transaction** that changes the server, its ports and its host's plan, moves the row to the next step, and checks
//! that the lease still holds. So a worker that is killed leaves either a step that never was or one that is done, and
//! whoever takes the row next goes on from there; two workers can never both do a step.
//!
//! Hosts are never called: a step changes the host's plan, and a later step waits until the host reports that it is
//! so. [`step`] has the programs, [`place`] chooses the host, [`settle`] draws conclusions from what hosts report.

pub(crate) mod place;
pub(crate) mod settle;
mod step;
mod sweep;
mod worker;

#[cfg(test)]
mod tests;

use tokio::sync::watch;

use crate::Core;

pub(crate) use step::{NewTask, new_task};
pub use worker::{Halt, Worker};

/// Tasks that one controller works on at the same time. More wait their turn.
const WORKERS: usize = 4;

/// Runs the task workers and reconcilers until `shutdown` turns true.
pub async fn run(core: Core, shutdown: watch::Receiver<bool>) {
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..WORKERS {
        running.spawn(worker::work(Worker::new(core.clone()), shutdown.clone()));
    }
    running.spawn(sweep::run(core, shutdown));
    running.join_all().await;
}
