//! Security group rules. They never change: clients delete one and make another.

use updraft_model::Timestamp;
use updraft_model::id::new_uuid;
use updraft_model::network::{RemotePeer, RuleRequest, RuleSpec, SecurityGroup, SecurityGroupRule, Standard};
use updraft_store::network::security_group;
pub use updraft_store::network::security_group::RuleFilter;
use updraft_store::{Conn, Tx};
use updraft_wire::network::CreateRule;

use super::access::{may_change, owner_of_new, scope};
use super::change::change;
use super::error::{found, invalid_input, rule_not_found};
use super::security_group::visible as visible_group;
use super::{input, quota};
use crate::{Caller, Core, Error, Result};

/// Makes rules, all or none.
pub async fn create(
    core: &Core,
    caller: &Caller,
    requests: Vec<CreateRule>,
) -> Result<Vec<SecurityGroupRule>> {
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

async fn create_one(
    tx: &mut Tx,
    caller: &Caller,
    request: CreateRule,
    now: Timestamp,
) -> Result<SecurityGroupRule> {
    let project_id = owner_of_new(caller, request.project_id.as_deref(), "create_security_group_rule")?;
    let spec = read(&request)?;
    let group = visible_group(tx, caller, &request.security_group_id).await?;
    may_change(caller, &group.project_id, "create_security_group_rule")?;
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

/// The rule, if it, or its group, is the caller's.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<SecurityGroupRule> {
    let project_id = scope(caller, "get_security_group_rule")?;
    visible(&mut core.read().await?, project_id, id).await
}

async fn visible(conn: &mut Conn, project_id: Option<String>, id: &str) -> Result<SecurityGroupRule> {
    let filter = RuleFilter { ids: Some(vec![id.to_owned()]), project_id, ..RuleFilter::default() };
    found(security_group::list_rules(conn, &filter).await?.pop(), || rule_not_found(id))
}

/// Rules that the caller sees.
pub async fn list(core: &Core, caller: &Caller, filter: RuleFilter) -> Result<Vec<SecurityGroupRule>> {
    let filter = RuleFilter { project_id: scope(caller, "get_security_group_rule")?, ..filter };
    Ok(security_group::list_rules(&mut core.read().await?, &filter).await?)
}

/// Deletes a rule. Connections that only it allowed end with the next packet.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    let project_id = scope(caller, "delete_security_group_rule")?;
    let (caller, id, now) = (caller.clone(), id.to_owned(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let rule = visible(tx, project_id, &id).await?;
            let group = visible_group(tx, &caller, &rule.group_id).await?;
            may_change(&caller, &group.project_id, "delete_security_group_rule")?;
            security_group::delete_rule(tx, &id).await?;
            touch(tx, group, now).await
        })
    })
    .await
}
