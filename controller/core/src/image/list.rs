use updraft_model::image::{Image, ImageQuery, MemberStatus, Visibility};
use updraft_store::image::record;

use super::access::{Found, is_admin};
use crate::policy::{Service, Target, refusal};
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
    caller.enforce("get_images", &Target::own(caller))?;
    let mut conn = core.read().await?;
    let with_community = query.visibility.with_community();
    let images = match &caller.project_id {
        _ if is_admin(caller) => {
            let mut images = record::list_all(&mut conn).await?;
            // Others' community images are for those who ask for them.
            images.retain(|image| {
                with_community
                    || image.visibility != Visibility::Community
                    || caller.project_id.as_ref() == Some(&image.owner)
            });
            images
        }
        Some(project_id) => {
            record::list_for_project(&mut conn, project_id, member_status, with_community).await?
        }
        None => return Err(refusal(Service::Image, "get_images")),
    };
    let images = images.into_iter().filter_map(|image| {
        let found = Found::listed(caller, image);
        found.may(caller, "get_image").then_some(found.image)
    });
    let images = images.collect();
    query.apply(images).ok_or_else(|| Error::bad_request("Invalid", "Invalid marker: no such image."))
}
