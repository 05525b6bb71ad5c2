//! Changing an image's record: patches, tags, and taking it out of use.

use serde_json::Value;
use updraft_model::image::{Image, ImageEvent};
use updraft_store::image::record;

use super::access::{Found, find, is_admin};
use super::attributes;
use crate::{Caller, Core, Error, Result, notify};

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

impl Change {
    fn sets(&self) -> Option<(&str, &Value)> {
        match self {
            Self::Add { name, value } | Self::AddNew { name, value } | Self::Replace { name, value } => {
                Some((name, value))
            }
            Self::Remove { .. } => None,
        }
    }
}

/// Applies the changes in order: all of them, or none.
pub async fn update(core: &Core, caller: &Caller, id: &str, changes: Vec<Change>) -> Result<Image> {
    let by = caller.clone();
    edit(core, caller, id, "modify_image", move |found, image| {
        for change in &changes {
            if let Some((name, value)) = change.sets() {
                attributes::may_set(found, &by, name, value)?;
            }
            apply(image, change, is_admin(&by))?;
        }
        Ok(())
    })
    .await
}

/// One change. What nobody may write is refused before it is asked whether the image has it.
fn apply(image: &mut Image, change: &Change, by_admin: bool) -> Result<()> {
    match change {
        Change::Add { name, value } => attributes::set(image, name, value),
        Change::AddNew { name, value } => {
            attributes::check_writable(name)?;
            if attributes::exists(image, name) {
                return Err(Error::conflict("Conflict", format!("Property {name} already present.")));
            }
            attributes::set(image, name, value)
        }
        Change::Replace { name, value } => {
            attributes::check_writable(name)?;
            if !attributes::exists(image, name) {
                return Err(attributes::no_such_property(name));
            }
            attributes::set(image, name, value)?;
            // Not even by itself.
            if name == "owner" && !by_admin { Err(attributes::not_the_owners()) } else { Ok(()) }
        }
        Change::Remove { name } => attributes::remove(image, name),
    }
}

pub async fn add_tag(core: &Core, caller: &Caller, id: &str, tag: String) -> Result<()> {
    let add = move |_: &Found, image: &mut Image| attributes::add_tag(&mut image.tags, &tag);
    edit(core, caller, id, "modify_image", add).await.map(|_| ())
}

/// 404 when the image does not have the tag.
pub async fn remove_tag(core: &Core, caller: &Caller, id: &str, tag: String) -> Result<()> {
    let remove = move |_: &Found, image: &mut Image| match image.tags.remove(&tag) {
        true => Ok(()),
        false => Err(Error::not_found("NotFound", format!("The image has no tag {tag}."))),
    };
    edit(core, caller, id, "modify_image", remove).await.map(|_| ())
}

/// Keeps everybody but administrators from the data; for the owner's project.
pub async fn deactivate(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    let change = |_: &Found, image: &mut Image| step(image, ImageEvent::Deactivate);
    edit(core, caller, id, "deactivate", change).await.map(|_| ())
}

/// The inverse of [`deactivate`].
pub async fn reactivate(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    let change = |_: &Found, image: &mut Image| step(image, ImageEvent::Reactivate);
    edit(core, caller, id, "reactivate", change).await.map(|_| ())
}

fn step(image: &mut Image, event: ImageEvent) -> Result<()> {
    let refusal = || {
        let verb = if event == ImageEvent::Deactivate { "deactivate" } else { "reactivate" };
        Error::forbidden(format!("Not allowed to {verb} image in status '{}'", image.status.as_str()))
    };
    image.status = image.status.after(event).ok_or_else(refusal)?;
    Ok(())
}

/// Changes an image when the rule lets the caller. `change` gets it as it is in the database, and to be changed.
async fn edit<F>(core: &Core, caller: &Caller, id: &str, rule: &'static str, change: F) -> Result<Image>
where
    F: FnOnce(&Found, &mut Image) -> Result<()> + Clone + Send + Sync + 'static,
{
    let (caller, id, now) = (caller.clone(), id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let found = find(tx, &caller, &id).await?;
            found.enforce(&caller, rule)?;
            let mut image = found.image.clone();
            change(&found, &mut image)?;
            image.updated_at = now;
            record::update(tx, &image).await?;
            tx.notice(|| notify::image::event("update", &image));
            Ok(image)
        })
    })
    .await
}
