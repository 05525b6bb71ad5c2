//! Security group rules. They never change: clients delete one and make another.

use std::collections::{BTreeSet, HashMap, HashSet};

use updraft_model::Timestamp;
use updraft_model::id::new_uuid;
use updraft_model::network::{RemotePeer, RuleRequest, RuleSpec, SecurityGroup, SecurityGroupRule, Standard};
use updraft_store::network::security_group;
pub use updraft_store::network::security_group::RuleFilter;
use updraft_store::network::security_group::SecurityGroupFilter;
use updraft_store::{Conn, Tx};
use updraft_wire::network::CreateRule;

use super::Aim;
use super::access::{owner_of_new, scope};
use super::change::change;
use super::error::{found, invalid_input, rule_not_found};
use super::security_group::visible as visible_group;
use super::{input, quota};
use crate::policy::Target;
use crate::{Caller, Core, Error, Result};

/// Makes rules, all or none.
pub async fn create(
    core: &Core,
    caller: &Caller,
    requests: Vec<CreateRule>,
) -> Result<Vec<SecurityGroupRule>> {
    check_together(&requests)?;
    let (caller, now) = (caller.clone(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let mut rules: Vec<SecurityGroupRule> = Vec::with_capacity(requests.len());
            for request in requests {
                rules.push(create_one(tx, &caller, request, now).await?);
            }
            Ok(rules)
        })
    })
    .await
}

/// Rules that are made together are of one group, and different.
fn check_together(requests: &[CreateRule]) -> Result<()> {
    if requests.windows(2).any(|pair| pair[0].security_group_id != pair[1].security_group_id) {
        let message = "Only allowed to update rules for one security profile at a time";
        return Err(Error::bad_request("SecurityGroupNotSingleGroupRules", message));
    }
    let mut seen = HashSet::with_capacity(requests.len());
    for request in requests {
        if !seen.insert(read(request)?.meaning()) {
            let message = "Duplicate Security Group Rule in POST.";
            return Err(Error::conflict("DuplicateSecurityGroupRuleInPost", message));
        }
    }
    Ok(())
}

async fn create_one(
    tx: &mut Tx,
    caller: &Caller,
    request: CreateRule,
    now: Timestamp,
) -> Result<SecurityGroupRule> {
    let project_id = owner_of_new(caller, request.project_id.as_deref())?;
    let spec = read(&request)?;
    let group = visible_group(tx, caller, &request.security_group_id).await?;
    caller.enforce("create_security_group_rule", &target(&project_id, &group.project_id))?;
    if let RemotePeer::Group(remote) = &spec.remote {
        visible_group(tx, caller, remote).await?;
    }
    check_new(&group, &spec)?;
    quota::check(tx, &project_id, "security_group_rule").await?;
    let rule = SecurityGroupRule {
        id: new_uuid(),
        group_id: group.id.clone(),
        project_id,
        spec,
        standard: Standard::new(now, input::text("description", request.description)?),
    };
    security_group::insert_rule(tx, &rule).await?;
    touch(tx, group, now).await?;
    Ok(rule)
}

fn read(request: &CreateRule) -> Result<RuleSpec> {
    if request.remote_address_group_id.is_some() {
        return Err(invalid_input("there are no address groups in this cloud"));
    }
    let spec = RuleSpec::check(&RuleRequest {
        direction: &request.direction,
        ethertype: request.ethertype.as_deref(),
        protocol: request.protocol.as_deref(),
        port_range_min: request.port_range_min,
        port_range_max: request.port_range_max,
        remote_ip_prefix: request.remote_ip_prefix.as_deref(),
        remote_group_id: request.remote_group_id.as_deref(),
    })?;
    Ok(spec)
}

/// Refuses a rule that the group has already, however it is spelled.
fn check_new(group: &SecurityGroup, spec: &RuleSpec) -> Result<()> {
    match group.rules.iter().find(|rule| rule.spec.is_same_as(spec)) {
        Some(rule) => {
            let message = format!("Security group rule already exists. Rule id is {}.", rule.id);
            Err(Error::conflict("SecurityGroupRuleExists", message))
        }
        None => Ok(()),
    }
}

/// A group changes with its rules.
async fn touch(tx: &mut Tx, mut group: SecurityGroup, now: Timestamp) -> Result<()> {
    group.standard.touch(now);
    Ok(security_group::update(tx, &group).await?)
}

/// A rule of this project in a group of that one.
fn target<'a>(project_id: &'a str, group_project_id: &'a str) -> Target<'a> {
    Target { security_group_project_id: Some(group_project_id), ..Target::of_project(project_id) }
}

/// The rule, if it, or its group, is the caller's.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<SecurityGroupRule> {
    visible(&mut core.read().await?, caller, id).await
}

async fn visible(conn: &mut Conn, caller: &Caller, id: &str) -> Result<SecurityGroupRule> {
    let filter = RuleFilter { ids: Some(vec![id.to_owned()]), ..RuleFilter::default() };
    found(seen(conn, caller, filter).await?.pop(), || rule_not_found(id))
}

/// Rules that the caller sees.
pub async fn list(core: &Core, caller: &Caller, filter: RuleFilter) -> Result<Vec<SecurityGroupRule>> {
    seen(&mut core.read().await?, caller, filter).await
}

async fn seen(conn: &mut Conn, caller: &Caller, filter: RuleFilter) -> Result<Vec<SecurityGroupRule>> {
    let filter = RuleFilter { project_id: scope(caller, "get_security_group_rule")?, ..filter };
    let mut rules = security_group::list_rules(conn, &filter).await?;
    let ids: BTreeSet<String> = rules.iter().map(|rule| rule.group_id.clone()).collect();
    let of_rules =
        SecurityGroupFilter { ids: Some(ids.into_iter().collect()), ..SecurityGroupFilter::default() };
    let groups = security_group::list(conn, &of_rules).await?;
    let owners: HashMap<&str, &str> =
        groups.iter().map(|group| (group.id.as_str(), group.project_id.as_str())).collect();
    rules.retain(|rule| {
        let owner = owners.get(rule.group_id.as_str());
        owner.is_some_and(|owner| caller.may("get_security_group_rule", &target(&rule.project_id, owner)))
    });
    Ok(rules)
}

/// Deletes a rule. Connections that only it allowed end with the next packet.
pub async fn delete(core: &Core, caller: &Caller, aim: impl Into<Aim>) -> Result<()> {
    let Aim { id, revision } = aim.into();
    let (caller, now) = (caller.clone(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let rule = visible(tx, &caller, &id).await?;
            revision.check(&rule.standard)?;
            let group = visible_group(tx, &caller, &rule.group_id).await?;
            caller.enforce("delete_security_group_rule", &target(&rule.project_id, &group.project_id))?;
            security_group::delete_rule(tx, &id).await?;
            touch(tx, group, now).await
        })
    })
    .await
}
