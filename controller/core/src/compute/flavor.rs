//! Flavors: by default administrators make them, and projects use them.

use std::collections::BTreeMap;

use updraft_model::compute::Flavor;
use updraft_store::compute::flavor;
pub use updraft_store::compute::flavor::FlavorFilter;
use updraft_store::{Conn, Tx};

use super::access::{enforce, is_admin, may, require_project};
use super::text::{is_clean, is_printable};
use crate::{Caller, Core, Error, Result};

/// The largest number that any size of a flavor may have.
const LARGEST: u32 = 0x7fff_ffff;
const LONGEST_NAME: usize = 255;
const LONGEST_DESCRIPTION: usize = 65_535;

pub(crate) fn not_found(id: &str) -> Error {
    Error::not_found("FlavorNotFound", format!("Flavor {id} could not be found."))
}

/// Makes a flavor. Its id is generated when it is empty.
pub async fn create(core: &Core, caller: &Caller, mut flavor: Flavor) -> Result<Flavor> {
    enforce(caller, "os_compute_api:os-flavor-manage:create")?;
    check(&flavor)?;
    if flavor.id.is_empty() {
        flavor.id = updraft_model::id::new_uuid();
    }
    core.write(move |tx| {
        Box::pin(async move {
            let taken = flavor::list(tx, &FlavorFilter::default()).await?;
            if let Some(other) = taken.iter().find(|other| other.id == flavor.id || other.name == flavor.name)
            {
                let (what, value) =
                    if other.id == flavor.id { ("ID", &flavor.id) } else { ("name", &flavor.name) };
                return Err(Error::conflict(
                    "FlavorExists",
                    format!("Flavor with {what} {value} already exists."),
                ));
            }
            flavor::insert(tx, &flavor).await?;
            Ok(flavor)
        })
    })
    .await
}

fn check(flavor: &Flavor) -> Result<()> {
    let refuse =
        |reason: &str| Err(Error::bad_request("ValidationError", format!("Invalid flavor: {reason}.")));
    let id_fits = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
    if flavor.name.is_empty() || flavor.name.chars().count() > LONGEST_NAME || !is_clean(&flavor.name) {
        return refuse("a name has 1 to 255 printable characters and no blanks at its ends");
    }
    if flavor.id.len() > LONGEST_NAME || !flavor.id.chars().all(id_fits) || flavor.id.trim() != flavor.id {
        return refuse("an id has up to 255 of the characters a-z A-Z 0-9 . - _ and space");
    }
    if flavor.vcpus == 0 || flavor.memory_mib == 0 {
        return refuse("it has at least one vCPU and 1 MiB of memory");
    }
    let sizes = [flavor.memory_mib, flavor.disk_gib, flavor.ephemeral_gib, flavor.swap_mib];
    if sizes.iter().any(|size| *size > LARGEST) {
        return refuse("a size is at most 2147483647");
    }
    let too_long = |text: &String| text.chars().count() > LONGEST_DESCRIPTION || !is_printable(text);
    if flavor.description.as_ref().is_some_and(too_long) {
        return refuse("a description has up to 65535 printable characters");
    }
    Ok(())
}

/// What the caller may use, narrowed by `is_public` (`None`: all), which only administrators may say.
pub async fn list(core: &Core, caller: &Caller, mut filter: FlavorFilter) -> Result<Vec<Flavor>> {
    if !is_admin(caller) {
        filter.is_public = None;
        filter.usable_by = Some(caller.project_id.clone().unwrap_or_default());
    }
    let mut conn = core.read().await?;
    Ok(flavor::list(&mut conn, &filter).await?)
}

/// Whether the caller may say which flavors it lists by `is_public`.
pub fn chooses_public(caller: &Caller) -> bool {
    is_admin(caller)
}

pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Flavor> {
    usable(&mut core.read().await?, caller, id).await?.ok_or_else(|| not_found(id))
}

/// The flavor, if the caller may use it.
pub(crate) async fn usable(conn: &mut Conn, caller: &Caller, id: &str) -> Result<Option<Flavor>> {
    let Some(flavor) = flavor::get(conn, id).await? else { return Ok(None) };
    if flavor.is_public || is_admin(caller) {
        return Ok(Some(flavor));
    }
    let given = flavor::list_access(conn, id).await?;
    let project = caller.project_id.as_deref();
    Ok(given.iter().any(|given| Some(given.as_str()) == project).then_some(flavor))
}

/// Removes the flavor. Servers keep what they have of it.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    enforce(caller, "os_compute_api:os-flavor-manage:delete")?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move { if flavor::delete(tx, &id).await? { Ok(()) } else { Err(not_found(&id)) } })
    })
    .await
}

pub async fn set_description(
    core: &Core,
    caller: &Caller,
    id: &str,
    description: Option<String>,
) -> Result<Flavor> {
    change(core, caller, id, "os_compute_api:os-flavor-manage:update", move |flavor| {
        flavor.description = description;
        check(flavor)
    })
    .await
}

/// Whether the caller sees the extra specs of flavors.
pub fn shows_extra_specs(caller: &Caller) -> bool {
    may(caller, "os_compute_api:os-flavor-extra-specs:index")
}

/// A flavor's extra specs; `one` when a single one is asked for.
pub async fn extra_specs(
    core: &Core,
    caller: &Caller,
    id: &str,
    one: bool,
) -> Result<BTreeMap<String, String>> {
    let rule = match one {
        true => "os_compute_api:os-flavor-extra-specs:show",
        false => "os_compute_api:os-flavor-extra-specs:index",
    };
    enforce(caller, rule)?;
    Ok(get(core, caller, id).await?.extra_specs)
}

/// Adds to the flavor's extra specs, replacing those of the same key; `one` when the path names a single one.
pub async fn add_extra_specs(
    core: &Core,
    caller: &Caller,
    id: &str,
    specs: BTreeMap<String, String>,
    one: bool,
) -> Result<Flavor> {
    let rule = match one {
        true => "os_compute_api:os-flavor-extra-specs:update",
        false => "os_compute_api:os-flavor-extra-specs:create",
    };
    change(core, caller, id, rule, move |flavor| {
        flavor.extra_specs.extend(specs);
        Ok(())
    })
    .await
}

pub async fn remove_extra_spec(core: &Core, caller: &Caller, id: &str, key: &str) -> Result<()> {
    let (flavor_id, key) = (id.to_owned(), key.to_owned());
    let remove = move |flavor: &mut Flavor| match flavor.extra_specs.remove(&key) {
        Some(_) => Ok(()),
        None => {
            let message = format!("Flavor {flavor_id} has no extra specs with key {key}.");
            Err(Error::not_found("FlavorExtraSpecsNotFound", message))
        }
    };
    change(core, caller, id, "os_compute_api:os-flavor-extra-specs:delete", remove).await.map(drop)
}

async fn change(
    core: &Core,
    caller: &Caller,
    id: &str,
    rule: &str,
    work: impl FnOnce(&mut Flavor) -> Result<()> + Clone + Send + Sync + 'static,
) -> Result<Flavor> {
    enforce(caller, rule)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let mut flavor = flavor::get(tx, &id).await?.ok_or_else(|| not_found(&id))?;
            work(&mut flavor)?;
            flavor::update(tx, &flavor).await?;
            Ok(flavor)
        })
    })
    .await
}

/// The projects that were given a flavor that is not public.
pub async fn list_access(core: &Core, caller: &Caller, id: &str) -> Result<Vec<String>> {
    enforce(caller, "os_compute_api:os-flavor-access")?;
    let mut conn = core.read().await?;
    let flavor = flavor::get(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
    if flavor.is_public {
        return Err(Error::not_found(
            "FlavorAccessNotFound",
            "Access list not available for public flavors.",
        ));
    }
    Ok(flavor::list_access(&mut conn, id).await?)
}

/// Gives a project the flavor (or takes it); answers who has it then.
///
/// `public_is_conflict`: from microversion 2.7 on, a public flavor cannot be given.
pub async fn set_access(
    core: &Core,
    caller: &Caller,
    id: &str,
    project_id: String,
    allowed: bool,
    public_is_conflict: bool,
) -> Result<Vec<String>> {
    let rule = match allowed {
        true => "os_compute_api:os-flavor-access:add_tenant_access",
        false => "os_compute_api:os-flavor-access:remove_tenant_access",
    };
    enforce(caller, rule)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let flavor = flavor::get(tx, &id).await?.ok_or_else(|| not_found(&id))?;
            if allowed && flavor.is_public && public_is_conflict {
                let message = "Can not add access to a public flavor.";
                return Err(Error::conflict("FlavorIsPublic", message));
            }
            if allowed {
                require_project(tx, &project_id).await?;
                give(tx, &id, &project_id).await?;
            } else if !flavor::remove_access(tx, &id, &project_id).await? {
                let message = format!("Flavor access not found for {id} / {project_id} combination.");
                return Err(Error::not_found("FlavorAccessNotFound", message));
            }
            Ok(flavor::list_access(tx, &id).await?)
        })
    })
    .await
}

async fn give(tx: &mut Tx, id: &str, project_id: &str) -> Result<()> {
    if flavor::list_access(tx, id).await?.iter().any(|given| given == project_id) {
        let message =
            format!("Flavor access already exists for flavor {id} and project {project_id} combination.");
        return Err(Error::conflict("FlavorAccessExists", message));
    }
    Ok(flavor::add_access(tx, id, project_id).await?)
}
