//! Security groups. Each project has one named `default`, made when the project first uses the network service.

use updraft_model::Timestamp;
use updraft_model::id::new_uuid;
use updraft_model::network::{
    DEFAULT_GROUP_NAME, Direction, EtherType, RemotePeer, RuleSpec, SecurityGroup, SecurityGroupRule,
    Standard,
};
use updraft_store::network::security_group;
pub use updraft_store::network::security_group::SecurityGroupFilter;
use updraft_store::{Conn, StoreErrorKind, Tx};
use updraft_wire::network::{CreateSecurityGroup, UpdateSecurityGroup};

use super::Aim;
use super::access::{attributes, hidden as hidden_by, is_admin, owner_of_new, reaches, scope};
use super::change::change;
use super::error::{found, group_not_found};
use super::{input, quota};
use crate::policy::Target;
use crate::{Caller, Core, Error, Result};

/// The project's default group, made if this is its first use; answers its id. Its rules: everything out, and in from
/// its own members.
pub(super) async fn ensure_default(tx: &mut Tx, project_id: &str, now: Timestamp) -> Result<String> {
    if let Some(id) = security_group::default_of(tx, project_id).await? {
        return Ok(id);
    }
    let mut group = new_group(project_id, DEFAULT_GROUP_NAME.into(), now, "Default security group".into());
    group.is_default = true;
    for ethertype in [EtherType::Ipv4, EtherType::Ipv6] {
        let own_members = RemotePeer::Group(group.id.clone());
        group.rules.push(new_rule(&group, RuleSpec::any(Direction::Ingress, ethertype, own_members), now));
    }
    security_group::insert(tx, &group).await?;
    Ok(group.id)
}

/// A group as Neutron makes it: everything may go out, nothing may come in.
fn new_group(project_id: &str, name: String, now: Timestamp, description: String) -> SecurityGroup {
    let mut group = SecurityGroup {
        id: new_uuid(),
        project_id: project_id.to_owned(),
        name,
        stateful: true,
        is_default: false,
        rules: Vec::new(),
        standard: Standard::new(now, description),
    };
    for ethertype in [EtherType::Ipv4, EtherType::Ipv6] {
        group.rules.push(new_rule(&group, RuleSpec::any(Direction::Egress, ethertype, RemotePeer::Any), now));
    }
    group
}

fn new_rule(group: &SecurityGroup, spec: RuleSpec, now: Timestamp) -> SecurityGroupRule {
    SecurityGroupRule {
        id: new_uuid(),
        group_id: group.id.clone(),
        project_id: group.project_id.clone(),
        spec,
        standard: Standard::new(now, ""),
    }
}

/// Makes the caller's default group unless it is there: a project sees it from its first look on.
async fn first_use(core: &Core, caller: &Caller) -> Result<()> {
    let Some(project_id) = caller.project_id.clone() else { return Ok(()) };
    if security_group::default_of(&mut core.read().await?, &project_id).await?.is_some() {
        return Ok(());
    }
    let now = core.clock.now();
    core.write(move |tx| Box::pin(async move { ensure_default(tx, &project_id, now).await.map(drop) })).await
}

/// Makes groups, all or none.
pub async fn create(
    core: &Core,
    caller: &Caller,
    requests: Vec<CreateSecurityGroup>,
) -> Result<Vec<SecurityGroup>> {
    let now = core.clock.now();
    let groups =
        requests.into_iter().map(|request| read(caller, request, now)).collect::<Result<Vec<_>>>()?;
    change(core, move |tx| {
        Box::pin(async move {
            for group in &groups {
                ensure_default(tx, &group.project_id, now).await?;
                quota::check(tx, &group.project_id, "security_group").await?;
                security_group::insert(tx, group).await?;
            }
            Ok(groups)
        })
    })
    .await
}

fn read(caller: &Caller, request: CreateSecurityGroup, now: Timestamp) -> Result<SecurityGroup> {
    let project_id = owner_of_new(caller, request.project_id.as_deref())?;
    let set = [
        (true, "create_security_group"),
        (request.tags.as_ref().is_some_and(|tags| !tags.is_empty()), "create_security_group:tags"),
    ];
    attributes(caller, &Target::of_project(&project_id), &set)?;
    let name = input::text("name", request.name)?;
    if name.eq_ignore_ascii_case(DEFAULT_GROUP_NAME) {
        return Err(default_exists());
    }
    let mut group = new_group(&project_id, name, now, input::text("description", request.description)?);
    group.stateful = request.stateful.unwrap_or(true);
    group.standard.tags = input::tags(request.tags.unwrap_or_default())?;
    Ok(group)
}

fn default_exists() -> Error {
    Error::conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
}

/// The group, if it is the caller's.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<SecurityGroup> {
    visible(&mut core.read().await?, caller, id).await
}

/// The same inside a transaction.
pub(super) async fn visible(conn: &mut Conn, caller: &Caller, id: &str) -> Result<SecurityGroup> {
    let group = security_group::get(conn, id).await?.filter(|group| {
        reaches(caller, &group.project_id) && caller.may("get_security_group", &target(group))
    });
    found(group, || group_not_found(id))
}

/// Groups that the caller sees.
pub async fn list(core: &Core, caller: &Caller, filter: SecurityGroupFilter) -> Result<Vec<SecurityGroup>> {
    let project_id = scope(caller, "get_security_group")?;
    first_use(core, caller).await?;
    let filter = SecurityGroupFilter { project_id, ..filter };
    let mut groups = security_group::list(&mut core.read().await?, &filter).await?;
    groups.retain(|group| caller.may("get_security_group", &target(group)));
    Ok(groups)
}

/// Groups are shared with nobody.
pub(super) fn target(group: &SecurityGroup) -> Target<'_> {
    Target { shared: Some(false), ..Target::of_project(&group.project_id) }
}

/// The attributes that the caller is not shown.
pub fn hidden(caller: &Caller, group: &SecurityGroup) -> Vec<&'static str> {
    hidden_by(caller, &target(group), &[("tags", "get_security_group:tags")])
}

/// Changes a group's name, description or statefulness.
pub async fn update(
    core: &Core,
    caller: &Caller,
    aim: impl Into<Aim>,
    request: UpdateSecurityGroup,
) -> Result<SecurityGroup> {
    let Aim { id, revision } = aim.into();
    let (caller, now) = (caller.clone(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let mut group = visible(tx, &caller, &id).await?;
            revision.check(&group.standard)?;
            caller.enforce("update_security_group", &target(&group))?;
            if request.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(DEFAULT_GROUP_NAME)) {
                return Err(default_exists());
            }
            let renames = request.name.as_ref().is_some_and(|name| *name != group.name);
            if group.is_default && renames {
                let message = "Updating default security group not allowed.";
                return Err(Error::conflict("SecurityGroupCannotUpdateDefault", message));
            }
            let before = group.clone();
            input::replace_text("name", &mut group.name, request.name)?;
            input::replace_text("description", &mut group.standard.description, request.description)?;
            group.stateful = request.stateful.unwrap_or(group.stateful);
            if group != before {
                group.standard.touch(now);
                security_group::update(tx, &group).await?;
            }
            Ok(group)
        })
    })
    .await
}

/// Deletes a group, its rules, and the rules of others that name it; 409 while a port is a member.
pub async fn delete(core: &Core, caller: &Caller, aim: impl Into<Aim>) -> Result<()> {
    let Aim { id, revision } = aim.into();
    let caller = caller.clone();
    change(core, move |tx| {
        Box::pin(async move {
            let group = visible(tx, &caller, &id).await?;
            revision.check(&group.standard)?;
            caller.enforce("delete_security_group", &target(&group))?;
            if group.is_default && !is_admin(&caller) {
                let message = "Insufficient rights for removing default security group.";
                return Err(Error::conflict("SecurityGroupCannotRemoveDefault", message));
            }
            security_group::delete(tx, &id).await.map_err(|error| match error.kind {
                StoreErrorKind::Reference => {
                    Error::conflict("SecurityGroupInUse", format!("Security Group {id} in use."))
                        .because(error)
                }
                _ => error.into(),
            })
        })
    })
    .await
}

/// The groups that a port of the project may be a member of, each once; 404 when one is not the project's.
pub(super) async fn check_members(
    tx: &mut Tx,
    caller: &Caller,
    project_id: &str,
    ids: Vec<String>,
) -> Result<Vec<String>> {
    let mut ids = ids;
    ids.sort();
    ids.dedup();
    for id in &ids {
        let group = security_group::get(tx, id).await?;
        let usable = group.is_some_and(|group| group.project_id == project_id || is_admin(caller));
        if !usable {
            return Err(group_not_found(id));
        }
    }
    Ok(ids)
}
