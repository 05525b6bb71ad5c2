//! The Network API v2.0, below `/network`. One file per collection; [`list`] holds what lists share (filters, fields,
//! sorting, pages), [`answer`] the shapes of bodies.

mod agents;
mod answer;
mod availability_zones;
mod discovery;
mod extensions;
mod filters;
mod floatingips;
mod if_match;
mod list;
mod networks;
mod ports;
mod quotas;
mod routers;
mod security_group_rules;
mod security_groups;
mod subnets;
mod tags;

#[cfg(test)]
mod tests;

use crate::routes::{Routes, get};

/// What is served below the service's prefix.
pub fn routes() -> Routes {
    let v2 = Routes::new()
        .route("/", get(discovery::resources).public())
        .merge(extensions::routes())
        .merge(networks::routes())
        .merge(subnets::routes())
        .merge(ports::routes())
        .merge(routers::routes())
        .merge(floatingips::routes())
        .merge(security_groups::routes())
        .merge(security_group_rules::routes())
        .merge(quotas::routes())
        .merge(availability_zones::routes())
        .merge(agents::routes())
        .merge(tags::routes());
    Routes::new().route("/", get(discovery::versions).public()).nest("/v2.0", v2)
}
