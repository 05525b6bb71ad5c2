use updraft_model::image::ImageStatus;
use updraft_store::image::{file, record, task};

use super::access::{changeable, visible};
use super::files;
use super::import::STORE;
use crate::policy::require_admin;
use crate::{Caller, Core, Error, Result, audit};

/// Deletes an image and its data; 403 while it is protected. Servers made from it keep their disks.
///
/// Record first, then file, in a task of its own: a client that hangs up leaves neither. A kill in between leaves a
/// doomed file, which the sweep removes.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    let (core, caller, id, operation) = (core.clone(), caller.clone(), id.to_owned(), audit::current());
    let task = tokio::spawn(async move {
        let deleted = audit::on_behalf_of(operation, delete_record(&core, caller, id)).await;
        if deleted.is_ok() {
            files::remove_doomed_later(&core).await;
        }
        deleted
    });
    task.await.map_err(Error::internal)?
}

async fn delete_record(core: &Core, caller: Caller, id: String) -> Result<()> {
    let now = core.clock.now();
    core.write(move |tx| {
        Box::pin(async move {
            let image = changeable(tx, &caller, &id).await?;
            if image.protected {
                return Err(Error::forbidden(format!("Image {id} is protected and cannot be deleted.")));
            }
            file::doom_all(tx, &image.id).await?;
            task::cancel_of_image(tx, &image.id, "The image was deleted.", now).await?;
            record::delete(tx, &image.id).await?;
            Ok(())
        })
    })
    .await
}

/// `DELETE /v2/stores/{store}/{image}`: there is one store, and the last copy of the data never goes alone.
pub async fn delete_from_store(core: &Core, caller: &Caller, store: &str, id: &str) -> Result<()> {
    if store != STORE {
        let message = format!("The selected store {store} is not available on this node.");
        return Err(Error::conflict("Conflict", message));
    }
    let image = visible(&mut core.read().await?, caller, id).await?;
    require_admin(caller)?;
    if image.status != ImageStatus::Active {
        let message = "It's not allowed to remove image data from store if image status is not 'active'";
        return Err(Error::conflict("Conflict", message));
    }
    Err(Error::forbidden(
        "Cannot delete image data from the only store containing it. Consider deleting the image instead.",
    ))
}
