use serde_json::Value;
use updraft_model::image::{Image, ImageEvent};
use updraft_store::image::record;

use super::access::changeable;
use super::attributes;
use crate::{Caller, Core, Error, Result};

/// One operation of a JSON patch, on one attribute or property.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Sets it, whether it was there or not.
    Add { name: String, value: Value },
    /// Sets it; 409 when it was there. The `add` of the older media type.
    AddNew { name: String, value: Value },
    /// Sets it; 409 when it was not there.
    Replace { name: String, value: Value },
    /// Removes it; 409 when it was not there.
    Remove { name: String },
}

/// Applies the changes in order: all of them, or none.
pub async fn update(core: &Core, caller: &Caller, id: &str, changes: Vec<Change>) -> Result<Image> {
    let by = caller.clone();
    edit(core, caller, id, move |image| {
        for change in &changes {
            match change {
                Change::Add { name, value } => attributes::set(image, &by, name, value)?,
                Change::AddNew { name, .. } if attributes::exists(image, name) => {
                    return Err(Error::conflict("Conflict", format!("Property {name} already present.")));
                }
                Change::AddNew { name, value } => attributes::set(image, &by, name, value)?,
                Change::Replace { name, value } if attributes::exists(image, name) => {
                    attributes::set(image, &by, name, value)?;
                }
                Change::Replace { name, .. } => return Err(attributes::no_such_property(name)),
                Change::Remove { name } => attributes::remove(image, name)?,
            }
        }
        Ok(())
    })
    .await
}

pub async fn add_tag(core: &Core, caller: &Caller, id: &str, tag: String) -> Result<()> {
    edit(core, caller, id, move |image| attributes::add_tag(&mut image.tags, &tag)).await.map(|_| ())
}

/// 404 when the image does not have the tag.
pub async fn remove_tag(core: &Core, caller: &Caller, id: &str, tag: String) -> Result<()> {
    let remove = move |image: &mut Image| match image.tags.remove(&tag) {
        true => Ok(()),
        false => Err(Error::not_found("NotFound", format!("The image has no tag {tag}."))),
    };
    edit(core, caller, id, remove).await.map(|_| ())
}

/// Keeps everybody but administrators from the data; for the owner's project.
pub async fn deactivate(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    edit(core, caller, id, |image| step(image, ImageEvent::Deactivate)).await.map(|_| ())
}

/// The inverse of [`deactivate`].
pub async fn reactivate(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    edit(core, caller, id, |image| step(image, ImageEvent::Reactivate)).await.map(|_| ())
}

fn step(image: &mut Image, event: ImageEvent) -> Result<()> {
    let refusal = || {
        let message =
            format!("Not allowed to change an image in status '{}' this way.", image.status.as_str());
        Error::forbidden(message)
    };
    image.status = image.status.after(event).ok_or_else(refusal)?;
    Ok(())
}

async fn edit<F>(core: &Core, caller: &Caller, id: &str, change: F) -> Result<Image>
where
    F: FnOnce(&mut Image) -> Result<()> + Clone + Send + 'static,
{
    let (caller, id, now) = (caller.clone(), id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let mut image = changeable(tx, &caller, &id).await?;
            change(&mut image)?;
            image.updated_at = now;
            record::update(tx, &image).await?;
            Ok(image)
        })
    })
    .await
}
