//! Imports: data that becomes an image's by a task of its own.
//!
//! A task is a row with a lease and two steps, `fetch` (from elsewhere into a staged file) and `accept` (look at the
//! staged file, make the image active). What a step did becomes so in one transaction, which also checks the lease
//! and moves the row on: a worker that is killed leaves a step that never was, or one that is done. A file that a
//! killed worker had begun is doomed by the next one, which begins a new file.

mod request;
mod work;

pub use request::{ImportRequest, METHODS, import};
pub(super) use request::{begin, check_uri, new_task};
pub use work::Worker;

use tokio::sync::watch;

use super::files;
use crate::Core;

/// Imports that one controller works on at the same time. More wait their turn.
const WORKERS: usize = 4;
/// The one store.
pub const STORE: &str = "local";

pub(super) const TASK_PROPERTY: &str = "os_glance_import_task";
pub(super) const IMPORTING_PROPERTY: &str = "os_glance_importing_to_stores";
pub(super) const FAILED_PROPERTY: &str = "os_glance_failed_import";

/// Runs imports and the sweep of image files until `shutdown` turns true.
pub async fn run(core: Core, shutdown: watch::Receiver<bool>) {
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..WORKERS {
        running.spawn(work::work(Worker::new(core.clone()), shutdown.clone()));
    }
    running.spawn(files::sweep_loop(core, shutdown));
    running.join_all().await;
}
