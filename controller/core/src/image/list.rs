//! Lists of images, by page: as far as it can the database leaves out what a filter does not take, the rest is judged here.

use updraft_model::image::{Image, ImageQuery, MemberStatus, SortDirection, Visibility};
use updraft_store::Conn;
use updraft_store::image::record::{self, ListOf};

use super::access::{Found, is_admin};
use crate::policy::{Service, Target, refusal};
use crate::{Caller, Core, Error, Result};

/// How many images are read at first, at least. Filters may leave out most of them, so each time more are read: a rare
/// image among many is found in few turns.
const FIRST_BATCH: usize = 100;
const BATCH_GROWTH: usize = 4;

/// The page of images that the query asks for, and whether more follow. 400 for a marker that is not in the
/// list.
///
/// `member_status` says which shared images are wanted by whether the caller took them; `None` is all.
pub async fn list(
    core: &Core,
    caller: &Caller,
    query: &ImageQuery,
    member_status: Option<MemberStatus>,
) -> Result<(Vec<Image>, bool)> {
    caller.enforce("get_images", &Target::own(caller))?;
    let of = match &caller.project_id {
        _ if is_admin(caller) => ListOf::Cloud,
        Some(id) => ListOf::Project { id, member_status, with_community: query.visibility.with_community() },
        None => return Err(refusal(Service::Image, "get_images")),
    };
    let mut conn = core.read().await?;
    let page = match query.by_age() {
        Some(direction) => page_by_age(&mut conn, caller, query, of, direction).await?,
        None => {
            let images = record::list(&mut conn, of).await?;
            query.apply(images.into_iter().filter_map(|image| shown(caller, query, image)).collect())
        }
    };
    page.ok_or_else(|| Error::bad_request("Invalid", "Invalid marker: no such image."))
}

/// The usual order, in which the database reads no more than it takes to fill the page. `None` when the marker is not
/// in the list.
async fn page_by_age(
    conn: &mut Conn,
    caller: &Caller,
    query: &ImageQuery,
    of: ListOf<'_>,
    direction: SortDirection,
) -> Result<Option<(Vec<Image>, bool)>> {
    let newest_first = direction == SortDirection::Descending;
    let mut last = None;
    if let Some(marker) = &query.marker {
        let found = record::get_listed(conn, of, marker).await?;
        last = found.and_then(|image| shown(caller, query, image));
        if last.is_none() {
            return Ok(None);
        }
    }
    let (mut page, mut least) = (Vec::new(), FIRST_BATCH);
    loop {
        // One more than the page holds tells whether more follow.
        let wanted = (query.limit + 1).saturating_sub(page.len()).max(least);
        least = least.saturating_mul(BATCH_GROWTH);
        let count = u32::try_from(wanted).unwrap_or(u32::MAX);
        let batch = record::list_by_age(conn, of, query, newest_first, last.as_ref(), count).await?;
        let is_end = batch.len() < wanted;
        last = batch.last().cloned();
        let taken = batch.into_iter().filter_map(|image| shown(caller, query, image));
        page.extend(taken.filter(|image| query.takes(image)));
        if is_end || page.len() > query.limit {
            let more = page.len() > query.limit;
            page.truncate(query.limit);
            return Ok(Some((page, more)));
        }
    }
}

/// The image, if it is on the caller's list at all.
fn shown(caller: &Caller, query: &ImageQuery, image: Image) -> Option<Image> {
    // Others' community images are for those who ask for them.
    let is_listed = query.visibility.with_community()
        || image.visibility != Visibility::Community
        || caller.project_id.as_ref() == Some(&image.owner);
    let found = Found::listed(caller, image);
    (is_listed && found.may(caller, "get_image")).then_some(found.image)
}
