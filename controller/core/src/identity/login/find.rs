//! Users, projects and domains as a login names them.

use updraft_model::identity::{ApplicationCredential, Domain, Project, User};
use updraft_store::Conn;
use updraft_store::identity::{application_credential, domain, project, user};

use super::{AppCredentialKey, DomainKey, Named};
use crate::Result;

pub(super) async fn user(conn: &mut Conn, key: &Named) -> Result<Option<User>> {
    match key {
        Named::Id(id) => Ok(user::get(conn, id).await?),
        Named::Name { name, domain } => match self::domain(conn, domain).await? {
            Some(domain) => Ok(user::get_by_name(conn, &domain.id, name).await?),
            None => Ok(None),
        },
    }
}

pub(super) async fn project(conn: &mut Conn, key: &Named) -> Result<Option<Project>> {
    match key {
        Named::Id(id) => Ok(project::get(conn, id).await?),
        Named::Name { name, domain } => match self::domain(conn, domain).await? {
            Some(domain) => Ok(project::get_by_name(conn, &domain.id, name).await?),
            None => Ok(None),
        },
    }
}

pub(super) async fn domain(conn: &mut Conn, key: &DomainKey) -> Result<Option<Domain>> {
    Ok(match key {
        DomainKey::Id(id) => domain::get(conn, id).await?,
        DomainKey::Name(name) => domain::get_by_name(conn, name).await?,
    })
}

/// By its id alone, whatever user is named beside it; by name, among the named user's.
pub(super) async fn application_credential(
    conn: &mut Conn,
    key: &AppCredentialKey,
) -> Result<Option<ApplicationCredential>> {
    match key {
        AppCredentialKey::Id(id) => Ok(application_credential::get(conn, id).await?),
        AppCredentialKey::Name { name, user } => match self::user(conn, user).await? {
            Some(user) => {
                let found = application_credential::list(conn, &user.id, Some(name)).await?;
                // A database may compare names without regard to case.
                Ok(found.into_iter().find(|credential| credential.name == *name))
            }
            None => Ok(None),
        },
    }
}
