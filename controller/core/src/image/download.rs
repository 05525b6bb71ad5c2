use tokio::fs::File;
use updraft_model::image::{FileRole, Image, ImageStatus};
use updraft_store::image::{file, record};

use super::access::{not_found, visible};
use super::files;
use crate::policy::require_member;
use crate::{Caller, Core, Error, Result};

/// An image's data, open for reading. It stays readable when the image is deleted meanwhile.
#[derive(Debug)]
pub struct OpenImage {
    pub image: Image,
    pub file: File,
    pub size_bytes: u64,
}

/// The data of an image that the caller may read; `None` when there is none yet. Readers see images, members have their
/// data, as Glance's default policy has it.
pub async fn download(core: &Core, caller: &Caller, id: &str) -> Result<Option<OpenImage>> {
    let image = visible(&mut core.read().await?, caller, id).await?;
    if image.status == ImageStatus::Deactivated && !caller.is_admin() {
        return Err(Error::forbidden(
            "The requested image has been deactivated. Image data download is forbidden.",
        ));
    }
    require_member(caller)?;
    open(core, image).await
}

/// The data of an active image, for a host that is to run a server from it: the plan says which, so no tenant's
/// rights are asked for. 404 when there is none.
pub async fn open_for_host(core: &Core, id: &str) -> Result<OpenImage> {
    let found = record::get(&mut core.read().await?, id).await?;
    let image = found.ok_or_else(|| not_found(id))?;
    open(core, image).await?.ok_or_else(|| not_found(id))
}

async fn open(core: &Core, image: Image) -> Result<Option<OpenImage>> {
    let Some(data) = &image.data else { return Ok(None) };
    let size_bytes = data.size_bytes;
    let row = file::of_image(&mut core.read().await?, &image.id, FileRole::Data).await?;
    let Some(row) = row else { return Err(missing(core, &image.id, "it has no file").await?) };
    let file = match File::open(files::path(core, &row.name)?).await {
        Ok(file) => file,
        Err(error) => return Err(missing(core, &image.id, error).await?),
    };
    let length = file.metadata().await.map_err(Error::internal)?.len();
    if length != size_bytes {
        let problem = format!("image {} has {length} bytes on disk instead of {size_bytes}", image.id);
        return Err(Error::internal(problem));
    }
    Ok(Some(OpenImage { image, file, size_bytes }))
}

/// Why the file of an image that had data does not open: deleted since the record was read, or a failure of ours.
async fn missing(
    core: &Core,
    id: &str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Result<Error> {
    let found = record::get(&mut core.read().await?, id).await?;
    Ok(if found.is_some() { Error::internal(error) } else { not_found(id) })
}
