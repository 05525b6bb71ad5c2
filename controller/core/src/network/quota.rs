//! How many of each resource a project may have. Counted in the transaction that adds one, so never exceeded.

use std::collections::BTreeMap;

use updraft_model::network::{QUOTAS, QuotaResource, UNLIMITED};
use updraft_store::network::quota;
use updraft_store::{Conn, Tx};

use super::error::invalid_attribute;
use crate::policy::Target;
use crate::{Caller, Core, Error, ErrorKind, Result};

/// The highest limit that Neutron keeps.
const HIGHEST: i64 = 0x7fff_ffff;

/// A resource's limit, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub limit: i64,
    pub used: i64,
}

/// Refuses when the project may not have one more of `resource`. Call it in the transaction that adds it.
pub(super) async fn check(tx: &mut Tx, project_id: &str, resource: &str) -> Result<()> {
    let limit = limits(tx, project_id).await?.get(resource).copied().unwrap_or(UNLIMITED);
    if limit == UNLIMITED || quota::in_use(tx, project_id, resource).await? < limit {
        return Ok(());
    }
    let message = format!("Quota exceeded for resources: ['{resource}'].");
    Err(Error::new(ErrorKind::OverQuota, "OverQuota", message))
}

async fn limits(conn: &mut Conn, project_id: &str) -> Result<BTreeMap<String, i64>> {
    let mut limits = defaults();
    limits.extend(quota::limits(conn, project_id).await?);
    Ok(limits)
}

/// What a project has for which nothing was set.
pub fn defaults_for(caller: &Caller, project_id: &str) -> Result<BTreeMap<String, i64>> {
    may_see(caller, project_id)?;
    Ok(defaults())
}

fn defaults() -> BTreeMap<String, i64> {
    QUOTAS.iter().map(|resource| (resource.name.to_owned(), resource.default_limit)).collect()
}

/// A project may read its own limits whatever its roles; Neutron asks no rule for that.
fn may_see(caller: &Caller, project_id: &str) -> Result<()> {
    let is_own = caller.project_id.as_deref() == Some(project_id);
    if is_own { Ok(()) } else { caller.enforce("get_quota", &Target::of_project(project_id)) }
}

/// A project's limits.
pub async fn get(core: &Core, caller: &Caller, project_id: &str) -> Result<BTreeMap<String, i64>> {
    may_see(caller, project_id)?;
    limits(&mut core.read().await?, project_id).await
}

/// The same with what is used.
pub async fn usage(core: &Core, caller: &Caller, project_id: &str) -> Result<BTreeMap<String, Usage>> {
    may_see(caller, project_id)?;
    let mut conn = core.read().await?;
    let mut usage = BTreeMap::new();
    for (resource, limit) in limits(&mut conn, project_id).await? {
        let used = quota::in_use(&mut conn, project_id, &resource).await?;
        usage.insert(resource, Usage { limit, used });
    }
    Ok(usage)
}

/// The projects whose limits were set: all for an administrator, the own one for who may see its limits.
pub async fn list(core: &Core, caller: &Caller) -> Result<Vec<(String, BTreeMap<String, i64>)>> {
    caller.enforce("get_quota", &Target::own(caller))?;
    let mut conn = core.read().await?;
    let mut projects = quota::projects(&mut conn).await?;
    projects.retain(|project| caller.may("get_quota", &Target::of_project(project)));
    let mut quotas = Vec::new();
    for project in projects {
        let limits = limits(&mut conn, &project).await?;
        quotas.push((project, limits));
    }
    Ok(quotas)
}

/// Sets limits; by default for administrators. 400 below what is in use, unless `force` is said.
pub async fn update(
    core: &Core,
    caller: &Caller,
    project_id: &str,
    change: BTreeMap<String, i64>,
    force: bool,
) -> Result<BTreeMap<String, i64>> {
    caller.enforce("update_quota", &Target::of_project(project_id))?;
    for (resource, limit) in &change {
        if QuotaResource::by_name(resource).is_none() {
            return Err(Error::bad_request(
                "HTTPBadRequest",
                format!("Unrecognized attribute(s) '{resource}'"),
            ));
        }
        if *limit < UNLIMITED {
            let reason = format!("'{limit}' is too small - must be at least '{UNLIMITED}'");
            return Err(invalid_attribute(resource, reason));
        }
        if *limit > HIGHEST {
            let reason = format!("'{limit}' is too large - must be no larger than '{HIGHEST}'");
            return Err(invalid_attribute(resource, reason));
        }
    }
    let project_id = project_id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            for (resource, limit) in change {
                let used = quota::in_use(tx, &project_id, &resource).await?;
                if limit != UNLIMITED && limit < used && !force {
                    let message = format!(
                        "Quota limit {limit} for {resource} must be greater than or equal to already used {used}"
                    );
                    return Err(Error::bad_request("HTTPBadRequest", message));
                }
                quota::set(tx, &project_id, &resource, limit).await?;
            }
            limits(tx, &project_id).await
        })
    })
    .await
}

/// Gives the project the default limits again; by default for administrators.
pub async fn reset(core: &Core, caller: &Caller, project_id: &str) -> Result<()> {
    caller.enforce("delete_quota", &Target::of_project(project_id))?;
    let project_id = project_id.to_owned();
    core.write(move |tx| Box::pin(async move { Ok(quota::reset(tx, &project_id).await?) })).await
}
