//! `/v2/cache`: this image service has no cache of its own, and says so as a Glance without one does. What hosts keep
//! converted they fetch and give up by themselves, by their plan alone, so nothing is ever served past policy.

use axum::Router;
use axum::routing::{any, get};
use updraft_core::{Core, Error, policy};

use crate::http::{Answer, Call};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/cache", get(absent).delete(absent))
        .route("/cache/{image_id}", any(absent))
        .route("/cache/nodes/{image_id}", get(absent))
        .route("/cached_images", get(absent).delete(absent))
        .route("/cached_images/{image_id}", any(absent))
        .route("/queued_images", get(absent).delete(absent))
        .route("/queued_images/{image_id}", any(absent))
}

/// Policy first: only administrators learn that there is no cache.
async fn absent(Call { caller, .. }: Call) -> Answer<()> {
    policy::require_admin(&caller)?;
    Err(Error::not_found("NotFound", "Caching via API is not supported at this site.").into())
}
