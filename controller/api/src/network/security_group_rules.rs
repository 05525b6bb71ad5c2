//! `/v2.0/security-group-rules`; there is no PUT, rules never change

use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::network::rule::{self, RuleFilter};
use updraft_model::network::{RemotePeer, SecurityGroupRule};
use updraft_wire::network::{CreateRule, RuleView};

use super::answer::{Names, untagged};
use super::if_match::IfMatch;
use super::list::ListQuery;
use crate::http::{Answer, Body, Call, NoBody};
use crate::routes::{Routes, get};

const NAMES: Names = Names { one: "security_group_rule", many: "security_group_rules" };

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/security-group-rules",
            get(list).post(create).status(201).takes(NAMES.items_schema::<CreateRule>()),
        )
        .route("/security-group-rules/{id}", get(show).delete(delete))
}

pub(super) fn view(rule: SecurityGroupRule) -> RuleView {
    let (prefix, group) = match rule.spec.remote {
        RemotePeer::Any => (None, None),
        RemotePeer::Prefix(prefix) => (Some(prefix), None),
        RemotePeer::Group(group) => (None, Some(group)),
    };
    RuleView {
        standard: untagged(&rule.standard),
        id: rule.id,
        tenant_id: rule.project_id.clone(),
        project_id: rule.project_id,
        security_group_id: rule.group_id,
        direction: rule.spec.direction.as_str(),
        ethertype: rule.spec.ethertype.as_str(),
        protocol: rule.spec.protocol,
        port_range_min: rule.spec.port_range_min,
        port_range_max: rule.spec.port_range_max,
        remote_ip_prefix: prefix.map(|prefix| prefix.to_string()),
        normalized_cidr: prefix.map(|prefix| prefix.trunc().to_string()),
        remote_group_id: group,
        remote_address_group_id: None,
    }
}

async fn list(call: Call, query: ListQuery) -> Answer {
    let filter = RuleFilter {
        ids: query.values("id"),
        group_ids: query.values("security_group_id"),
        ..RuleFilter::default()
    };
    let rules = rule::list(&call.core, &call.caller, filter).await?;
    let url = format!("{}/network/v2.0/security-group-rules", call.endpoint);
    NAMES.listed(rules.into_iter().map(view), &query, &url)
}

async fn create(call: Call, Body(body): Body<Value>) -> Answer {
    let (requests, as_list) = NAMES.items(body)?;
    let rules = rule::create(&call.core, &call.caller, requests).await?;
    NAMES.created(rules.into_iter().map(view), as_list)
}

async fn show(call: Call, query: ListQuery, Path(id): Path<String>) -> Answer {
    NAMES.shown(view(rule::get(&call.core, &call.caller, &id).await?), &query)
}

async fn delete(call: Call, if_match: IfMatch, _: NoBody, Path(id): Path<String>) -> Answer<StatusCode> {
    rule::delete(&call.core, &call.caller, if_match.aim(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
