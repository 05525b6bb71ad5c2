//! From the shape of a login to the login.

use updraft_core::Error;
use updraft_core::identity::login::{
    AppCredentialKey, AppCredentialProof, DomainKey, Login, Named, PasswordProof, TotpProof, WantedScope,
};
use updraft_wire::identity::{
    AppCredentialMethod, Auth, DomainRef, Identity, PasswordMethod, ProjectRef, ScopeRequest, TotpMethod,
};

/// Methods in one login; more only make work (CVE-2014-2828).
const MAX_METHODS: usize = 8;

pub(super) fn login(auth: Auth) -> Result<Login, Error> {
    let Auth { identity, scope: wanted } = auth;
    let Identity { mut methods, password: by_password, token, application_credential, totp: by_totp } =
        identity;
    if methods.len() > MAX_METHODS {
        return Err(invalid("too many methods"));
    }
    methods.sort();
    methods.dedup();
    let asked = |name: &str| methods.iter().any(|method| method == name);
    let known = ["password", "token", "application_credential", "totp"];
    if methods.is_empty() || !methods.iter().all(|method| known.contains(&method.as_str())) {
        return Err(Error::unauthorized());
    }
    Ok(Login {
        password: asked("password").then(|| password(part(by_password, "password")?)).transpose()?,
        token: asked("token").then(|| Ok::<_, Error>(part(token, "token")?.id)).transpose()?,
        application_credential: asked("application_credential")
            .then(|| app_credential(part(application_credential, "application_credential")?))
            .transpose()?,
        totp: asked("totp").then(|| totp(part(by_totp, "totp")?)).transpose()?,
        receipt: None,
        scope: scope(wanted)?,
    })
}

fn part<T>(part: Option<T>, name: &str) -> Result<T, Error> {
    part.ok_or_else(|| invalid(&format!("'{name}' is a required property")))
}

/// A user beside an id is ignored: the credential says whose it is (CVE-2026-42998).
fn app_credential(method: AppCredentialMethod) -> Result<AppCredentialProof, Error> {
    let key = match (method.id, method.name, method.user) {
        (Some(id), ..) => AppCredentialKey::Id(id),
        (None, Some(name), Some(user)) => {
            AppCredentialKey::Name { name, user: named(user.id, user.name, user.domain)? }
        }
        _ => return Err(invalid("an id, or a name and a user, are required")),
    };
    Ok(AppCredentialProof { key, secret: method.secret })
}

fn totp(method: TotpMethod) -> Result<TotpProof, Error> {
    let user = method.user;
    Ok(TotpProof { user: named(user.id, user.name, user.domain)?, passcode: user.passcode })
}

fn invalid(what: &str) -> Error {
    Error::bad_request("ValidationError", format!("Invalid login: {what}"))
}

fn password(method: PasswordMethod) -> Result<PasswordProof, Error> {
    let user = method.user;
    if user.password.is_empty() {
        return Err(Error::unauthorized());
    }
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
        Some(ScopeRequest::Target { project, domain, system, unscoped, trust }) => {
            match (project, domain, system, unscoped, trust) {
                (Some(ProjectRef { id, name, domain }), None, None, None, None) => {
                    Ok(WantedScope::Project(named(id, name, domain)?))
                }
                (None, Some(domain), None, None, None) => Ok(WantedScope::Domain(domain_key(domain)?)),
                (None, None, Some(_), None, None) => Ok(WantedScope::System),
                (None, None, None, Some(_), None) => Ok(WantedScope::Unscoped),
                (None, None, None, None, Some(trust)) => Ok(WantedScope::Trust(trust.id)),
                _ => Err(invalid(
                    "a scope is exactly one of project, domain, system, OS-TRUST:trust and unscoped",
                )),
            }
        }
    }
}
