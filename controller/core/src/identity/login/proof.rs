//! Proofs of identity, one after the other, all for the same user.

use updraft_model::identity::{ApplicationCredential, User};
use updraft_token::{Federated, Grant, Method};

use super::{AppCredentialProof, PasswordProof, TotpProof, find};
use crate::identity::application_credential::is_current;
use crate::identity::compliance;
use crate::identity::live::{LiveGrant, LiveScope, LiveToken};
use crate::identity::totp;
use crate::identity::user::renew_hash;
use crate::{Core, Error, Result, audit};

/// What has been proved so far.
#[derive(Default)]
pub(super) struct Proof {
    pub user: Option<User>,
    pub methods: Vec<Method>,
    /// The new token ends no later: of the token that was exchanged, and of the application credential.
    pub ends_at_us: Option<i64>,
    /// The audit id of the chain's first token.
    pub chain: Option<String>,
    pub application_credential: Option<ApplicationCredential>,
    pub federated: Option<Federated>,
    /// What the exchanged token was made with, if that says what it may be exchanged for.
    pub source: Option<Source>,
}

/// Tokens that are not exchanged for just any other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Trust,
    System,
    ApplicationCredential,
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

    fn end_by(&mut self, at_us: i64) {
        self.ends_at_us = Some(self.ends_at_us.map_or(at_us, |old| old.min(at_us)));
    }

    pub fn add_token(&mut self, live: &LiveToken) -> Result<()> {
        for method in &live.claims.methods {
            self.add(live.user.clone(), *method)?;
        }
        self.add(live.user.clone(), Method::Token)?;
        self.end_by(live.claims.expires_at_us);
        self.chain = live.claims.audit_ids.last().cloned();
        if matches!(live.scope, LiveScope::System) {
            self.source = Some(Source::System);
        }
        match &live.grant {
            LiveGrant::Own => {}
            LiveGrant::Trust(_) => self.source = Some(Source::Trust),
            LiveGrant::ApplicationCredential(credential) => {
                self.source = Some(Source::ApplicationCredential);
                self.application_credential = Some(credential.clone());
            }
            LiveGrant::Federated(federated) => self.federated = Some(federated.clone()),
        }
        Ok(())
    }

    pub async fn add_password(&mut self, core: &Core, proof: PasswordProof) -> Result<()> {
        let found = find::user(&mut core.read().await?, &proof.user).await?;
        if let Some(user) = &found {
            audit::identify_user(&user.id, &user.name, &user.domain_id);
        }
        let user = compliance::authenticate(core, found, proof.password.clone()).await?;
        compliance::check_expiry(core, &user)?;
        compliance::note_login(core, &user).await?;
        renew_hash(core, &user, proof.password).await;
        self.add(user, Method::Password)
    }

    pub async fn add_totp(&mut self, core: &Core, proof: TotpProof) -> Result<()> {
        let found = find::user(&mut core.read().await?, &proof.user).await?;
        let user = found.filter(|user| user.enabled).ok_or_else(Error::unauthorized)?;
        audit::identify_user(&user.id, &user.name, &user.domain_id);
        if compliance::is_inactive(core, &user).await? {
            return Err(Error::unauthorized());
        }
        totp::check(core, &user.id, &proof.passcode).await?;
        self.add(user, Method::Totp)
    }

    pub async fn add_application_credential(&mut self, core: &Core, proof: AppCredentialProof) -> Result<()> {
        let now = core.clock.now();
        let mut conn = core.read().await?;
        let found = find::application_credential(&mut conn, &proof.key).await?;
        let found = found.filter(|credential| is_current(credential, now));
        let owner = match &found {
            Some(credential) => find::user(&mut conn, &super::Named::Id(credential.user_id.clone())).await?,
            None => None,
        };
        drop(conn);
        if let Some(user) = &owner {
            audit::identify_user(&user.id, &user.name, &user.domain_id);
        }
        let owner = owner.filter(|user| user.enabled);
        let hash = found.as_ref().filter(|_| owner.is_some()).map(|found| found.secret_hash.clone());
        let fits = core.passwords.verify(proof.secret, hash).await?;
        let (Some(credential), Some(owner), true) = (found, owner, fits) else {
            return Err(Error::unauthorized());
        };
        if let Some(expiry) = credential.expires_at {
            self.end_by(expiry.0);
        }
        self.application_credential = Some(credential);
        self.add(owner, Method::ApplicationCredential)
    }

    pub fn add_assertion(
        &mut self,
        user: User,
        protocol_id: &str,
        federated: Option<Federated>,
    ) -> Result<()> {
        let method = if protocol_id == Method::OpenId.as_str() { Method::OpenId } else { Method::Mapped };
        self.federated = federated;
        self.add(user, method)
    }

    /// What the token will rest on, trusts apart.
    pub fn grant(&self) -> Grant {
        match (&self.application_credential, &self.federated) {
            (Some(credential), _) => Grant::ApplicationCredential(credential.id.clone()),
            (None, Some(federated)) => Grant::Federated(federated.clone()),
            (None, None) => Grant::Own,
        }
    }
}
