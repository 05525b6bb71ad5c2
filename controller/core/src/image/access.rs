//! Who sees an image, and who may change it.

use updraft_model::image::{Image, Visibility};
use updraft_store::Conn;
use updraft_store::image::{member, record};

use crate::policy::require_member;
use crate::{Caller, Core, Error, Result};

/// One image that the caller may see; 404 for any other.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Image> {
    visible(&mut core.read().await?, caller, id).await
}

pub(super) fn not_found(id: &str) -> Error {
    Error::not_found("ImageNotFound", format!("No image found with ID {id}"))
}

pub(super) async fn visible(conn: &mut Conn, caller: &Caller, id: &str) -> Result<Image> {
    let image = record::get(conn, id).await?.ok_or_else(|| not_found(id))?;
    if caller.sees(&image.owner) || is_offered(conn, caller, &image).await? {
        Ok(image)
    } else {
        Err(not_found(id))
    }
}

async fn is_offered(conn: &mut Conn, caller: &Caller, image: &Image) -> Result<bool> {
    match image.visibility {
        Visibility::Public | Visibility::Community => Ok(true),
        Visibility::Private => Ok(false),
        Visibility::Shared => match &caller.project_id {
            Some(project_id) => Ok(member::get(conn, &image.id, project_id).await?.is_some()),
            None => Ok(false),
        },
    }
}

/// One image that the caller may change: a member of the owner's project, or an administrator. 403 when it may
/// only be seen.
pub(super) async fn changeable(conn: &mut Conn, caller: &Caller, id: &str) -> Result<Image> {
    let image = visible(conn, caller, id).await?;
    require_member(caller)?;
    if !caller.sees(&image.owner) {
        return Err(Error::forbidden("You are not permitted to modify this image."));
    }
    Ok(image)
}
