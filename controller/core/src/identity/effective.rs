//! Which roles count: a user's own, its groups', those inherited from above, and what all of these imply.
//!
//! [`roles`] runs for every request with a token: two indexed statements, a third one only when the user holds
//! something with inheritance.

use std::collections::{BTreeMap, BTreeSet};

use updraft_model::identity::{Actor, Assignment, Role, Target};
use updraft_store::Conn;
use updraft_store::identity::assignment::AssignmentFilter;
use updraft_store::identity::{assignment, project, role};

use crate::Result;

/// The roles that `user_id` holds on `target`, with those they imply, in the order of their names. Roles of a
/// domain are left out, as in Keystone's tokens: only what they imply counts.
pub async fn roles(conn: &mut Conn, user_id: &str, target: &Target) -> Result<Vec<Role>> {
    roles_with_groups(conn, user_id, &[], target).await
}

/// [`roles`] of a user who is also in these groups, by the word of an identity provider.
pub async fn roles_with_groups(
    conn: &mut Conn,
    user_id: &str,
    group_ids: &[String],
    target: &Target,
) -> Result<Vec<Role>> {
    let mut held = assignment::list_for_user_on(conn, user_id, target).await?;
    held.extend(of_groups(conn, group_ids).await?);
    let is_inherited_somewhere = held.iter().any(|held| held.inherited);
    let above = match target {
        Target::Project(id) if is_inherited_somewhere => project::ancestors(conn, id).await?,
        Target::Project(_) | Target::Domain(_) | Target::System => Vec::new(),
    };
    let counts = |held: &Assignment| match held.inherited {
        true => above.iter().any(|id| id == held.target.id()),
        false => held.target == *target,
    };
    let held: BTreeSet<String> = held.into_iter().filter(counts).map(|held| held.role_id).collect();
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let all = role::list_with_implied(conn).await?;
    let pairs: Vec<(String, String)> = all
        .iter()
        .flat_map(|(role, implied)| implied.iter().map(|implied| (role.id.clone(), implied.clone())))
        .collect();
    let ids = with_implied(held, &pairs);
    let of_cloud = |role: &Role| role.domain_id.is_none() && ids.contains(&role.id);
    Ok(all.into_iter().map(|(role, _)| role).filter(of_cloud).collect())
}

async fn of_groups(conn: &mut Conn, group_ids: &[String]) -> Result<Vec<Assignment>> {
    let mut held = Vec::new();
    for id in group_ids {
        let filter =
            AssignmentFilter { actor: Some(Actor::Group(id.clone())), ..AssignmentFilter::default() };
        held.extend(assignment::list(conn, &filter).await?);
    }
    Ok(held)
}

/// Ids of all projects on which the user holds something, itself, through a group or by inheritance.
pub async fn project_ids(conn: &mut Conn, user_id: &str) -> Result<Vec<String>> {
    project_ids_with_groups(conn, user_id, &[]).await
}

/// [`project_ids`] of a user who is also in these groups, by the word of an identity provider.
pub async fn project_ids_with_groups(
    conn: &mut Conn,
    user_id: &str,
    group_ids: &[String],
) -> Result<Vec<String>> {
    let mut all = assignment::list_for_user(conn, user_id).await?;
    all.extend(of_groups(conn, group_ids).await?);
    let mut ids = BTreeSet::new();
    for held in all {
        match (held.inherited, held.target) {
            (false, Target::Project(id)) => {
                ids.insert(id);
            }
            (true, Target::Project(id) | Target::Domain(id)) => {
                let below = project::descendants(conn, &id).await?;
                ids.extend(below.into_iter().map(|project| project.id));
            }
            (_, Target::Domain(_) | Target::System) => {}
        }
    }
    Ok(ids.into_iter().collect())
}

/// Ids of all domains on which the user holds something, itself or through a group.
pub async fn domain_ids(conn: &mut Conn, user_id: &str) -> Result<Vec<String>> {
    domain_ids_with_groups(conn, user_id, &[]).await
}

/// [`domain_ids`] of a user who is also in these groups, by the word of an identity provider.
pub async fn domain_ids_with_groups(
    conn: &mut Conn,
    user_id: &str,
    group_ids: &[String],
) -> Result<Vec<String>> {
    let mut held = assignment::list_for_user(conn, user_id).await?;
    held.extend(of_groups(conn, group_ids).await?);
    let ids: BTreeSet<String> = held
        .into_iter()
        .filter_map(|held| match held.target {
            Target::Domain(id) if !held.inherited => Some(id),
            Target::Domain(_) | Target::Project(_) | Target::System => None,
        })
        .collect();
    Ok(ids.into_iter().collect())
}

/// The closure of `roles` under the pairs (prior, implied). Terminates on cycles.
pub fn with_implied(roles: BTreeSet<String>, implications: &[(String, String)]) -> BTreeSet<String> {
    let mut implied_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (prior, implied) in implications {
        implied_by.entry(prior).or_default().push(implied);
    }
    let mut waiting: Vec<String> = roles.iter().cloned().collect();
    let mut all = roles;
    while let Some(role) = waiting.pop() {
        for implied in implied_by.get(role.as_str()).into_iter().flatten() {
            if all.insert((*implied).to_owned()) {
                waiting.push((*implied).to_owned());
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::with_implied;

    #[test]
    fn implications_are_followed_to_the_end_and_around_cycles() {
        let pairs =
            [("a", "b"), ("b", "c"), ("c", "a"), ("x", "y")].map(|(from, to)| (from.into(), to.into()));
        let all = with_implied(["a".to_owned()].into(), &pairs);
        assert_eq!(all.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
