//! From the shape of a login to the login.

use updraft_core::Error;
use updraft_core::identity::login::{DomainKey, Login, Named, PasswordProof, WantedScope};
use updraft_wire::identity::{Auth, DomainRef, PasswordMethod, ProjectRef, ScopeRequest};

/// Methods in one login; more only make work (CVE-2014-2828).
const MAX_METHODS: usize = 8;

pub(super) fn login(auth: Auth) -> Result<Login, Error> {
    let mut methods = auth.identity.methods;
    if methods.len() > MAX_METHODS {
        return Err(invalid("too many methods"));
    }
    methods.sort();
    methods.dedup();
    let mut login = Login { scope: scope(auth.scope)?, ..Login::default() };
    for method in &methods {
        match method.as_str() {
            "password" => {
                let proof = auth
                    .identity
                    .password
                    .clone()
                    .ok_or_else(|| invalid("'password' is a required property"))?;
                login.password = Some(password(proof)?);
            }
            "token" => {
                let proof =
                    auth.identity.token.clone().ok_or_else(|| invalid("'token' is a required property"))?;
                login.token = Some(proof.id);
            }
            _ => return Err(Error::unauthorized()),
        }
    }
    Ok(login)
}

fn invalid(what: &str) -> Error {
    Error::bad_request("ValidationError", format!("Invalid login: {what}"))
}

fn password(method: PasswordMethod) -> Result<PasswordProof, Error> {
    let user = method.user;
    Ok(PasswordProof { user: named(user.id, user.name, user.domain)?, password: user.password })
}

fn named(id: Option<String>, name: Option<String>, domain: Option<DomainRef>) -> Result<Named, Error> {
    match (id, name, domain) {
        (Some(id), _, _) => Ok(Named::Id(id)),
        (None, Some(name), Some(domain)) => Ok(Named::Name { name, domain: domain_key(domain)? }),
        _ => Err(invalid("an id, or a name and a domain, are required")),
    }
}

fn domain_key(domain: DomainRef) -> Result<DomainKey, Error> {
    match (domain.id, domain.name) {
        (Some(id), _) => Ok(DomainKey::Id(id)),
        (None, Some(name)) => Ok(DomainKey::Name(name)),
        (None, None) => Err(invalid("a domain's id or name is required")),
    }
}

fn scope(scope: Option<ScopeRequest>) -> Result<WantedScope, Error> {
    match scope {
        None => Ok(WantedScope::Default),
        Some(ScopeRequest::Word(word)) if word == "unscoped" => Ok(WantedScope::Unscoped),
        Some(ScopeRequest::Word(_)) => Err(invalid("the scope is 'unscoped' or an object")),
        Some(ScopeRequest::Target { project, domain, system, unscoped }) => match (project, domain, unscoped)
        {
            (Some(ProjectRef { id, name, domain }), None, None) => {
                Ok(WantedScope::Project(named(id, name, domain)?))
            }
            (None, Some(domain), None) => Ok(WantedScope::Domain(domain_key(domain)?)),
            (None, None, Some(_)) => Ok(WantedScope::Unscoped),
            // Nobody holds a role on the system here.
            (None, None, None) if system.is_some() => Err(Error::unauthorized()),
            (None, None, None) => Ok(WantedScope::Default),
            _ => Err(invalid("one scope at a time")),
        },
    }
}
