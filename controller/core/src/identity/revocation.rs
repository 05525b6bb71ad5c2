//! What was revoked and still matters. Our own services look at the rows themselves, at each request; this list is
//! for others that check tokens without asking.

use updraft_model::Timestamp;
use updraft_store::identity::revocation::{self, Cut};

use super::access;
use crate::{Caller, Core, Result};

/// Dead tokens: those that have everything in common that is named here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedTokens {
    pub issued_before: Timestamp,
    pub audit_id: Option<String>,
    pub user_id: Option<String>,
    pub project_id: Option<String>,
    pub domain_id: Option<String>,
}

/// Everything that was revoked `since` then; a token that would have expired by now is left out.
pub async fn list(core: &Core, caller: &Caller, since: Option<Timestamp>) -> Result<Vec<RevokedTokens>> {
    access::enforce_plain(core, caller, "identity:list_revoke_events")?;
    let mut conn = core.read().await?;
    let oldest = core.clock.now().minus(core.config.token_lifetime);
    let none = RevokedTokens {
        issued_before: oldest,
        audit_id: None,
        user_id: None,
        project_id: None,
        domain_id: None,
    };
    let mut all = Vec::new();
    for (audit_id, issued_before) in revocation::list_tokens(&mut conn).await? {
        all.push(RevokedTokens { issued_before, audit_id: Some(audit_id), ..none.clone() });
    }
    for revoked in revocation::list_scopes(&mut conn).await? {
        let (domain_id, project_id) = match revoked.scope_is_domain {
            true => (Some(revoked.scope_id), None),
            false => (None, Some(revoked.scope_id)),
        };
        let user_id = Some(revoked.user_id);
        let issued_before = revoked.issued_until;
        all.push(RevokedTokens { issued_before, user_id, project_id, domain_id, ..none.clone() });
    }
    for (cut, id, issued_before) in revocation::list_cuts(&mut conn, oldest).await? {
        let cut_off = RevokedTokens { issued_before, ..none.clone() };
        all.push(match cut {
            Cut::User => RevokedTokens { user_id: Some(id), ..cut_off },
            Cut::Project => RevokedTokens { project_id: Some(id), ..cut_off },
            Cut::Domain => RevokedTokens { domain_id: Some(id), ..cut_off },
        });
    }
    all.retain(|revoked| since.is_none_or(|since| revoked.issued_before >= since));
    all.sort_by_key(|revoked| revoked.issued_before);
    Ok(all)
}
