use updraft_store::image::record;

use super::access::changeable;
use super::files;
use crate::{Caller, Core, Error, Result};

/// Deletes an image and its file; 403 while it is protected. Servers made from it keep their disks.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    let (by, image_id) = (caller.clone(), id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            let image = changeable(tx, &by, &image_id).await?;
            if image.protected {
                let message = format!("Image {image_id} is protected and cannot be deleted.");
                return Err(Error::forbidden(message));
            }
            record::delete(tx, &image_id).await?;
            Ok(())
        })
    })
    .await?;
    // Record first: a kill in between leaves a file without a record, which the next start removes.
    files::remove(core, id).await;
    Ok(())
}
