//! `POST /v3/auth/tokens`: from a proof of identity to a token.

use updraft_model::id::new_uuid;
use updraft_model::identity::{Domain, Project, User};
use updraft_store::Conn;
use updraft_store::identity::{domain, project, user};
use updraft_token::{Claims, Method, Scope};

use super::token::{self, LiveToken};
use super::user::renew_hash;
use crate::{Core, Error, Result, audit};

/// A login: every proof that is there must hold, and all for the same user.
#[derive(Clone, Default)]
pub struct Login {
    pub password: Option<PasswordProof>,
    /// A token to be exchanged for one of another scope.
    pub token: Option<String>,
    pub scope: WantedScope,
}

#[derive(Clone)]
pub struct PasswordProof {
    pub user: Named,
    pub password: String,
}

/// A user or project: by id, or by name in a domain.
#[derive(Clone, Debug)]
pub enum Named {
    Id(String),
    Name { name: String, domain: DomainKey },
}

#[derive(Clone, Debug)]
pub enum DomainKey {
    Id(String),
    Name(String),
}

/// What the token is to be good for.
#[derive(Clone, Debug, Default)]
pub enum WantedScope {
    /// The user's default project where it holds a role, else unscoped.
    #[default]
    Default,
    Unscoped,
    Project(Named),
    Domain(DomainKey),
}

/// Makes a token. Whatever is wrong with the login, the answer is the same 401 after the same work.
pub async fn login(core: &Core, login: Login) -> Result<(String, LiveToken)> {
    if login.password.is_none() && login.token.is_none() {
        return Err(Error::bad_request("ValidationError", "A login needs the method 'password' or 'token'."));
    }
    let mut proof = Proof::default();
    if let Some(password) = login.password {
        proof.add(check_password(core, password).await?, Method::Password)?;
    }
    if let Some(token) = login.token {
        let live = token::validate(core, &token).await?;
        audit::identify_user(&live.user.id, &live.user.name, &live.user.domain_id);
        proof.add_token(live)?;
    }
    let live = scoped(core, proof, login.scope).await?;
    Ok((core.tokens.issue(&live.claims), live))
}

/// What has been proved so far.
#[derive(Default)]
struct Proof {
    user: Option<User>,
    methods: Vec<Method>,
    /// Of the token that was exchanged: the new one ends no later.
    expires_at_us: Option<i64>,
    /// The audit id of the chain's first token.
    chain: Option<String>,
}

impl Proof {
    fn add(&mut self, user: User, method: Method) -> Result<()> {
        if self.user.as_ref().is_some_and(|known| known.id != user.id) {
            return Err(Error::unauthorized());
        }
        self.user = Some(user);
        if !self.methods.contains(&method) {
            self.methods.push(method);
        }
        Ok(())
    }

    fn add_token(&mut self, live: LiveToken) -> Result<()> {
        for method in &live.claims.methods {
            self.add(live.user.clone(), *method)?;
        }
        self.add(live.user, Method::Token)?;
        self.expires_at_us = Some(live.claims.expires_at_us);
        self.chain = live.claims.audit_ids.into_iter().next_back();
        Ok(())
    }

    fn claims(&self, core: &Core, user_id: &str, scope: Scope) -> Claims {
        let now = core.clock.now();
        let expires_at_us = now.plus(core.config.token_lifetime).0;
        let mut audit_ids = vec![new_audit_id()];
        audit_ids.extend(self.chain.clone());
        Claims {
            user_id: user_id.to_owned(),
            scope,
            methods: self.methods.clone(),
            issued_at_us: now.0,
            expires_at_us: self.expires_at_us.map_or(expires_at_us, |old| old.min(expires_at_us)),
            audit_ids,
        }
    }
}

fn new_audit_id() -> String {
    new_uuid().replace('-', "")
}

async fn check_password(core: &Core, proof: PasswordProof) -> Result<User> {
    let found = find_user(&mut core.read().await?, &proof.user).await?;
    if let Some(user) = &found {
        audit::identify_user(&user.id, &user.name, &user.domain_id);
    }
    let hash = found.as_ref().filter(|user| user.enabled).and_then(|user| user.password_hash.clone());
    let fits = core.passwords.verify(proof.password.clone(), hash).await?;
    let user = found.filter(|_| fits).ok_or_else(Error::unauthorized)?;
    renew_hash(core, &user, proof.password).await;
    Ok(user)
}

async fn find_user(conn: &mut Conn, key: &Named) -> Result<Option<User>> {
    match key {
        Named::Id(id) => Ok(user::get(conn, id).await?),
        Named::Name { name, domain } => match find_domain(conn, domain).await? {
            Some(domain) => Ok(user::get_by_name(conn, &domain.id, name).await?),
            None => Ok(None),
        },
    }
}

async fn find_project(conn: &mut Conn, key: &Named) -> Result<Option<Project>> {
    match key {
        Named::Id(id) => Ok(project::get(conn, id).await?),
        Named::Name { name, domain } => match find_domain(conn, domain).await? {
            Some(domain) => Ok(project::get_by_name(conn, &domain.id, name).await?),
            None => Ok(None),
        },
    }
}

async fn find_domain(conn: &mut Conn, key: &DomainKey) -> Result<Option<Domain>> {
    Ok(match key {
        DomainKey::Id(id) => domain::get(conn, id).await?,
        DomainKey::Name(name) => domain::get_by_name(conn, name).await?,
    })
}

/// The live token for the scope; 401 when the user has no right to it.
async fn scoped(core: &Core, proof: Proof, wanted: WantedScope) -> Result<LiveToken> {
    let user = proof.user.clone().ok_or_else(Error::unauthorized)?;
    let mut conn = core.read().await?;
    if let (WantedScope::Default, Some(project_id)) = (&wanted, &user.default_project_id) {
        let claims = proof.claims(core, &user.id, Scope::Project(project_id.clone()));
        if let Some(live) = token::resolve(&mut conn, claims).await? {
            return Ok(live);
        }
    }
    let scope = match wanted {
        WantedScope::Default | WantedScope::Unscoped => Scope::Unscoped,
        WantedScope::Project(key) => {
            let project = find_project(&mut conn, &key).await?.ok_or_else(Error::unauthorized)?;
            Scope::Project(project.id)
        }
        WantedScope::Domain(key) => {
            let domain = find_domain(&mut conn, &key).await?.ok_or_else(Error::unauthorized)?;
            Scope::Domain(domain.id)
        }
    };
    let claims = proof.claims(core, &user.id, scope);
    token::resolve(&mut conn, claims).await?.ok_or_else(Error::unauthorized)
}
