//! `/v2.0/availability_zones`

use serde_json::json;
use updraft_core::network::AVAILABILITY_ZONE;
use updraft_core::policy::Target;

use super::answer::Names;
use super::list::ListQuery;
use crate::http::{Answer, Call};
use crate::routes::{Routes, get};

const NAMES: Names = Names { one: "availability_zone", many: "availability_zones" };

pub(super) fn routes() -> Routes {
    Routes::new().route("/availability_zones", get(list))
}

async fn list(call: Call, query: ListQuery) -> Answer {
    // As in Neutron, a list leaves out what a rule refuses.
    let is_seen = call.caller.may("get_availability_zone", &Target::own(&call.caller));
    let zone = |resource| json!({"name": AVAILABILITY_ZONE, "resource": resource, "state": "available"});
    let url = format!("{}/network/v2.0/availability_zones", call.endpoint);
    NAMES.listed(["network", "router"].into_iter().filter(|_| is_seen).map(zone), &query, &url)
}
