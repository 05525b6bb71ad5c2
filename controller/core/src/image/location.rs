//! Locations: where the data of an image lies, for other services of the cloud.

use serde_json::{Value, json};
use updraft_model::image::ImageStatus;

use super::access::{allowed, find};
use super::import::STORE;
use crate::policy::Target;
use crate::{Caller, Core, Error, Result};

/// `GET /v2/images/{id}/locations`: for services and administrators, unless rules say otherwise. The URL means
/// something to us alone, and names no path of the store's disk.
pub async fn list(core: &Core, caller: &Caller, image_id: &str) -> Result<Vec<Value>> {
    let image = allowed(&mut core.read().await?, caller, image_id, "fetch_image_location").await?;
    let location = || json!({"url": format!("updraft://{STORE}/{}", image.id), "metadata": {"store": STORE}});
    Ok(image.data.iter().map(|_| location()).collect())
}

/// `POST /v2/images/{id}/locations`: the one store takes data by upload and import alone, so no URL is ever taken
/// over (CVE-2011-4596, CVE-2014-9493): 403 for everybody as in a Glance without an http store, 400 for services.
pub async fn add(core: &Core, caller: &Caller, image_id: &str) -> Result<()> {
    let found = find(&mut core.read().await?, caller, image_id).await?;
    if found.image.status != ImageStatus::Queued {
        let status = found.image.status.as_str();
        let message = format!("It's not allowed to add locations if image status is {status}.");
        return Err(Error::conflict("Conflict", message));
    }
    found.enforce(caller, "add_image_location")?;
    if !caller.is_service() {
        return Err(Error::forbidden("http store must be enabled to use location API by normal user."));
    }
    Err(Error::bad_request("BadStoreUri", "No store of this cloud takes data by its URL."))
}

/// The stores with what they are made of, for services and administrators.
pub fn may_see_stores(caller: &Caller) -> Result<()> {
    caller.enforce("stores_info_detail", &Target::default())
}
