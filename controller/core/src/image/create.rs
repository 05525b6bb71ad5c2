use std::collections::BTreeMap;

use serde_json::Value;
use updraft_model::id::{is_uuid, new_uuid};
use updraft_model::image::{Image, ImageStatus, Visibility};
use updraft_store::StoreErrorKind;
use updraft_store::image::record;

use super::attributes;
use crate::policy::require_member;
use crate::{Caller, Core, Error, Result};

/// Makes an image without data, from the attributes and properties of the request. 409 when the request
/// chooses an id that is taken.
pub async fn create(core: &Core, caller: &Caller, mut fields: BTreeMap<String, Value>) -> Result<Image> {
    let project_id = require_member(caller)?.to_owned();
    let id = match fields.remove("id") {
        None => new_uuid(),
        Some(Value::String(id)) if is_uuid(&id) => id.to_lowercase(),
        Some(_) => return Err(Error::bad_request("Invalid", "Invalid image id format")),
    };
    let now = core.clock.now();
    let mut image = Image {
        id,
        name: None,
        owner: project_id,
        status: ImageStatus::Queued,
        visibility: Visibility::Shared,
        protected: false,
        hidden: false,
        disk_format: None,
        container_format: None,
        min_disk_gib: 0,
        min_ram_mib: 0,
        data: None,
        properties: BTreeMap::new(),
        tags: [].into(),
        created_at: now,
        updated_at: now,
    };
    for (name, value) in &fields {
        attributes::set(&mut image, caller, name, value)?;
    }
    core.write(move |tx| {
        Box::pin(async move {
            match record::insert(tx, &image).await {
                Ok(()) => Ok(image),
                Err(error) if error.kind == StoreErrorKind::Duplicate => {
                    Err(Error::conflict("Duplicate", format!("Image ID {} already exists!", image.id)))
                }
                Err(error) => Err(error.into()),
            }
        })
    })
    .await
}
