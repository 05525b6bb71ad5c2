use updraft_store::image::record;

use super::access::changeable;
use super::files;
use crate::{Caller, Core, Error, Result};

/// Deletes an image and its file; 403 while it is protected. Servers made from it keep their disks.
///
/// Record first, then file, in a task of its own: a client that hangs up leaves neither. A kill in between leaves
/// a file without a record, which the next start removes.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    let (core, caller, id) = (core.clone(), caller.clone(), id.to_owned());
    let task = tokio::spawn(async move {
        let deleted = delete_record(&core, caller, id.clone()).await;
        if deleted.is_ok() {
            files::remove(&core, &id).await;
        }
        deleted
    });
    task.await.map_err(Error::internal)?
}

async fn delete_record(core: &Core, caller: Caller, id: String) -> Result<()> {
    core.write(move |tx| {
        Box::pin(async move {
            let image = changeable(tx, &caller, &id).await?;
            if image.protected {
                return Err(Error::forbidden(format!("Image {id} is protected and cannot be deleted.")));
            }
            record::delete(tx, &id).await?;
            Ok(())
        })
    })
    .await
}
