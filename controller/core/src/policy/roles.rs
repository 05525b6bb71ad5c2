//! Who may do what: OpenStack's default roles, admin ⊃ manager ⊃ member ⊃ reader.
//!
//! A decision takes the [`Caller`] (from the token) and the owner (from the database); nothing of a request
//! body or query ever gets here. Somebody else's thing is *not found*, except in identity, where Keystone
//! says *forbidden*.

use updraft_model::identity::{MANAGER, MEMBER, READER};

use crate::{Caller, Error, Result};

/// The administrator of the cloud.
pub fn require_admin(caller: &Caller) -> Result<()> {
    if caller.is_admin() { Ok(()) } else { Err(refusal("This is for administrators.")) }
}

/// May change what the project has; answers the project.
pub fn require_member(caller: &Caller) -> Result<&str> {
    require_role(caller, MEMBER)
}

/// May see what the project has; answers the project.
pub fn require_reader(caller: &Caller) -> Result<&str> {
    require_role(caller, READER)
}

/// May manage the project; answers the project.
pub fn require_manager(caller: &Caller) -> Result<&str> {
    require_role(caller, MANAGER)
}

fn require_role<'a>(caller: &'a Caller, role: &str) -> Result<&'a str> {
    let Some(project_id) = &caller.project_id else {
        return Err(refusal("This needs a token that is scoped to a project."));
    };
    if caller.has_role(role) || caller.is_admin() {
        return Ok(project_id);
    }
    Err(refusal(&format!("This needs the role '{role}' on the project.")))
}

pub(crate) fn refusal(reason: &str) -> Error {
    Error::forbidden(format!("You are not authorized to perform the requested action. {reason}"))
}

#[cfg(test)]
mod tests {
    use super::{require_admin, require_member, require_reader};
    use crate::Caller;

    fn caller(roles: &[&str], project: Option<&str>) -> Caller {
        Caller {
            user_id: "u".into(),
            user_name: "u".into(),
            user_domain_id: "default".into(),
            project_id: project.map(Into::into),
            project_name: None,
            domain_id: None,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            audit_id: String::new(),
            ..Caller::default()
        }
    }

    #[test]
    fn a_reader_reads_only() {
        let reader = caller(&["reader"], Some("p"));
        assert_eq!(require_reader(&reader).unwrap(), "p");
        assert!(require_member(&reader).is_err());
        assert!(require_admin(&reader).is_err());
    }

    #[test]
    fn roles_without_a_project_give_nothing_in_a_project() {
        assert!(require_reader(&caller(&["admin", "member", "reader"], None)).is_err());
    }
}
