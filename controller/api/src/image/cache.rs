//! `/v2/cache`: this image service has no cache of its own, and says so as a Glance without one does. What hosts keep
//! converted they fetch and give up by themselves, by their plan alone, so nothing is ever served past policy.

use updraft_core::Error;
use updraft_core::policy::Target;

use crate::http::{Answer, Call};
use crate::routes::{Routes, any, delete, get, post};

pub(super) fn routes() -> Routes {
    let all = get(|call: Call| absent(call, "cache_list")).delete(|call: Call| absent(call, "cache_delete"));
    let one = delete(|call: Call| absent(call, "cache_delete")).put(|call: Call| absent(call, "cache_image"));
    let older = || any(|call: Call| absent(call, "manage_image_cache"));
    Routes::new()
        .route("/cache", all)
        .route("/cache/{image_id}", one)
        .route("/cache/nodes/{image_id}", get(|call: Call| absent(call, "list_cached_nodes")))
        .route("/cache/clean", post(|call: Call| absent(call, "cache_clean")))
        .route("/cache/prune", post(|call: Call| absent(call, "cache_prune")))
        .route("/cached_images", older())
        .route("/cached_images/{image_id}", older())
        .route("/queued_images", older())
        .route("/queued_images/{image_id}", older())
}

/// Policy first: by default only administrators learn that there is no cache.
async fn absent(Call { caller, .. }: Call, rule: &'static str) -> Answer<()> {
    caller.enforce(rule, &Target::default())?;
    Err(Error::not_found("NotFound", "Caching via API is not supported at this site.").into())
}
