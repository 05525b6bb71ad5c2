use axum::Json;
use axum::extract::RawQuery;
use updraft_core::image;
use updraft_wire::image::ImageList;

use super::query::{self, Pairs};
use super::view;
use crate::http::{Answer, Call};

/// `GET /v2/images`: newest first; `next` is there only when more follow.
pub(super) async fn list(
    Call { core, caller, .. }: Call,
    RawQuery(text): RawQuery,
) -> Answer<Json<ImageList>> {
    let pairs = Pairs::parse(text.as_deref().unwrap_or_default());
    let (query, member_status) = query::parse(&pairs)?;
    let (images, more) = image::list(&core, &caller, &query, member_status).await?;
    let last = images.last().map(|image| image.id.clone());
    Ok(Json(ImageList {
        first: pairs.url(None),
        next: last.filter(|_| more).map(|marker| pairs.url(Some(&marker))),
        images: images.into_iter().map(|image| view(&caller, image)).collect(),
        schema: "/v2/schemas/images",
    }))
}
