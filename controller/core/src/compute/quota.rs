//! Limits and what is used of them.

use std::collections::BTreeMap;

use updraft_model::compute::quota::{Limits, Resource, Usage};
use updraft_store::compute::quota;
use updraft_wire::compute::limits::{Quota, Quotas};

use super::access::{enforce, own_project, require_project};
use crate::policy::Target;
use crate::{Caller, Core, Error, ErrorKind, Result};

/// `GET /limits`: of the caller's own project, or of the one that is named.
pub async fn limits(core: &Core, caller: &Caller, project_id: Option<&str>) -> Result<Quotas> {
    caller.enforce("os_compute_api:limits", &Target::default())?;
    let project_id = match project_id {
        Some(named) => {
            enforce(caller, "os_compute_api:limits:other_project")?;
            named
        }
        None => own_project(caller, "os_compute_api:limits")?,
    };
    of_project(core, project_id).await
}

/// A project's limits, `detail` with what is used of them.
pub async fn get(core: &Core, caller: &Caller, project_id: &str, detail: bool) -> Result<Quotas> {
    let rule = match detail {
        true => "os_compute_api:os-quota-sets:detail",
        false => "os_compute_api:os-quota-sets:show",
    };
    caller.enforce(rule, &Target::of_project(project_id))?;
    require_project(&mut core.read().await?, project_id).await?;
    of_project(core, project_id).await
}

async fn of_project(core: &Core, project_id: &str) -> Result<Quotas> {
    let mut conn = core.read().await?;
    let limits = quota::limits(&mut conn, project_id).await?;
    Ok(join(&limits, quota::usage(&mut conn, project_id).await?))
}

/// What a project has for which nothing was set.
pub async fn defaults(core: &Core, caller: &Caller, project_id: &str) -> Result<Quotas> {
    caller.enforce("os_compute_api:os-quota-sets:defaults", &Target::of_project(project_id))?;
    require_project(&mut core.read().await?, project_id).await?;
    Ok(join(&Limits::default(), Usage::default()))
}

/// Sets limits by Nova's names; below what is in use only by `force`.
pub async fn set(
    core: &Core,
    caller: &Caller,
    project_id: &str,
    limits: BTreeMap<String, i64>,
    force: bool,
) -> Result<Quotas> {
    caller.enforce("os_compute_api:os-quota-sets:update", &Target::of_project(project_id))?;
    let project_id = project_id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            require_project(tx, &project_id).await?;
            let usage = quota::usage(tx, &project_id).await?;
            // Names that only the network service counts are taken and have no effect here, as in Nova.
            let known = limits.iter().filter_map(|(name, limit)| Some((Resource::parse(name)?, *limit)));
            for (resource, limit) in known {
                let used = usage.of(resource);
                if limit >= 0 && limit < used && !force {
                    let name = resource.as_str();
                    let message = format!(
                        "Quota limit {limit} for {name} must be greater than or equal to already used {used}."
                    );
                    return Err(Error::bad_request("QuotaBelowUse", message));
                }
                quota::set_limit(tx, &project_id, resource, limit).await?;
            }
            Ok(join(&quota::limits(tx, &project_id).await?, usage))
        })
    })
    .await
}

/// Back to the defaults.
pub async fn reset(core: &Core, caller: &Caller, project_id: &str) -> Result<()> {
    caller.enforce("os_compute_api:os-quota-sets:delete", &Target::of_project(project_id))?;
    let project_id = project_id.to_owned();
    core.write(move |tx| Box::pin(async move { Ok(quota::clear_limits(tx, &project_id).await?) })).await
}

fn join(limits: &Limits, usage: Usage) -> Quotas {
    let one = |resource: Resource| {
        (resource.as_str(), Quota { limit: limits.limit(resource), in_use: usage.of(resource) })
    };
    Resource::ALL.into_iter().map(one).collect()
}

/// Refuses, in Nova's words, what would go over a limit.
pub(crate) fn require(limits: &Limits, usage: &Usage, wanted: &[(Resource, i64)]) -> Result<()> {
    let over: Vec<&(Resource, i64)> = wanted
        .iter()
        .filter(|(resource, more)| !limits.allows(*resource, usage.of(*resource), *more))
        .collect();
    if over.is_empty() {
        return Ok(());
    }
    let list = |value: fn(&Limits, &Usage, &(Resource, i64)) -> String| {
        over.iter().map(|wanted| value(limits, usage, wanted)).collect::<Vec<String>>().join(", ")
    };
    let message = format!(
        "Quota exceeded for {}: Requested {}, but already used {} of {} {}",
        list(|_, _, (resource, _)| resource.as_str().to_owned()),
        list(|_, _, (_, more)| more.to_string()),
        list(|_, usage, (resource, _)| usage.of(*resource).to_string()),
        list(|limits, _, (resource, _)| limits.limit(*resource).to_string()),
        list(|_, _, (resource, _)| resource.as_str().to_owned()),
    );
    Err(Error::new(ErrorKind::OverQuota, "TooManyInstances", message))
}

#[cfg(test)]
mod tests {
    use updraft_model::compute::quota::{Limits, Resource, Usage};

    use super::require;
    use crate::ErrorKind;

    #[test]
    fn going_over_a_limit_is_said_as_nova_says_it() {
        let usage = Usage { instances: 10, cores: 19, ram_mib: 0 };
        let wanted = [(Resource::Instances, 1), (Resource::Cores, 1), (Resource::Ram, 512)];
        let error = require(&Limits::default(), &usage, &wanted).unwrap_err();
        assert_eq!(error.kind, ErrorKind::OverQuota);
        assert_eq!(
            error.message,
            "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"
        );
        assert!(require(&Limits::default(), &Usage::default(), &wanted).is_ok());
    }
}
