//! `/v2/images/{id}/members`

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use updraft_core::image::member;
use updraft_core::{Core, Error};
use updraft_model::image::{Member, MemberStatus};
use updraft_wire::image::{MemberCreate, MemberList, MemberUpdate, MemberView};

use crate::http::{Answer, Body, Call};

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .route("/images/{image_id}/members", get(list).post(create))
        .route("/images/{image_id}/members/{member_id}", get(show).put(update).delete(delete))
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
    Body(request): Body<MemberCreate>,
) -> Answer<Json<MemberView>> {
    Ok(Json(view(member::create(&core, &caller, &image_id, request.member).await?)))
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
    Body(request): Body<MemberUpdate>,
) -> Answer<Json<MemberView>> {
    let status = MemberStatus::parse(&request.status)
        .ok_or_else(|| Error::bad_request("Invalid", "The status is one of pending, accepted, rejected."))?;
    Ok(Json(view(member::update(&core, &caller, &image_id, &member_id, status).await?)))
}

async fn delete(
    Call { core, caller, .. }: Call,
    Path((image_id, member_id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    member::delete(&core, &caller, &image_id, &member_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
