//! `…/identity_providers/{idp}/protocols/{protocol}/auth`: from an ID token to an unscoped token.

use sha2::{Digest, Sha256};
use updraft_model::Timestamp;
use updraft_model::id::new_keystone_id;
use updraft_model::identity::{
    Actor, Assignment, Extra, FederatedName, IdentityProvider, Options, Project, Target, User,
};
use updraft_store::identity::{assignment, domain, federated_user, federation, group, project, role, user};
use updraft_store::{Conn, Tx};
use updraft_token::{Federated, MAX_FEDERATED_GROUPS};

use super::oidc::IdToken;
use super::rules::{DomainRule, Identity, ProjectRule, Rules, UserRule};
use super::{idp_not_found, oidc, protocol_not_found};
use crate::identity::login;
use crate::{Core, Error, Result, audit};

/// Verifies the ID token, maps what it says, and makes an unscoped token for the user that comes of it: one that is
/// here already (`"type": "local"`), or one that is made at its first login.
pub async fn login(core: &Core, idp_id: &str, protocol_id: &str, id_token: &str) -> Result<login::Outcome> {
    let (idp, rules) = known(core, idp_id, protocol_id).await?;
    let verified = oidc::verify(core, id_token, &idp.remote_ids).await?;
    admit(core, idp, &rules, protocol_id, &verified).await
}

/// Makes the token for whom a verified ID token speaks of.
pub(super) async fn admit(
    core: &Core,
    idp: IdentityProvider,
    rules: &Rules,
    protocol_id: &str,
    verified: &IdToken,
) -> Result<login::Outcome> {
    let identity = rules.apply(&verified.assertion()).map_err(refused)?;
    let federated =
        Federated { idp_id: idp.id.clone(), protocol_id: protocol_id.to_owned(), group_ids: Vec::new() };
    match identity.user.kind.as_deref() {
        Some("local") => {
            let found = local_user(&mut core.read().await?, &identity.user).await?;
            let user = found.ok_or_else(|| refused("the mapped user is not here"))?;
            login::vouched(core, user, protocol_id, None).await
        }
        None | Some("ephemeral") => ephemeral(core, idp, identity, federated).await,
        Some(_) => Err(refused("the mapped user is of an unknown type")),
    }
}

fn refused(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unauthorized().because(source)
}

/// The identity provider and the rules that its assertions by the protocol are read with; 404 or 403 without.
pub(super) async fn known(core: &Core, idp_id: &str, protocol_id: &str) -> Result<(IdentityProvider, Rules)> {
    let mut conn = core.read().await?;
    let idp = federation::get_idp(&mut conn, idp_id).await?.ok_or_else(|| idp_not_found(idp_id))?;
    if !idp.enabled {
        return Err(Error::forbidden("The identity provider is disabled."));
    }
    let protocols = federation::list_protocols(&mut conn, Some(idp_id), Some(protocol_id)).await?;
    let protocol = protocols.into_iter().next().ok_or_else(|| protocol_not_found(idp_id, protocol_id))?;
    let mapping = federation::get_mapping(&mut conn, &protocol.mapping_id).await?;
    let mapping = mapping.ok_or_else(|| protocol_not_found(idp_id, protocol_id))?;
    Ok((idp, Rules::parse(&mapping.rules).map_err(Error::internal)?))
}

async fn local_user(conn: &mut Conn, rule: &UserRule) -> Result<Option<User>> {
    if let Some(id) = &rule.id {
        return Ok(user::get(conn, id).await?);
    }
    let (Some(name), Some(domain)) = (&rule.name, &rule.domain) else { return Ok(None) };
    match domain_id(conn, domain).await? {
        Some(domain_id) => Ok(user::get_by_name(conn, &domain_id, name).await?),
        None => Ok(None),
    }
}

async fn domain_id(conn: &mut Conn, rule: &DomainRule) -> Result<Option<String>> {
    let found = match (&rule.id, &rule.name) {
        (Some(id), _) => domain::get(conn, id).await?,
        (None, Some(name)) => domain::get_by_name(conn, name).await?,
        (None, None) => None,
    };
    Ok(found.map(|domain| domain.id))
}

async fn ephemeral(
    core: &Core,
    idp: IdentityProvider,
    identity: Identity,
    mut federated: Federated,
) -> Result<login::Outcome> {
    federated.group_ids = group_ids(&mut core.read().await?, &identity).await?;
    let (protocol_id, now, operation) = (federated.protocol_id.clone(), core.clock.now(), audit::current());
    let user = core
        .write(move |tx| {
            Box::pin(async move {
                let user = ensure_user(tx, &idp, &protocol_id, &identity.user, now).await?;
                // The event is in this transaction.
                let known = async { audit::identify_user(&user.id, &user.name, &user.domain_id) };
                audit::on_behalf_of(operation, known).await;
                for rule in &identity.projects {
                    ensure_project(tx, &idp, &user, rule).await?;
                }
                Ok(user)
            })
        })
        .await?;
    let protocol_id = federated.protocol_id.clone();
    login::vouched(core, user, &protocol_id, Some(federated)).await
}

/// The groups that exist. One that is named by its id and does not exist is a mistake in the mapping.
async fn group_ids(conn: &mut Conn, identity: &Identity) -> Result<Vec<String>> {
    let mut ids = identity.group_ids.clone();
    for id in &ids {
        if group::get(conn, id).await?.is_none() {
            return Err(Error::internal(format!("the mapping names the group {id}, which is not here")));
        }
    }
    for wanted in &identity.groups {
        let Some(domain_id) = domain_id(conn, &wanted.domain).await? else { continue };
        let found = group::list(conn, None, Some(&domain_id), Some(&wanted.name)).await?;
        ids.extend(found.into_iter().map(|group| group.id));
    }
    match ids.len() > MAX_FEDERATED_GROUPS {
        true => Err(refused("the assertion names too many groups")),
        false => Ok(ids.into_iter().collect()),
    }
}

/// The user that the identity provider's name stands for; made when that name is new. It never becomes a user that
/// was here before, whatever it calls itself.
async fn ensure_user(
    tx: &mut Tx,
    idp: &IdentityProvider,
    protocol_id: &str,
    rule: &UserRule,
    now: Timestamp,
) -> Result<User> {
    let unique =
        rule.id.as_ref().or(rule.name.as_ref()).ok_or_else(|| refused("the mapping names no user"))?;
    let key: String = Sha256::digest(unique.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    if let Some(id) = federated_user::find(tx, &idp.id, protocol_id, &key).await? {
        return user::get(tx, &id).await?.filter(|user| user.enabled).ok_or_else(Error::unauthorized);
    }
    let domain_id = match &rule.domain {
        Some(wanted) => {
            domain_id(tx, wanted).await?.ok_or_else(|| refused("the mapped domain is not here"))?
        }
        None => idp.domain_id.clone(),
    };
    let name = rule.name.clone().unwrap_or_else(|| unique.clone());
    let name = match user::get_by_name(tx, &domain_id, &name).await? {
        Some(_) => format!("{name}@{}", idp.id),
        None => name,
    };
    let user = User {
        id: new_keystone_id(),
        domain_id,
        name,
        description: None,
        email: rule.email.clone(),
        default_project_id: None,
        enabled: true,
        password: None,
        created_at: Some(now),
        tokens_valid_after: Timestamp(0),
        options: Options::new(),
        extra: Extra::new(),
    };
    user::insert(tx, &user).await?;
    let name = FederatedName {
        idp_id: idp.id.clone(),
        protocol_id: protocol_id.to_owned(),
        unique_id: unique.clone(),
    };
    federated_user::insert(tx, &name, &key, &user.id).await?;
    Ok(user)
}

/// The project that the mapping wants the user in, with its roles there.
async fn ensure_project(tx: &mut Tx, idp: &IdentityProvider, user: &User, rule: &ProjectRule) -> Result<()> {
    let domain_id = match &rule.domain {
        Some(wanted) => {
            domain_id(tx, wanted).await?.ok_or_else(|| refused("the mapped domain is not here"))?
        }
        None => idp.domain_id.clone(),
    };
    let project = match project::get_by_name(tx, &domain_id, &rule.name).await? {
        Some(project) => project,
        None => {
            let project = Project {
                id: new_keystone_id(),
                parent_id: domain_id.clone(),
                domain_id,
                name: rule.name.clone(),
                description: String::new(),
                enabled: true,
                is_domain: false,
                tags: Vec::new(),
                tokens_valid_after: Timestamp(0),
                options: Options::new(),
                extra: Extra::new(),
            };
            project::insert(tx, &project).await?;
            project
        }
    };
    for wanted in &rule.roles {
        let found = role::list(tx, None, Some(&wanted.name)).await?.into_iter().next();
        let role = found.ok_or_else(|| refused("the mapped role is not here"))?;
        let assignment = Assignment {
            actor: Actor::User(user.id.clone()),
            target: Target::Project(project.id.clone()),
            role_id: role.id,
            inherited: false,
        };
        assignment::insert(tx, &assignment).await?;
    }
    Ok(())
}
