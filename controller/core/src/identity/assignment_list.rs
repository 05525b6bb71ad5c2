//! `GET /v3/role_assignments`: who holds which role where, as given or as it counts.
//!
//! As it counts ("effective"): a group's role becomes one of each member, an inherited role one on each project
//! below, a role brings those that it implies; roles of domains are left out. Each line says where it came from.

use std::collections::{BTreeMap, BTreeSet};

use updraft_model::identity::{Actor, Assignment, Role, Target};
use updraft_store::Conn;
use updraft_store::identity::assignment::{self, AssignmentFilter};
use updraft_store::identity::project::{self, ProjectFilter};
use updraft_store::identity::user::{self, UserFilter};
use updraft_store::identity::{domain, group, role};

use super::{access, checks};
use crate::policy;
use crate::{Caller, Core, Result};

/// What the list is narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    pub actor: Option<Actor>,
    pub target: Option<Target>,
    pub role_id: Option<String>,
    pub inherited: Option<bool>,
    /// Projects below the target count too.
    pub include_subtree: bool,
    pub effective: bool,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub actor: Actor,
    pub target: Target,
    pub role_id: String,
    /// As given: it is inherited by what is below.
    pub inherited: bool,
    /// As it counts: the group that the actor holds it through.
    pub through_group: Option<String>,
    /// As it counts: where it is inherited from.
    pub from_target: Option<Target>,
    /// As it counts: the role that implies it.
    pub prior_role_id: Option<String>,
}

/// The lines that fit. A token for a domain shows those of the domain and its projects.
pub async fn list(core: &Core, caller: &Caller, filter: ListFilter) -> Result<Vec<Listed>> {
    check_filter(&filter)?;
    let mut conn = core.read().await?;
    enforce(core, caller, &mut conn, &filter).await?;
    let mut lister = Lister { conn, filter, below: BTreeMap::new(), members: BTreeMap::new() };
    let projects = lister.projects_of_interest().await?;
    let mut lines = match lister.filter.effective {
        true => lister.effective(projects.as_ref()).await?,
        false => lister.given(projects.as_ref()).await?,
    };
    if let Some(own) = &caller.domain_id {
        let filter = ProjectFilter { domain_id: Some(own.clone()), ..ProjectFilter::default() };
        let own_projects = project::list(&mut lister.conn, &filter).await?;
        let own_projects: BTreeSet<String> = own_projects.into_iter().map(|project| project.id).collect();
        lines.retain(|line| match &line.target {
            Target::Project(id) => own_projects.contains(id),
            Target::Domain(id) => id == own,
            Target::System => false,
        });
    }
    Ok(lines)
}

fn check_filter(filter: &ListFilter) -> Result<()> {
    if !filter.effective {
        return Ok(());
    }
    if matches!(filter.actor, Some(Actor::Group(_))) {
        return Err(checks::invalid(
            "Combining effective and group filter will always result in an empty list.",
        ));
    }
    if filter.inherited == Some(true) && matches!(filter.target, Some(Target::Domain(_))) {
        return Err(checks::invalid(
            "Combining effective, domain and inherited filters will always result in an empty list.",
        ));
    }
    Ok(())
}

async fn enforce(core: &Core, caller: &Caller, conn: &mut Conn, filter: &ListFilter) -> Result<()> {
    if !filter.include_subtree {
        return access::enforce_list(core, caller, "identity:list_role_assignments");
    }
    let rule = "identity:list_role_assignments_for_tree";
    let Some(Target::Project(id)) = &filter.target else {
        access::enforce_plain(core, caller, rule)?;
        return Err(checks::invalid(
            "scope.project.id must be specified if include_subtree is also specified",
        ));
    };
    let found = project::get(conn, id).await?.ok_or_else(|| checks::not_found("project", id))?;
    let target = policy::Target { domain_id: Some(&found.domain_id), ..access::project(Some(&found)) };
    access::enforce(core, caller, rule, &target)
}

struct Lister {
    conn: Conn,
    filter: ListFilter,
    /// What is below a project or domain, looked up once.
    below: BTreeMap<String, Vec<String>>,
    /// Who is in a group, looked up once.
    members: BTreeMap<String, Vec<String>>,
}

impl Lister {
    /// The projects that the list is narrowed to, if it is.
    async fn projects_of_interest(&mut self) -> Result<Option<BTreeSet<String>>> {
        let Some(Target::Project(id)) = self.filter.target.clone() else { return Ok(None) };
        let mut ids = BTreeSet::from([id.clone()]);
        if self.filter.include_subtree {
            ids.extend(self.below(&id).await?);
        }
        Ok(Some(ids))
    }

    /// As they were given.
    async fn given(&mut self, projects: Option<&BTreeSet<String>>) -> Result<Vec<Listed>> {
        let filter = AssignmentFilter {
            actor: self.filter.actor.clone(),
            target: self
                .filter
                .target
                .clone()
                .filter(|_| projects.is_none_or(|projects| projects.len() == 1)),
            role_id: self.filter.role_id.clone(),
            inherited: self.filter.inherited,
        };
        let held = assignment::list(&mut self.conn, &filter).await?.into_iter();
        Ok(held.filter(|held| is_of_interest(&held.target, projects)).map(as_given).collect())
    }

    /// As they count.
    async fn effective(&mut self, projects: Option<&BTreeSet<String>>) -> Result<Vec<Listed>> {
        let held = match &self.filter.actor {
            Some(Actor::User(id)) => assignment::list_for_user(&mut self.conn, id).await?,
            _ => assignment::list(&mut self.conn, &AssignmentFilter::default()).await?,
        };
        let mut lines = Vec::new();
        for held in held {
            for line in self.spread(as_given(held), projects).await? {
                lines.extend(self.by_member(line).await?);
            }
        }
        let roles = role::list_with_implied(&mut self.conn).await?;
        let mut lines = with_implied(lines, &roles);
        let of_cloud: BTreeSet<&str> = roles
            .iter()
            .filter(|(role, _)| role.domain_id.is_none())
            .map(|(role, _)| role.id.as_str())
            .collect();
        let asked = self.filter.role_id.as_deref();
        lines.retain(|line| {
            of_cloud.contains(line.role_id.as_str()) && asked.is_none_or(|asked| asked == line.role_id)
        });
        Ok(lines)
    }

    /// A line on each project that it counts on, of those that the list is narrowed to.
    async fn spread(&mut self, line: Listed, projects: Option<&BTreeSet<String>>) -> Result<Vec<Listed>> {
        if !line.inherited {
            let fits = match &self.filter.target {
                Some(Target::Project(_)) => is_of_interest(&line.target, projects),
                Some(target) => line.target == *target,
                // As in Keystone: what counts on the system has to be asked for.
                None => line.target != Target::System,
            };
            let wanted = fits && self.filter.inherited != Some(true);
            return Ok(wanted.then_some(line).into_iter().collect());
        }
        let elsewhere = matches!(self.filter.target, Some(Target::Domain(_) | Target::System));
        if elsewhere || self.filter.inherited == Some(false) {
            return Ok(Vec::new());
        }
        let below = self.below(line.target.id()).await?.into_iter();
        let below = below.filter(|id| projects.is_none_or(|projects| projects.contains(id)));
        let on = |id| Listed {
            target: Target::Project(id),
            inherited: false,
            from_target: Some(line.target.clone()),
            ..line.clone()
        };
        Ok(below.map(on).collect())
    }

    /// A group's line, for each member or for the one that the list is narrowed to.
    async fn by_member(&mut self, line: Listed) -> Result<Vec<Listed>> {
        let Actor::Group(group_id) = line.actor.clone() else { return Ok(vec![line]) };
        let members = match &self.filter.actor {
            Some(Actor::User(id)) => vec![id.clone()],
            _ => self.members(&group_id).await?,
        };
        let of =
            |id| Listed { actor: Actor::User(id), through_group: Some(group_id.clone()), ..line.clone() };
        Ok(members.into_iter().map(of).collect())
    }

    async fn below(&mut self, id: &str) -> Result<Vec<String>> {
        if let Some(known) = self.below.get(id) {
            return Ok(known.clone());
        }
        let found = project::descendants(&mut self.conn, id).await?;
        let ids: Vec<String> = found.into_iter().map(|project| project.id).collect();
        self.below.insert(id.to_owned(), ids.clone());
        Ok(ids)
    }

    async fn members(&mut self, group_id: &str) -> Result<Vec<String>> {
        if let Some(known) = self.members.get(group_id) {
            return Ok(known.clone());
        }
        let ids = group::members(&mut self.conn, group_id).await?;
        self.members.insert(group_id.to_owned(), ids.clone());
        Ok(ids)
    }
}

fn is_of_interest(target: &Target, projects: Option<&BTreeSet<String>>) -> bool {
    let Some(projects) = projects else { return true };
    matches!(target, Target::Project(id) if projects.contains(id))
}

fn as_given(held: Assignment) -> Listed {
    let Assignment { actor, target, role_id, inherited } = held;
    Listed { actor, target, role_id, inherited, through_group: None, from_target: None, prior_role_id: None }
}

/// Each line, and one more for each role that its role implies, directly or by way of others.
fn with_implied(lines: Vec<Listed>, roles: &[(Role, Vec<String>)]) -> Vec<Listed> {
    let implied: BTreeMap<&str, &Vec<String>> =
        roles.iter().map(|(role, implied)| (role.id.as_str(), implied)).collect();
    let mut all = Vec::new();
    for line in lines {
        let mut seen = BTreeSet::from([line.role_id.clone()]);
        let mut waiting = vec![line];
        while let Some(line) = waiting.pop() {
            for role_id in implied.get(line.role_id.as_str()).into_iter().copied().flatten() {
                if seen.insert(role_id.clone()) {
                    let prior_role_id = Some(line.role_id.clone());
                    waiting.push(Listed { role_id: role_id.clone(), prior_role_id, ..line.clone() });
                }
            }
            all.push(line);
        }
    }
    all
}

/// Names for the ids in a list of assignments: id to (name, domain id).
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub users: BTreeMap<String, (String, String)>,
    pub groups: BTreeMap<String, (String, String)>,
    pub projects: BTreeMap<String, (String, String)>,
    pub domains: BTreeMap<String, String>,
    pub roles: BTreeMap<String, (String, Option<String>)>,
}

/// All names that an answer with `include_names` may need. Few enough in a private cloud to read whole.
pub async fn names(core: &Core) -> Result<Names> {
    let mut conn = core.read().await?;
    let users = user::list(&mut conn, &UserFilter::default()).await?;
    let groups = group::list(&mut conn, None, None, None).await?;
    let projects = project::list(&mut conn, &ProjectFilter::default()).await?;
    let domains = domain::list(&mut conn, None, None, None).await?;
    let roles = role::list_all(&mut conn).await?;
    Ok(Names {
        users: users.into_iter().map(|user| (user.id, (user.name, user.domain_id))).collect(),
        groups: groups.into_iter().map(|group| (group.id, (group.name, group.domain_id))).collect(),
        projects: projects
            .into_iter()
            .map(|project| (project.id, (project.name, project.domain_id)))
            .collect(),
        domains: domains.into_iter().map(|domain| (domain.id, domain.name)).collect(),
        roles: roles.into_iter().map(|role| (role.id, (role.name, role.domain_id))).collect(),
    })
}
