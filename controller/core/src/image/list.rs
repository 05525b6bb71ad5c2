use std::collections::BTreeMap;

use updraft_model::image::{Image, ImageQuery, MemberStatus, Visibility};
use updraft_store::image::record;

use crate::policy::require_reader;
use crate::{Caller, Core, Error, Result};

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
    if !caller.is_admin() {
        require_reader(caller)?;
    }
    let mut conn = core.read().await?;
    let with_community = query.visibility == Some(Visibility::Community);
    let images = match &caller.project_id {
        _ if caller.is_admin() => record::list_all(&mut conn).await?,
        Some(project_id) => {
            record::list_for_project(&mut conn, project_id, member_status, with_community).await?
        }
        None => return Err(Error::forbidden("This needs a token that is scoped to a project.")),
    };
    query.apply(images).ok_or_else(|| Error::bad_request("Invalid", "Invalid marker: no such image."))
}

/// What the caller's project has: names of quotas to amounts. Glance shows the ones that are limited, and images have
/// no limits of their own yet.
pub fn usage(caller: &Caller) -> Result<BTreeMap<&'static str, u64>> {
    require_reader(caller)?;
    Ok(BTreeMap::new())
}
