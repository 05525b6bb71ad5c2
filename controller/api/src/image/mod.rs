//! The image API, v2.

mod cache;
mod discovery;
mod images;
mod info;
mod members;
mod metadefs;
mod schemas;
mod tasks;

#[cfg(test)]
pub(crate) mod tests;

pub use images::send;

use crate::routes::{Routes, get};

/// What is served below `/image`.
pub fn routes() -> Routes {
    let v2 = Routes::new()
        .merge(images::routes())
        .merge(members::routes())
        .merge(info::routes())
        .merge(schemas::routes())
        .merge(metadefs::routes())
        .merge(tasks::routes())
        .merge(cache::routes());
    Routes::new()
        .route("/", get(discovery::multiple_choices).public().status(300))
        .route("/versions", get(discovery::versions).public())
        .nest("/v2", v2)
}
