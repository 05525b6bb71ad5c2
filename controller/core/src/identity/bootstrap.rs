//! What a new cloud starts with: one domain, the roles, an administrator and the catalog.

use updraft_model::Timestamp;
use updraft_model::id::new_keystone_id;
use updraft_model::identity::{
    ADMIN, Actor, Assignment, DEFAULT_DOMAIN_ID, Domain, Endpoint, Extra, IMMUTABLE, IMPLIED_ROLES,
    Interface, MANAGER, MEMBER, Options, Password, Project, READER, Region, Role, SERVICE, Service, Target,
    User,
};
use updraft_store::Tx;
use updraft_store::identity::{assignment, catalog, domain, project, role, user};

use crate::{Core, Result};

/// The administrator's user and project, both of this name.
const ADMIN_NAME: &str = "admin";

/// (type, name, path below the public endpoint): what this controller serves.
const SERVICES: [(&str, &str, &str); 4] = [
    ("identity", "keystone", "/identity"),
    ("compute", "nova", "/compute/v2.1"),
    ("image", "glance", "/image"),
    ("network", "neutron", "/network"),
];

/// Makes what is missing; run at every start. An administrator that exists keeps its password, whatever the
/// file says by now. `admin_password` may be `None` once there is one.
pub async fn bootstrap(core: &Core, admin_password: Option<String>) -> Result<()> {
    let known = user::get_by_name(&mut core.read().await?, DEFAULT_DOMAIN_ID, ADMIN_NAME).await?;
    let password = match (known, admin_password) {
        // Whoever writes the file changes it there; no rule of passwords applies.
        (None, Some(text)) => {
            let hash = core.passwords.hash(text).await?;
            Some(Password { hash, created_at: core.clock.now(), expires_at: None, is_own: false })
        }
        _ => None,
    };
    let region = core.config.region.clone();
    core.write(move |tx| {
        Box::pin(async move {
            ensure_domain(tx).await?;
            ensure_roles(tx).await?;
            ensure_admin(tx, password).await?;
            ensure_catalog(tx, &region).await
        })
    })
    .await
}

async fn ensure_domain(tx: &mut Tx) -> Result<()> {
    if domain::get(tx, DEFAULT_DOMAIN_ID).await?.is_some() {
        return Ok(());
    }
    let domain = Domain {
        id: DEFAULT_DOMAIN_ID.into(),
        name: "Default".into(),
        description: "The default domain".into(),
        enabled: true,
        tags: Vec::new(),
        options: Options::new(),
        extra: Extra::new(),
        tokens_valid_after: Timestamp(0),
    };
    Ok(domain::insert(tx, &domain).await?)
}

async fn ensure_roles(tx: &mut Tx) -> Result<()> {
    for name in [ADMIN, MANAGER, MEMBER, READER, SERVICE] {
        if role_id(tx, name).await?.is_none() {
            let role = Role {
                id: new_keystone_id(),
                name: name.into(),
                domain_id: None,
                description: None,
                options: Options::from_iter([(IMMUTABLE.to_owned(), true.into())]),
                extra: Extra::new(),
            };
            role::insert(tx, &role).await?;
        }
    }
    for (prior, implied) in IMPLIED_ROLES {
        if let (Some(prior), Some(implied)) = (role_id(tx, prior).await?, role_id(tx, implied).await?) {
            role::imply(tx, &prior, &implied).await?;
        }
    }
    Ok(())
}

async fn role_id(tx: &mut Tx, name: &str) -> Result<Option<String>> {
    Ok(role::list(tx, None, Some(name)).await?.into_iter().next().map(|role| role.id))
}

async fn ensure_admin(tx: &mut Tx, password: Option<Password>) -> Result<()> {
    let project = match project::get_by_name(tx, DEFAULT_DOMAIN_ID, ADMIN_NAME).await? {
        Some(project) => project,
        None => {
            let project = Project {
                id: new_keystone_id(),
                domain_id: DEFAULT_DOMAIN_ID.into(),
                parent_id: DEFAULT_DOMAIN_ID.into(),
                name: ADMIN_NAME.into(),
                description: "Bootstrap project for initializing the cloud.".into(),
                enabled: true,
                tags: Vec::new(),
                options: Options::new(),
                extra: Extra::new(),
                is_domain: false,
                tokens_valid_after: Timestamp(0),
            };
            project::insert(tx, &project).await?;
            project
        }
    };
    if user::get_by_name(tx, DEFAULT_DOMAIN_ID, ADMIN_NAME).await?.is_some() {
        return Ok(());
    }
    let Some(password) = password else { return Ok(()) };
    let user = User {
        id: new_keystone_id(),
        domain_id: DEFAULT_DOMAIN_ID.into(),
        name: ADMIN_NAME.into(),
        description: None,
        email: None,
        default_project_id: None,
        enabled: true,
        options: Options::new(),
        extra: Extra::new(),
        created_at: Some(password.created_at),
        password: Some(password),
        tokens_valid_after: Timestamp(0),
    };
    user::insert(tx, &user).await?;
    if let Some(role_id) = role_id(tx, ADMIN).await? {
        for target in [Target::Project(project.id), Target::System] {
            let (actor, role_id) = (Actor::User(user.id.clone()), role_id.clone());
            assignment::insert(tx, &Assignment { actor, target, role_id, inherited: false }).await?;
        }
    }
    Ok(())
}

/// Services are found by their type, so an operator may rename or disable one.
async fn ensure_catalog(tx: &mut Tx, region: &str) -> Result<()> {
    if catalog::get_region(tx, region).await?.is_none() {
        let region = Region {
            id: region.into(),
            description: String::new(),
            parent_region_id: None,
            extra: Extra::new(),
        };
        catalog::insert_region(tx, &region).await?;
    }
    for (kind, name, path) in SERVICES {
        if !catalog::list_services(tx, Some(kind), None).await?.is_empty() {
            continue;
        }
        let id = new_keystone_id();
        let service = Service {
            id,
            kind: kind.into(),
            name: name.into(),
            description: String::new(),
            enabled: true,
            extra: Extra::new(),
        };
        catalog::insert_service(tx, &service).await?;
        for interface in Interface::ALL {
            let endpoint = Endpoint {
                id: new_keystone_id(),
                service_id: service.id.clone(),
                interface,
                region_id: Some(region.into()),
                url: format!("$(public_endpoint)s{path}"),
                enabled: true,
                extra: Extra::new(),
            };
            catalog::insert_endpoint(tx, &endpoint).await?;
        }
    }
    Ok(())
}
