//! `/v3/domains/{domain_id}/config` and `/v3/domains/config/…/default`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use updraft_core::Core;
use updraft_core::identity::domain_config::{self, Part};
use updraft_wire::identity::DomainConfigBody;

use crate::http::{Answer, Body, Call};

pub(super) fn routes() -> Router<Core> {
    let whole = "/domains/{domain_id}/config";
    Router::new()
        .route("/domains/config/default", get(default))
        .route("/domains/config/{group}/default", get(default_of_group))
        .route("/domains/config/{group}/{option}/default", get(default_of_option))
        .route(whole, get(show).put(create).patch(update).delete(delete))
        .route(&format!("{whole}/{{group}}"), get(show_group).patch(update_group).delete(delete_group))
        .route(
            &format!("{whole}/{{group}}/{{option}}"),
            get(show_option).patch(update_option).delete(delete_option),
        )
}

type OfGroup = Path<(String, String)>;
type OfOption = Path<(String, String, String)>;

fn group(group: String) -> Part {
    Part { group: Some(group), option: None }
}

fn option(group: String, option: String) -> Part {
    Part { group: Some(group), option: Some(option) }
}

/// 201 when the domain had no options, else 200.
async fn create(
    Call { core, caller, .. }: Call,
    Path(id): Path<String>,
    Body(request): Body<DomainConfigBody>,
) -> Answer<(StatusCode, Json<DomainConfigBody>)> {
    let (config, is_new) = domain_config::create(&core, &caller, &id, &request.config).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(DomainConfigBody { config })))
}

async fn shown(Call { core, caller, .. }: Call, id: &str, part: Part) -> Answer<Json<DomainConfigBody>> {
    Ok(Json(DomainConfigBody { config: domain_config::get(&core, &caller, id, &part).await? }))
}

async fn show(call: Call, Path(id): Path<String>) -> Answer<Json<DomainConfigBody>> {
    shown(call, &id, Part::default()).await
}

async fn show_group(call: Call, Path((id, name)): OfGroup) -> Answer<Json<DomainConfigBody>> {
    shown(call, &id, group(name)).await
}

async fn show_option(call: Call, Path((id, group, name)): OfOption) -> Answer<Json<DomainConfigBody>> {
    shown(call, &id, option(group, name)).await
}

async fn updated(
    Call { core, caller, .. }: Call,
    id: &str,
    request: DomainConfigBody,
    part: Part,
) -> Answer<Json<DomainConfigBody>> {
    let config = domain_config::update(&core, &caller, id, request.config, &part).await?;
    Ok(Json(DomainConfigBody { config }))
}

async fn update(
    call: Call,
    Path(id): Path<String>,
    Body(request): Body<DomainConfigBody>,
) -> Answer<Json<DomainConfigBody>> {
    updated(call, &id, request, Part::default()).await
}

async fn update_group(
    call: Call,
    Path((id, name)): OfGroup,
    Body(request): Body<DomainConfigBody>,
) -> Answer<Json<DomainConfigBody>> {
    updated(call, &id, request, group(name)).await
}

async fn update_option(
    call: Call,
    Path((id, group, name)): OfOption,
    Body(request): Body<DomainConfigBody>,
) -> Answer<Json<DomainConfigBody>> {
    updated(call, &id, request, option(group, name)).await
}

async fn deleted(Call { core, caller, .. }: Call, id: &str, part: Part) -> Answer<StatusCode> {
    domain_config::delete(&core, &caller, id, &part).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete(call: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    deleted(call, &id, Part::default()).await
}

async fn delete_group(call: Call, Path((id, name)): OfGroup) -> Answer<StatusCode> {
    deleted(call, &id, group(name)).await
}

async fn delete_option(call: Call, Path((id, group, name)): OfOption) -> Answer<StatusCode> {
    deleted(call, &id, option(group, name)).await
}

async fn default(Call { core, caller, .. }: Call) -> Answer<Json<DomainConfigBody>> {
    Ok(Json(DomainConfigBody { config: domain_config::default(&core, &caller, &Part::default())? }))
}

async fn default_of_group(
    Call { core, caller, .. }: Call,
    Path(name): Path<String>,
) -> Answer<Json<DomainConfigBody>> {
    Ok(Json(DomainConfigBody { config: domain_config::default(&core, &caller, &group(name))? }))
}

async fn default_of_option(
    Call { core, caller, .. }: Call,
    Path((group, name)): Path<(String, String)>,
) -> Answer<Json<DomainConfigBody>> {
    Ok(Json(DomainConfigBody { config: domain_config::default(&core, &caller, &option(group, name))? }))
}
