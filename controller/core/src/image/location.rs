//! Locations: where the data of an image lies, for other services of the cloud.

use serde_json::{Value, json};
use updraft_model::image::ImageStatus;

use super::access::{changeable, visible};
use super::import::STORE;
use crate::{Caller, Core, Error, Result};

/// `GET /v2/images/{id}/locations`: for services and administrators. The URL means something to us alone, and names
/// no path of the store's disk.
pub async fn list(core: &Core, caller: &Caller, image_id: &str) -> Result<Vec<Value>> {
    let image = visible(&mut core.read().await?, caller, image_id).await?;
    require_service(caller)?;
    let location = || json!({"url": format!("updraft://{STORE}/{}", image.id), "metadata": {"store": STORE}});
    Ok(image.data.iter().map(|_| location()).collect())
}

/// `POST /v2/images/{id}/locations`: the one store takes data by upload and import alone, so no URL is ever taken
/// over (CVE-2011-4596, CVE-2014-9493): 403 for tenants as in a Glance without an http store, 400 for services.
pub async fn add(core: &Core, caller: &Caller, image_id: &str) -> Result<()> {
    let mut conn = core.read().await?;
    let image = match require_service(caller) {
        Ok(()) => visible(&mut conn, caller, image_id).await?,
        Err(_) => changeable(&mut conn, caller, image_id).await?,
    };
    if image.status != ImageStatus::Queued {
        let status = image.status.as_str();
        let message = format!("It's not allowed to add locations if image status is {status}.");
        return Err(Error::conflict("Conflict", message));
    }
    if require_service(caller).is_err() {
        return Err(Error::forbidden("http store must be enabled to use location API by normal user."));
    }
    Err(Error::bad_request("BadStoreUri", "No store of this cloud takes data by its URL."))
}

/// A service of the cloud, or an administrator.
pub fn require_service(caller: &Caller) -> Result<()> {
    let may = caller.is_admin() || caller.has_role(updraft_model::identity::SERVICE);
    if may {
        Ok(())
    } else {
        Err(Error::forbidden("You are not authorized to perform the requested action. This is for services."))
    }
}
