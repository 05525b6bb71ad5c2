//! Limits and what is used of them.

use std::collections::BTreeMap;

use updraft_model::compute::quota::{Limits, Resource, Usage};
use updraft_store::compute::quota;
use updraft_wire::compute::limits::{Quota, Quotas};

use crate::policy::{require_admin, require_reader};
use crate::{Caller, Core, Error, ErrorKind, Result};

/// Limits and use of a project: the caller's own, or, for administrators, any.
pub async fn get(core: &Core, caller: &Caller, project_id: Option<&str>) -> Result<Quotas> {
    let own = require_reader(caller)?;
    let project_id = project_id.unwrap_or(own);
    if project_id != own {
        require_admin(caller)?;
    }
    let mut conn = core.read().await?;
    let limits = quota::limits(&mut conn, project_id).await?;
    Ok(join(&limits, quota::usage(&mut conn, project_id).await?))
}

/// What a project has for which nothing was set.
pub fn defaults(caller: &Caller) -> Result<Quotas> {
    require_reader(caller)?;
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
    require_admin(caller)?;
    let project_id = project_id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
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
    require_admin(caller)?;
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
