//! Which roles a user holds on a scope: its own, its groups', and what those imply.

use std::collections::{BTreeMap, BTreeSet};

use updraft_model::identity::{Role, Target};
use updraft_store::Conn;
use updraft_store::identity::{assignment, role};

use crate::Result;

/// The roles that `user_id` holds on `target`, with those they imply, in the order of their names.
pub async fn effective_roles(conn: &mut Conn, user_id: &str, target: &Target) -> Result<Vec<Role>> {
    let assigned = assignment::list_for_user(conn, user_id).await?;
    let held: BTreeSet<String> =
        assigned.into_iter().filter(|held| held.target == *target).map(|held| held.role_id).collect();
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let all = with_implied(held, &role::implications(conn).await?);
    Ok(role::list_all(conn).await?.into_iter().filter(|role| all.contains(&role.id)).collect())
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
