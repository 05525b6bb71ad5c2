//! `POST /v3/auth/tokens`: from a proof of identity to a token.

mod factors;
mod find;
mod proof;

use std::sync::Arc;
use std::time::Duration;

use updraft_model::id::new_uuid;
use updraft_model::identity::{Trust, User};
use updraft_store::identity::trust;
use updraft_token::{Claims, Federated, Grant, Method, Scope};

use super::live::{self, LiveScope, LiveToken};
use super::{checks, compliance, token};
use crate::{Core, Error, ErrorKind, Result, Secret, audit};
pub use factors::Unfinished;
use proof::{Proof, Source};

/// A login: every proof that is there must hold, and all for the same user.
#[derive(Clone, Default)]
pub struct Login {
    pub password: Option<PasswordProof>,
    /// A token to be exchanged for one of another scope.
    pub token: Option<String>,
    pub application_credential: Option<AppCredentialProof>,
    pub totp: Option<TotpProof>,
    /// For what was proved in a try before.
    pub receipt: Option<String>,
    pub scope: WantedScope,
}

#[derive(Clone)]
pub struct PasswordProof {
    pub user: Named,
    pub password: String,
}

#[derive(Clone)]
pub struct TotpProof {
    pub user: Named,
    pub passcode: String,
}

#[derive(Clone)]
pub struct AppCredentialProof {
    pub key: AppCredentialKey,
    pub secret: String,
}

/// An application credential: by id, or by name among those of a user.
#[derive(Clone, Debug)]
pub enum AppCredentialKey {
    Id(String),
    Name { name: String, user: Named },
}

/// A user or project: by id, or by name in a domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Named {
    Id(String),
    Name { name: String, domain: DomainKey },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    System,
    /// A trust's project, with the trust's roles.
    Trust(String),
}

/// What comes of a login in which everything holds.
#[derive(Clone, Debug)]
pub enum Outcome {
    Token(String, Box<LiveToken>),
    /// The user must prove more than this.
    Unfinished(Box<Unfinished>),
}

/// Makes a token. Whatever is wrong with the login, the answer is the same 401 after the same work; 403 is for a
/// proof that holds but does not go with the scope.
pub async fn login(core: &Core, login: Login) -> Result<Outcome> {
    // A token that was cut off by another controller a moment ago must not be exchanged for one that is not.
    core.store.refresh_identity().await?;
    let mut proof = Proof::default();
    if let Some(password) = login.password {
        proof.add_password(core, password).await?;
    }
    if let Some(totp) = login.totp {
        proof.add_totp(core, totp).await?;
    }
    if let Some(credential) = login.application_credential {
        proof.add_application_credential(core, credential).await?;
    }
    if let Some(token) = login.token {
        let live = token::validate(core, &token).await?;
        audit::identify_user(&live.user.id, &live.user.name, &live.user.domain_id);
        proof.add_token(&live)?;
    }
    if let Some(receipt) = login.receipt {
        factors::add_receipt(core, &mut proof, &receipt)?;
    }
    issued(core, proof, login.scope).await
}

/// Makes the unscoped token of a user whom an identity provider vouches for by a protocol; `federated` for a user who
/// is here on its word alone.
pub(super) async fn vouched(
    core: &Core,
    user: User,
    protocol_id: &str,
    federated: Option<Federated>,
) -> Result<Outcome> {
    core.store.refresh_identity().await?;
    audit::identify_user(&user.id, &user.name, &user.domain_id);
    if federated.is_some() {
        compliance::note_login(core, &user).await?;
    }
    let mut proof = Proof::default();
    proof.add_assertion(user, protocol_id, federated)?;
    issued(core, proof, WantedScope::Unscoped).await
}

/// Makes the token of a signed request, for a project and by a grant that were checked.
pub(super) async fn signed(
    core: &Core,
    user_id: &str,
    project_id: String,
    grant: Grant,
) -> Result<(String, LiveToken)> {
    core.store.refresh_identity().await?;
    let proof = Proof { methods: vec![Method::Ec2Credential], ..Proof::default() };
    let claims = claims(core, &proof, user_id, Scope::Project(project_id), grant);
    let live = live::look_up(core, claims, core.clock.now()).await?;
    let live = live.ok_or_else(Error::unauthorized)?;
    Ok((core.tokens.issue(&live.claims), live))
}

/// How long a token lives that is made for work under way, in which it is shown at once and never kept.
const ERRAND: Duration = Duration::from_secs(300);

/// Makes the token with which work under way goes to another service in the name of who began it; 401 when that one has
/// lost the right to it meanwhile.
pub(crate) async fn on_errand(core: &Core, user_id: &str, project_id: &str, grant: Grant) -> Result<Secret> {
    let proof = Proof { methods: vec![Method::Token], ..Proof::default() };
    let mut claims = claims(core, &proof, user_id, Scope::Project(project_id.to_owned()), grant);
    claims.expires_at_us = claims.expires_at_us.min(core.clock.now().plus(ERRAND).0);
    let live = live::look_up(core, claims, core.clock.now()).await?;
    let live = live.ok_or_else(Error::unauthorized)?;
    Ok(core.tokens.issue(&live.claims).into())
}

async fn issued(core: &Core, proof: Proof, wanted: WantedScope) -> Result<Outcome> {
    check_exchange(&proof, &wanted)?;
    if let Some(unfinished) = factors::unfinished(core, &proof).await? {
        return Ok(Outcome::Unfinished(Box::new(unfinished)));
    }
    let live = match wanted {
        WantedScope::Trust(id) => by_trust(core, proof, &id).await?,
        wanted => scoped(core, proof, wanted).await?,
    };
    Ok(Outcome::Token(core.tokens.issue(&live.claims), Box::new(live)))
}

/// What a token may not be exchanged for.
fn check_exchange(proof: &Proof, wanted: &WantedScope) -> Result<()> {
    let asks = !matches!(wanted, WantedScope::Default);
    let refusal = match proof.source {
        Some(Source::Trust) => {
            "Using trust-scoped token to create another token. Create a new trust-scoped token instead"
        }
        Some(Source::System) if matches!(wanted, WantedScope::Project(_) | WantedScope::Domain(_)) => {
            "Using a system-scoped token to create a project-scoped or domain-scoped token is not allowed."
        }
        Some(Source::ApplicationCredential) if asks => {
            "Using an application credential token to create a scoped token is not allowed."
        }
        None if proof.application_credential.is_some() && asks => {
            let message = "Error authenticating with application credential: Application credentials cannot request \
                           a scope.";
            return Err(Error::new(ErrorKind::Unauthorized, "Unauthorized", message));
        }
        _ => return Ok(()),
    };
    Err(checks::forbidden(refusal))
}

fn claims(core: &Core, proof: &Proof, user_id: &str, scope: Scope, grant: Grant) -> Claims {
    let now = core.clock.now();
    let expires_at_us = now.plus(core.config.token_lifetime).0;
    let mut audit_ids = vec![new_audit_id()];
    audit_ids.extend(proof.chain.clone());
    Claims {
        user_id: user_id.to_owned(),
        scope,
        grant,
        methods: proof.methods.clone(),
        issued_at_us: now.0,
        expires_at_us: proof.ends_at_us.map_or(expires_at_us, |end| end.min(expires_at_us)),
        audit_ids,
    }
}

fn new_audit_id() -> String {
    new_uuid().replace('-', "")
}

/// The live token for the scope; 401 when the user has no right to it.
async fn scoped(core: &Core, proof: Proof, wanted: WantedScope) -> Result<LiveToken> {
    let user = proof.user.clone().ok_or_else(Error::unauthorized)?;
    if let (WantedScope::Default, None, None, Some(project_id)) =
        (&wanted, &proof.application_credential, &proof.federated, &user.default_project_id)
    {
        let claims = claims(core, &proof, &user.id, Scope::Project(project_id.clone()), Grant::Own);
        if let Some(live) = live::look_up(core, claims, core.clock.now()).await? {
            return Ok(live);
        }
    }
    let scope = scope(core, &proof, wanted).await?;
    let claims = claims(core, &proof, &user.id, scope, proof.grant());
    live::look_up(core, claims, core.clock.now()).await?.ok_or_else(Error::unauthorized)
}

async fn scope(core: &Core, proof: &Proof, wanted: WantedScope) -> Result<Scope> {
    if let Some(credential) = &proof.application_credential {
        return Ok(Scope::Project(credential.project_id.clone()));
    }
    Ok(match wanted {
        WantedScope::Default | WantedScope::Unscoped | WantedScope::Trust(_) => Scope::Unscoped,
        WantedScope::System => Scope::System,
        // Whether there is one of that id is seen when the scope is looked up.
        WantedScope::Project(Named::Id(id)) => Scope::Project(id),
        WantedScope::Project(key) => {
            Scope::Project(project_id(core, key).await?.ok_or_else(Error::unauthorized)?)
        }
        WantedScope::Domain(key) => {
            let found = find::domain(&mut core.read().await?, &key).await?;
            Scope::Domain(found.ok_or_else(Error::unauthorized)?.id)
        }
    })
}

/// The id of the project of this name.
async fn project_id(core: &Core, key: Named) -> Result<Option<String>> {
    let epoch = core.store.identity_epoch();
    if let Some(kept) = core.fresh.project_ids.get(epoch, &key) {
        return Ok(Some(String::clone(&kept)));
    }
    let found = find::project(&mut core.read().await?, &key).await?;
    let Some(id) = found.map(|project| Arc::new(project.id)) else { return Ok(None) };
    core.fresh.project_ids.put(epoch, key, &id);
    Ok(Some(String::clone(&id)))
}

/// The live token of a trust, which takes one of its uses. The trustee must ask for it.
async fn by_trust(core: &Core, proof: Proof, id: &str) -> Result<LiveToken> {
    let user = proof.user.clone().ok_or_else(Error::unauthorized)?;
    let found = trust::get(&mut core.read().await?, id).await?;
    let now = core.clock.now();
    let found = found.filter(|trust| trust.expires_at.is_none_or(|expiry| now < expiry));
    let trust = found.ok_or_else(Error::unauthorized)?;
    if trust.trustee_user_id != user.id {
        return Err(Error::forbidden("User is not a trustee."));
    }
    let scope = trust.project_id.clone().map_or(Scope::Unscoped, Scope::Project);
    let bearer = if trust.impersonation { &trust.trustor_user_id } else { &trust.trustee_user_id };
    let claims = claims(core, &proof, bearer, scope, Grant::Trust(trust.id.clone()));
    let live = live::look_up(core, claims, now).await?;
    let live = live.ok_or_else(|| Error::forbidden("Trustee has no delegated roles."))?;
    take_use(core, trust).await?;
    debug_assert!(!matches!(live.scope, LiveScope::Domain(_)), "trusts are for projects");
    Ok(live)
}

async fn take_use(core: &Core, trust: Trust) -> Result<()> {
    if trust.remaining_uses.is_none() {
        return Ok(());
    }
    core.write(move |tx| {
        Box::pin(async move {
            match trust::take_use(tx, &trust.id).await? {
                true => Ok(()),
                false => Err(Error::forbidden(format!("No remaining uses for trust: {}.", trust.id))),
            }
        })
    })
    .await
}
