//! `/v3/credentials` and `/v3/users/{user_id}/credentials/OS-EC2`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use updraft_core::Core;
use updraft_core::identity::credential::{self, CredentialChange, CredentialFilter, NewCredential, Unsealed};
use updraft_core::identity::ec2::{self, Ec2Credential};
use updraft_wire::identity::{
    CredentialBody, CredentialRequest, CredentialView, Ec2Body, Ec2List, Ec2Request, Ec2View,
};

use super::list::ListCall;
use super::{list_links, required, same_id, self_link};
use crate::http::{Answer, Body, Call};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/credentials", get(list).post(create))
        .route("/credentials/{credential_id}", get(show).patch(update).delete(delete))
        .route("/users/{user_id}/credentials/OS-EC2", get(list_ec2).post(create_ec2))
        .route("/users/{user_id}/credentials/OS-EC2/{access}", get(show_ec2).delete(delete_ec2))
}

fn view(endpoint: &str, Unsealed { credential, blob }: Unsealed) -> CredentialView {
    CredentialView {
        links: self_link(endpoint, "credentials", &credential.id),
        id: credential.id,
        kind: credential.kind,
        blob,
        user_id: credential.user_id,
        project_id: credential.project_id,
    }
}

async fn list(Call { core, caller, endpoint }: Call, call: ListCall) -> Answer<Json<Value>> {
    let filter = CredentialFilter { user_id: call.owned("user_id"), kind: call.owned("type") };
    let found = credential::list(&core, &caller, &filter).await?;
    let views = found.into_iter().map(|found| view(&endpoint, found)).collect();
    Ok(call.answer(&endpoint, "credentials", "credentials", &["user_id", "type"], views)?)
}

async fn create(
    Call { core, caller, endpoint }: Call,
    Body(CredentialRequest { credential: fields }): Body<CredentialRequest>,
) -> Answer<(StatusCode, Json<CredentialBody>)> {
    let new = NewCredential {
        user_id: required(fields.user_id, "user_id")?,
        project_id: fields.project_id.flatten(),
        kind: required(fields.kind, "type")?,
        blob: required(fields.blob, "blob")?,
    };
    let made = credential::create(&core, &caller, new).await?;
    Ok((StatusCode::CREATED, Json(CredentialBody { credential: view(&endpoint, made) })))
}

async fn show(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<CredentialBody>> {
    let found = credential::get(&core, &caller, &id).await?;
    Ok(Json(CredentialBody { credential: view(&endpoint, found) }))
}

async fn update(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(CredentialRequest { credential: fields }): Body<CredentialRequest>,
) -> Answer<Json<CredentialBody>> {
    same_id(fields.id.as_deref(), &id)?;
    let change = CredentialChange {
        user_id: fields.user_id,
        project_id: fields.project_id,
        kind: fields.kind,
        blob: fields.blob,
    };
    let changed = credential::update(&core, &caller, &id, change).await?;
    Ok(Json(CredentialBody { credential: view(&endpoint, changed) }))
}

async fn delete(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    credential::delete(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn ec2_path(user_id: &str) -> String {
    format!("users/{user_id}/credentials/OS-EC2")
}

fn ec2_view(endpoint: &str, found: Ec2Credential) -> Ec2View {
    Ec2View {
        links: self_link(endpoint, &ec2_path(&found.user_id), &found.access),
        user_id: found.user_id,
        tenant_id: found.project_id,
        access: found.access,
        secret: found.secret,
        trust_id: found.trust_id,
    }
}

async fn list_ec2(
    Call { core, caller, endpoint }: Call,
    Path(user_id): Path<String>,
) -> Answer<Json<Ec2List>> {
    let found = ec2::list(&core, &caller, &user_id).await?;
    let credentials = found.into_iter().map(|found| ec2_view(&endpoint, found)).collect();
    Ok(Json(Ec2List { credentials, links: list_links(&endpoint, &ec2_path(&user_id)) }))
}

async fn create_ec2(
    Call { core, caller, endpoint }: Call,
    Path(user_id): Path<String>,
    Body(request): Body<Ec2Request>,
) -> Answer<(StatusCode, Json<Ec2Body>)> {
    let made = ec2::create(&core, &caller, &user_id, request.tenant_id).await?;
    Ok((StatusCode::CREATED, Json(Ec2Body { credential: ec2_view(&endpoint, made) })))
}

async fn show_ec2(
    Call { core, caller, endpoint }: Call,
    Path((user_id, access)): Path<(String, String)>,
) -> Answer<Json<Ec2Body>> {
    let found = ec2::get(&core, &caller, &user_id, &access).await?;
    Ok(Json(Ec2Body { credential: ec2_view(&endpoint, found) }))
}

async fn delete_ec2(
    Call { core, caller, .. }: Call,
    Path((user_id, access)): Path<(String, String)>,
) -> Answer<StatusCode> {
    ec2::delete(&core, &caller, &user_id, &access).await?;
    Ok(StatusCode::NO_CONTENT)
}
