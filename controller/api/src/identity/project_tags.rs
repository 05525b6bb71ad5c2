//! `/v3/projects/{project_id}/tags`

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderName, StatusCode, header};
use updraft_core::identity::project_tags as tags;
use updraft_wire::identity::{SelfLink, TagList, TagsRequest};

use crate::http::{Answer, Body, Call};
use crate::routes::{Routes, get};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/projects/{project_id}/tags", get(list).put(replace).delete(clear))
        .route("/projects/{project_id}/tags/{value}", get(check).put(add).gives_nothing().delete(remove))
}

fn view(endpoint: &str, id: &str, tags: Vec<String>) -> Json<TagList> {
    let links = SelfLink { this: format!("{endpoint}/identity/v3/projects/{id}/tags") };
    Json(TagList { tags, links })
}

async fn list(Call { core, caller, endpoint }: Call, Path(id): Path<String>) -> Answer<Json<TagList>> {
    let found = tags::list(&core, &caller, &id, "identity:list_project_tags").await?;
    Ok(view(&endpoint, &id, found))
}

async fn replace(
    Call { core, caller, endpoint }: Call,
    Path(id): Path<String>,
    Body(request): Body<TagsRequest>,
) -> Answer<Json<TagList>> {
    let tags = tags::replace(&core, &caller, &id, request.tags).await?;
    Ok(view(&endpoint, &id, tags))
}

async fn clear(Call { core, caller, .. }: Call, Path(id): Path<String>) -> Answer<StatusCode> {
    tags::clear(&core, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn check(
    Call { core, caller, .. }: Call,
    Path((id, tag)): Path<(String, String)>,
) -> Answer<StatusCode> {
    tags::check(&core, &caller, &id, &tag).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// 201 without a body; where the tag is, in `Location`.
async fn add(
    Call { core, caller, endpoint }: Call,
    Path((id, tag)): Path<(String, String)>,
) -> Answer<(StatusCode, [(HeaderName, String); 1])> {
    tags::add(&core, &caller, &id, &tag).await?;
    let tag = in_path(&tag);
    let location = format!("{endpoint}/identity/v3/projects/{id}/tags/{tag}");
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]))
}

/// What stands for itself in a segment of a path, beside letters and digits (RFC 3986, `pchar`).
const PLAIN: &[u8] = b"-._~!$&'()*+;=:@";

/// A tag as a segment of a path.
fn in_path(tag: &str) -> String {
    let mut path = String::new();
    for byte in tag.bytes() {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

async fn remove(
    Call { core, caller, .. }: Call,
    Path((id, tag)): Path<(String, String)>,
) -> Answer<StatusCode> {
    tags::remove(&core, &caller, &id, &tag).await?;
    Ok(StatusCode::NO_CONTENT)
}
