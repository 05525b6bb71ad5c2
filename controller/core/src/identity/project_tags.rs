//! The tags of a project, or of a domain in the shape of one.

use updraft_model::identity::Project;
use updraft_store::identity::{domain, project};

use super::project::find;
use super::{access, checks};
use crate::{Caller, Core, Result};

/// The tags, in their order; `rule` is the call's rule.
pub async fn list(core: &Core, caller: &Caller, id: &str, rule: &str) -> Result<Vec<String>> {
    Ok(allowed(core, caller, id, rule).await?.tags)
}

/// 404 unless the project has the tag.
pub async fn check(core: &Core, caller: &Caller, id: &str, tag: &str) -> Result<()> {
    let tags = list(core, caller, id, "identity:get_project_tag").await?;
    if tags.iter().any(|known| known == tag) { Ok(()) } else { Err(checks::not_found("project tag", tag)) }
}

/// Sets all tags at once.
pub async fn replace(core: &Core, caller: &Caller, id: &str, tags: Vec<String>) -> Result<Vec<String>> {
    allowed(core, caller, id, "identity:update_project_tags").await?;
    checks::tags(&tags)?;
    change(core, id, move |known| {
        *known = tags;
        Ok(())
    })
    .await
}

/// Removes all tags.
pub async fn clear(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    allowed(core, caller, id, "identity:delete_project_tags").await?;
    change(core, id, |known| {
        known.clear();
        Ok(())
    })
    .await
    .map(drop)
}

/// Adds one tag; one that is there already is refused, as in Keystone.
pub async fn add(core: &Core, caller: &Caller, id: &str, tag: &str) -> Result<()> {
    allowed(core, caller, id, "identity:create_project_tag").await?;
    let tag = tag.to_owned();
    change(core, id, move |known| {
        known.push(tag);
        checks::tags(known)
    })
    .await
    .map(drop)
}

/// Removes one tag; 404 when it is not there.
pub async fn remove(core: &Core, caller: &Caller, id: &str, tag: &str) -> Result<()> {
    allowed(core, caller, id, "identity:delete_project_tag").await?;
    let tag = tag.to_owned();
    change(core, id, move |known| {
        let before = known.len();
        known.retain(|known| *known != tag);
        if known.len() == before { Err(checks::not_found("project tag", &tag)) } else { Ok(()) }
    })
    .await
    .map(drop)
}

async fn allowed(core: &Core, caller: &Caller, id: &str, rule: &str) -> Result<Project> {
    let found = find(&mut core.read().await?, id).await?;
    access::enforce(core, caller, rule, &access::project(found.as_ref()))?;
    found.ok_or_else(|| checks::not_found("project", id))
}

/// 403 when the project is immutable.
async fn change(
    core: &Core,
    id: &str,
    change: impl FnOnce(&mut Vec<String>) -> Result<()> + Clone + Send + Sync + 'static,
) -> Result<Vec<String>> {
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            if let Some(mut found) = project::get(tx, &id).await? {
                checks::may_update("project", &id, &found.options, None, false)?;
                change(&mut found.tags)?;
                project::update(tx, &found).await?;
                return Ok(found.tags);
            }
            let mut found = domain::get(tx, &id).await?.ok_or_else(|| checks::not_found("project", &id))?;
            checks::may_update("project", &id, &found.options, None, false)?;
            change(&mut found.tags)?;
            domain::update(tx, &found).await?;
            Ok(found.tags)
        })
    })
    .await
}
