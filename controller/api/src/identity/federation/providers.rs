//! `/v3/OS-FEDERATION/identity_providers` and their protocols

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;
use updraft_core::identity::federation::provider::{self, IdentityProviderFields};
use updraft_model::identity::{FederationProtocol, IdentityProvider};
use updraft_wire::identity as wire;
use updraft_wire::identity::{
    IdentityProviderBody, IdentityProviderLinks, IdentityProviderRequest, IdentityProviderView, ProtocolBody,
    ProtocolLinks, ProtocolRequest, ProtocolView,
};

use crate::http::{Answer, Body, Call};
use crate::identity::list::ListCall;
use crate::identity::{required, self_link, some_change};
use crate::routes::{Routes, get};

const PATH: &str = "OS-FEDERATION/identity_providers";

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/OS-FEDERATION/identity_providers", get(list))
        .route(
            "/OS-FEDERATION/identity_providers/{idp_id}",
            get(show).put(create).patch(update).delete(delete),
        )
        .route("/OS-FEDERATION/identity_providers/{idp_id}/protocols", get(list_protocols))
        .route(
            "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}",
            get(show_protocol).put(create_protocol).patch(update_protocol).delete(delete_protocol),
        )
}

fn view(endpoint: &str, idp: IdentityProvider) -> IdentityProviderView {
    let this = self_link(endpoint, PATH, &idp.id).this;
    IdentityProviderView {
        links: IdentityProviderLinks { protocols: format!("{this}/protocols"), this },
        id: idp.id,
        domain_id: idp.domain_id,
        enabled: idp.enabled,
        description: idp.description,
        remote_ids: idp.remote_ids,
        authorization_ttl: idp.authorization_ttl,
    }
}

fn fields(fields: wire::IdentityProviderFields) -> IdentityProviderFields {
    IdentityProviderFields {
        domain_id: fields.domain_id,
        enabled: fields.enabled,
        description: fields.description,
        remote_ids: fields.remote_ids,
        authorization_ttl: fields.authorization_ttl,
    }
}

fn protocol_view(endpoint: &str, protocol: FederationProtocol) -> ProtocolView {
    let identity_provider = self_link(endpoint, PATH, &protocol.idp_id).this;
    ProtocolView {
        links: ProtocolLinks {
            this: format!("{identity_provider}/protocols/{}", protocol.id),
            identity_provider,
        },
        id: protocol.id,
        mapping_id: protocol.mapping_id,
        remote_id_attribute: protocol.remote_id_attribute,
    }
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let found = provider::list(&core, &caller, call.get("id"), call.flag("enabled")?).await?;
    let views = found.into_iter().map(|idp| view(&endpoint, idp)).collect();
    Ok(call.answer(&endpoint, PATH, "identity_providers", &["id", "enabled"], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(request): Body<IdentityProviderRequest>,
) -> Answer<(StatusCode, Json<IdentityProviderBody>)> {
    let made = provider::create(&core, &caller, &id, fields(request.identity_provider)).await?;
    Ok((StatusCode::CREATED, Json(IdentityProviderBody { identity_provider: view(&endpoint, made) })))
}

async fn show(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
) -> Answer<Json<IdentityProviderBody>> {
    let found = provider::get(&core, &caller, &id).await?;
    Ok(Json(IdentityProviderBody { identity_provider: view(&endpoint, found) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(request): Body<IdentityProviderRequest>,
) -> Answer<Json<IdentityProviderBody>> {
    some_change(&request.identity_provider)?;
    let changed = provider::update(&core, &caller, &id, fields(request.identity_provider)).await?;
    Ok(Json(IdentityProviderBody { identity_provider: view(&endpoint, changed) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    provider::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_protocols(
    Call { core, caller, endpoint }: Call,
    Path(idp_id): Path<String>,
    call: ListCall,
) -> Answer<Json<Value>> {
    let found = provider::list_protocols(&core, &caller, &idp_id).await?;
    let views = found.into_iter().map(|protocol| protocol_view(&endpoint, protocol)).collect();
    Ok(call.answer(&endpoint, &format!("{PATH}/{idp_id}/protocols"), "protocols", &[], views)?)
}

async fn create_protocol(
    Call { core, caller, endpoint }: Call,
    Path((idp_id, id)): Path<(String, String)>,
    Body(ProtocolRequest { protocol: fields }): Body<ProtocolRequest>,
) -> Answer<(StatusCode, Json<ProtocolBody>)> {
    let protocol = FederationProtocol {
        id,
        idp_id,
        mapping_id: required(fields.mapping_id, "mapping_id")?,
        remote_id_attribute: fields.remote_id_attribute.flatten(),
    };
    let made = provider::create_protocol(&core, &caller, protocol).await?;
    Ok((StatusCode::CREATED, Json(ProtocolBody { protocol: protocol_view(&endpoint, made) })))
}

async fn show_protocol(
    Call { core, caller, endpoint }: Call,
    Path((idp_id, id)): Path<(String, String)>,
) -> Answer<Json<ProtocolBody>> {
    let found = provider::get_protocol(&core, &caller, &idp_id, &id).await?;
    Ok(Json(ProtocolBody { protocol: protocol_view(&endpoint, found) }))
}

async fn update_protocol(
    Call { core, caller, endpoint }: Call,
    Path((idp_id, id)): Path<(String, String)>,
    Body(ProtocolRequest { protocol: fields }): Body<ProtocolRequest>,
) -> Answer<Json<ProtocolBody>> {
    let mapping_id = Some(required(fields.mapping_id, "mapping_id")?);
    let attribute = fields.remote_id_attribute;
    let changed = provider::update_protocol(&core, &caller, &idp_id, &id, mapping_id, attribute).await?;
    Ok(Json(ProtocolBody { protocol: protocol_view(&endpoint, changed) }))
}

async fn delete_protocol(
    Call { core, caller, .. }: Call,
    Path((idp_id, id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    provider::delete_protocol(&core, &caller, &idp_id, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
