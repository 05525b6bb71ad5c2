use std::collections::BTreeMap;

use serde_json::Value;
use updraft_model::id::{is_uuid, new_uuid};
use updraft_model::image::{Image, ImageStatus, Visibility};
use updraft_store::StoreErrorKind;
use updraft_store::image::record;

use super::access::visibility_rule;
use super::attributes;
use super::quota::{Payer, Quota};
use crate::policy::{Service, Target, refusal};
use crate::{Caller, Core, Error, Result, notify};

/// Makes an image without data, from the attributes and properties of the request. 409 when the request
/// chooses an id that is taken.
pub async fn create(core: &Core, caller: &Caller, mut fields: BTreeMap<String, Value>) -> Result<Image> {
    let id = match fields.remove("id") {
        None => new_uuid(),
        Some(Value::String(id)) if is_uuid(&id) => id.to_lowercase(),
        Some(_) => return Err(Error::bad_request("Invalid", "Invalid image id format")),
    };
    let mut image = blank(core, caller, id)?;
    for (name, value) in &fields {
        attributes::set(&mut image, name, value)?;
    }
    may_add(caller, &image)?;
    let payer = Payer::of(core, caller.project_id.as_deref().unwrap_or_default());
    core.write(move |tx| {
        Box::pin(async move {
            payer.check(tx, Quota::CountTotal, 1).await?;
            match record::insert(tx, &image).await {
                Ok(()) => {
                    tx.notice(|| notify::image::event("create", &image));
                    Ok(image)
                }
                Err(error) if error.kind == StoreErrorKind::Duplicate => {
                    Err(Error::conflict("Duplicate", format!("Image ID {} already exists!", image.id)))
                }
                Err(error) => Err(error.into()),
            }
        })
    })
    .await
}

/// An image of the caller's project that nothing is said of yet.
pub(super) fn blank(core: &Core, caller: &Caller, id: String) -> Result<Image> {
    let now = core.clock.now();
    let owner = caller.project_id.clone().ok_or_else(|| refusal(Service::Image, "add_image"))?;
    Ok(Image {
        id,
        name: None,
        owner,
        status: ImageStatus::Queued,
        visibility: Visibility::Shared,
        protected: false,
        hidden: false,
        disk_format: None,
        container_format: None,
        min_disk_gib: 0,
        min_ram_mib: 0,
        data: None,
        staged_bytes: None,
        properties: BTreeMap::new(),
        tags: [].into(),
        created_at: now,
        updated_at: now,
    })
}

/// 403 when the caller may not make an image like this one.
pub(super) fn may_add(caller: &Caller, image: &Image) -> Result<()> {
    let visibility = Some(image.visibility.as_str());
    let target = Target { visibility, ..Target::of_project(&image.owner) };
    if !caller.may("add_image", &target) && caller.project_id.as_deref() != Some(&image.owner) {
        let message = format!("You are not permitted to create images owned by '{}'", image.owner);
        return Err(Error::forbidden(message));
    }
    caller.enforce("add_image", &target)?;
    visibility_rule(image.visibility).map_or(Ok(()), |rule| caller.enforce(rule, &target))
}
