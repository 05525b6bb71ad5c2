//! `/v2/images/{id}/members`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};
use updraft_core::Error;
use updraft_core::image::member;
use updraft_model::image::{Member, MemberStatus};
use updraft_wire::image::{MemberList, MemberView};

use crate::http::{Answer, Body, Call, NoBody};
use crate::routes::{Routes, SchemaOf, get};

pub(super) fn routes() -> Routes {
    Routes::new().route("/images/{image_id}/members", get(list).post(create).takes(text("member"))).route(
        "/images/{image_id}/members/{member_id}",
        get(show).put(update).takes(text("status")).delete(delete),
    )
}

/// An object with this one text.
fn text(key: &'static str) -> SchemaOf {
    SchemaOf::json(json!({"type": "string", "minLength": 1})).under(key)
}

fn invalid(message: &str) -> Error {
    Error::bad_request("Invalid", message)
}

fn view(member: Member) -> MemberView {
    MemberView {
        image_id: member.image_id,
        member_id: member.member_id,
        status: member.status.as_str(),
        created_at: member.created_at.seconds_z(),
        updated_at: member.updated_at.seconds_z(),
        schema: "/v2/schemas/member",
    }
}

async fn list(Call { core, caller, .. }: Call, Path(image_id): Path<String>) -> Answer<Json<MemberList>> {
    let members = member::list(&core, &caller, &image_id).await?.into_iter().map(view).collect();
    Ok(Json(MemberList { members, schema: "/v2/schemas/members" }))
}

async fn create(
    Call { core, caller, .. }: Call,
    Path(image_id): Path<String>,
    Body(body): Body<Value>,
) -> Answer<Json<MemberView>> {
    let wanted = body.as_object().ok_or("Expected a member in the form: {\"member\": \"image_id\"}");
    let member_id = match wanted.and_then(|body| body.get("member").ok_or("Member to be added not specified"))
    {
        Err(message) => Err(invalid(message)),
        Ok(Value::String(member_id)) if !member_id.is_empty() => Ok(member_id.clone()),
        Ok(_) => Err(invalid("Member can't be empty")),
    };
    Ok(Json(view(member::create(&core, &caller, &image_id, member_id?).await?)))
}

async fn show(
    Call { core, caller, .. }: Call,
    Path((image_id, member_id)): Path<(String, String)>,
) -> Answer<Json<MemberView>> {
    Ok(Json(view(member::get(&core, &caller, &image_id, &member_id).await?)))
}

async fn update(
    Call { core, caller, .. }: Call,
    Path((image_id, member_id)): Path<(String, String)>,
    Body(body): Body<Value>,
) -> Answer<Json<MemberView>> {
    let wanted = body.as_object().ok_or("Expected a status in the form: {\"status\": \"status\"}");
    let status = wanted.and_then(|body| body.get("status").ok_or("Status not specified")).map_err(invalid)?;
    let status = status.as_str().and_then(MemberStatus::parse);
    Ok(Json(view(member::update(&core, &caller, &image_id, &member_id, status).await?)))
}

async fn delete(
    Call { core, caller, .. }: Call,
    Path((image_id, member_id)): Path<(String, String)>,
    _: NoBody,
) -> Answer<StatusCode> {
    member::delete(&core, &caller, &image_id, &member_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
