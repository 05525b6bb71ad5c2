//! Who sees a server at all, and what rules are asked about it. Rules decide among what the caller's project has, and
//! about the rest for administrators alone: somebody else's is *not found*, whatever a rule says.

use updraft_model::compute::Server;
use updraft_store::Conn;
use updraft_store::compute::server;
use updraft_store::identity::project;

use crate::policy::{Service, Target};
use crate::{Caller, Error, Result};

/// Whether the caller is an administrator of servers.
pub(crate) fn is_admin(caller: &Caller) -> bool {
    caller.policy.is_admin(caller, Service::Compute)
}

/// For calls that are about no server: what they are about would be the caller's own.
pub(crate) fn enforce(caller: &Caller, rule: &str) -> Result<()> {
    caller.enforce(rule, &Target::own(caller))
}

/// The same, whether and not that; for what is shown or left out.
pub(crate) fn may(caller: &Caller, rule: &str) -> bool {
    caller.may(rule, &Target::own(caller))
}

/// The caller's project, for what is made in it; 403 for a token of none.
pub(crate) fn own_project<'a>(caller: &'a Caller, rule: &str) -> Result<&'a str> {
    caller.project_id.as_deref().ok_or_else(|| crate::policy::refusal(Service::Compute, rule))
}

/// Refuses a project that the identity service does not know.
pub(crate) async fn require_project(conn: &mut Conn, id: &str) -> Result<()> {
    if project::get(conn, id).await?.is_some() {
        return Ok(());
    }
    let id: String = id.chars().take(64).collect();
    Err(Error::bad_request("BadRequest", format!("Project ID {id} is not a valid project.")))
}

pub(crate) fn not_found(id: &str) -> Error {
    Error::not_found("InstanceNotFound", format!("Instance {id} could not be found."))
}

pub(crate) fn target(server: &Server) -> Target<'_> {
    Target { user_id: Some(&server.user_id), ..Target::of_project(&server.project_id) }
}

/// The server, if it is there, the caller sees it, and the rule lets the caller.
pub(crate) async fn find(conn: &mut Conn, caller: &Caller, id: &str, rule: &str) -> Result<Server> {
    find_of(conn, caller, id, rule, false).await
}

/// The same, among deleted servers too if it is said.
pub(crate) async fn find_of(
    conn: &mut Conn,
    caller: &Caller,
    id: &str,
    rule: &str,
    with_deleted: bool,
) -> Result<Server> {
    let server = server::get(conn, id).await?.filter(|server| with_deleted || server.deleted_at.is_none());
    let is_own = |server: &Server| caller.project_id.as_deref() == Some(&server.project_id);
    let server = server.filter(|server| is_own(server) || is_admin(caller)).ok_or_else(|| not_found(id))?;
    caller.enforce(rule, &target(&server))?;
    Ok(server)
}
