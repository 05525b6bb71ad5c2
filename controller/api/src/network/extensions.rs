//! `/v2.0/extensions`: clients change their calls by what is announced here, so only what works is.

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};
use updraft_core::Error;

use crate::http::{Answer, Call};
use crate::routes::{Routes, get};

/// (alias, name, description). The names are Neutron's: clients look extensions up by them as well.
const EXTENSIONS: [(&str, &str, &str); 31] = [
    ("agent", "agent", "The hosts of the cloud, as agents."),
    ("allowed-address-pairs", "Allowed Address Pairs", "Further source addresses of a port."),
    ("availability_zone", "Availability Zone", "The one availability zone."),
    ("binding", "Port Binding", "Where a port is plugged in, for administrators."),
    ("dns-integration", "DNS Integration", "Names of ports, answered by the network's resolver."),
    ("empty-string-filtering", "Empty String Filtering Extension", "Filters on the empty string."),
    ("ext-gw-mode", "Neutron L3 Configurable external gateway mode", "Source NAT of a router on and off."),
    ("external-net", "Neutron external network", "Networks that the uplink carries."),
    ("extraroute", "Neutron Extra Route", "Static routes of routers."),
    ("extraroute-atomic", "Atomically add/remove extra routes", "Static routes one by one."),
    ("filter-validation", "Filter parameters validation", "Lists refuse filters that are none."),
    ("fip-port-details", "Floating IP Port Details Extension", "A floating IP shows its port."),
    ("net-mtu", "Network MTU", "Networks show their MTU."),
    ("net-mtu-writable", "Network MTU (writable)", "Networks' MTU can be set."),
    ("pagination", "Pagination support", "Lists in pages."),
    ("port-security", "Port Security", "Anti-spoofing and security groups on and off."),
    ("project-id", "project_id field enabled", "project_id beside tenant_id."),
    ("provider", "Provider Network", "How networks are made, for administrators."),
    ("quota_details", "Quota details management support", "Quotas with usage."),
    ("quotas", "Quota management support", "Quotas of projects."),
    (
        "revision-if-match",
        "If-Match constraints based on revision_number",
        "Changes of a resource that has not changed since.",
    ),
    ("router", "Neutron L3 Router", "Routers and floating IPs."),
    ("security-group", "security-group", "Security groups and their rules."),
    (
        "security-groups-normalized-cidr",
        "Normalized CIDR field for security group rules",
        "Rules show the range that they mean.",
    ),
    ("sorting", "Sorting support", "Lists in an order."),
    ("standard-attr-description", "standard-attr-description", "Every resource has a description."),
    ("standard-attr-revisions", "Resource revision numbers", "Every resource has a revision number."),
    ("standard-attr-tag", "Tag support for resources with standard attribute", "Every resource has tags."),
    ("standard-attr-timestamp", "Resource timestamps", "Every resource has its times."),
    ("stateful-security-group", "Stateful security group", "Groups that keep no state."),
    ("subnet-service-types", "Subnet service types", "Subnets for ports of certain owners."),
];

/// Neutron shows a date for each; nobody reads it.
const UPDATED: &str = "2024-01-01T00:00:00-00:00";

pub(super) fn routes() -> Routes {
    Routes::new().route("/extensions", get(list)).route("/extensions/{alias}", get(show))
}

fn view((alias, name, description): &(&str, &str, &str)) -> Value {
    json!({"alias": alias, "name": name, "description": description, "updated": UPDATED, "links": []})
}

async fn list(_call: Call) -> Json<Value> {
    let extensions: Vec<Value> = EXTENSIONS.iter().map(view).collect();
    Json(json!({"extensions": extensions}))
}

async fn show(_call: Call, Path(alias): Path<String>) -> Answer<Json<Value>> {
    let extension = EXTENSIONS.iter().find(|(known, ..)| *known == alias).ok_or_else(|| {
        Error::not_found("HTTPNotFound", format!("Extension with alias {alias} does not exist"))
    })?;
    Ok(Json(json!({"extension": view(extension)})))
}
