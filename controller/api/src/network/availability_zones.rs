//! `/v2.0/availability_zones`

use axum::Router;
use axum::routing::get;
use serde_json::json;
use updraft_core::Core;
use updraft_core::network::AVAILABILITY_ZONE;

use super::answer::Names;
use super::list::ListQuery;
use crate::http::{Answer, Call};

const NAMES: Names = Names { one: "availability_zone", many: "availability_zones" };

pub(super) fn routes() -> Router<Core> {
    Router::new().route("/availability_zones", get(list))
}

async fn list(call: Call, query: ListQuery) -> Answer {
    let zone = |resource| json!({"name": AVAILABILITY_ZONE, "resource": resource, "state": "available"});
    let url = format!("{}/network/v2.0/availability_zones", call.endpoint);
    NAMES.listed(["network", "router"].into_iter().map(zone), &query, &url)
}
