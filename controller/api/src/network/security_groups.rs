//! `/v2.0/security-groups`

use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::network::security_group::{self, SecurityGroupFilter};
use updraft_model::network::SecurityGroup;
use updraft_wire::network::{CreateSecurityGroup, SecurityGroupView, UpdateSecurityGroup};

use super::answer::{Names, Shown, standard};
use super::if_match::IfMatch;
use super::list::ListQuery;
use super::security_group_rules;
use crate::http::{Answer, Body, Call, NoBody};
use crate::routes::{Routes, get};

const NAMES: Names = Names { one: "security_group", many: "security_groups" };

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/security-groups",
            get(list).post(create).status(201).takes(NAMES.items_schema::<CreateSecurityGroup>()),
        )
        .route(
            "/security-groups/{id}",
            get(show).put(update).takes(NAMES.item_schema::<UpdateSecurityGroup>()).delete(delete),
        )
}

fn view(call: &Call, group: SecurityGroup) -> Shown<SecurityGroupView> {
    let hidden = security_group::hidden(&call.caller, &group);
    let view = SecurityGroupView {
        standard: standard(&group.standard),
        id: group.id,
        name: group.name,
        tenant_id: group.project_id.clone(),
        project_id: group.project_id,
        stateful: group.stateful,
        shared: false,
        security_group_rules: group.rules.into_iter().map(security_group_rules::view).collect(),
    };
    Shown { view, hidden }
}

async fn list(call: Call, query: ListQuery) -> Answer {
    let filter = SecurityGroupFilter {
        ids: query.values("id"),
        names: query.values("name"),
        ..SecurityGroupFilter::default()
    };
    let groups = security_group::list(&call.core, &call.caller, filter).await?;
    let url = format!("{}/network/v2.0/security-groups", call.endpoint);
    NAMES.listed(groups.into_iter().map(|group| view(&call, group)), &query, &url)
}

async fn create(call: Call, Body(body): Body<Value>) -> Answer {
    let (requests, as_list) = NAMES.items(body)?;
    let groups = security_group::create(&call.core, &call.caller, requests).await?;
    NAMES.created(groups.into_iter().map(|group| view(&call, group)), as_list)
}

async fn show(call: Call, query: ListQuery, Path(id): Path<String>) -> Answer {
    NAMES.shown(view(&call, security_group::get(&call.core, &call.caller, &id).await?), &query)
}

async fn update(call: Call, if_match: IfMatch, Path(id): Path<String>, Body(body): Body<Value>) -> Answer {
    let group = security_group::update(&call.core, &call.caller, if_match.aim(id), NAMES.item(body)?).await?;
    NAMES.shown(view(&call, group), &ListQuery::default())
}

async fn delete(call: Call, if_match: IfMatch, _: NoBody, Path(id): Path<String>) -> Answer<StatusCode> {
    security_group::delete(&call.core, &call.caller, if_match.aim(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
