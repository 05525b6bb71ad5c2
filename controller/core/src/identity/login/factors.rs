//! Users who must prove more than one thing (`multi_factor_auth_rules`), and receipts for what they proved so far.

use std::collections::BTreeSet;
use std::time::Duration;

use updraft_model::Timestamp;
use updraft_model::identity::{Domain, User};
use updraft_store::identity::domain;
use updraft_token::{Method, Receipt};

use super::proof::Proof;
use crate::{Core, Error, Result};

/// How long a receipt is good, as Keystone's default.
const RECEIPT_LIFETIME: Duration = Duration::from_secs(300);
/// What may be in a receipt. A token and an application credential say what may be made with them, which a receipt
/// does not keep: they are proved again.
const KEPT: [Method; 4] = [Method::Password, Method::Totp, Method::OpenId, Method::Mapped];

const RULES: &str = "multi_factor_auth_rules";
const ENABLED: &str = "multi_factor_auth_enabled";

/// The answer to a login that has yet to prove more.
#[derive(Clone, Debug)]
pub struct Unfinished {
    /// To come with the rest.
    pub receipt: String,
    pub user: User,
    pub user_domain: Domain,
    pub methods: Vec<Method>,
    /// The rules that what was proved is a part of.
    pub required: Vec<Vec<String>>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The rules of the user, as far as they speak of methods that there are. One that speaks of none is none: a mistake
/// locks nobody out.
fn rules(user: &User) -> Vec<BTreeSet<&str>> {
    if user.options.get(ENABLED).and_then(serde_json::Value::as_bool) == Some(false) {
        return Vec::new();
    }
    let known = |name: &&str| Method::ALL.iter().any(|method| method.as_str() == *name);
    let rules = user.options.get(RULES).and_then(serde_json::Value::as_array).into_iter().flatten();
    rules
        .map(|rule| {
            let names = rule.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
            names.filter(known).collect::<BTreeSet<_>>()
        })
        .filter(|rule| !rule.is_empty())
        .collect()
}

/// Adds what the receipt says was proved before; 401 for one that is another user's, or that has ended.
pub(super) fn add_receipt(core: &Core, proof: &mut Proof, receipt: &str) -> Result<()> {
    let now = core.clock.now();
    let found = core.tokens.verify_receipt(receipt, now.0).map_err(|_| Error::unauthorized())?;
    let user = proof.user.as_ref().ok_or_else(Error::unauthorized)?;
    // As for tokens: a new password, and being disabled, end it.
    if found.user_id != user.id || Timestamp(found.issued_at_us) <= user.tokens_valid_after {
        return Err(Error::unauthorized());
    }
    for method in found.methods.into_iter().filter(|method| KEPT.contains(method)) {
        if !proof.methods.contains(&method) {
            proof.methods.push(method);
        }
    }
    Ok(())
}

/// What the user has yet to prove more for; `None` when this is enough. 401 when what was proved does not go into a
/// receipt.
pub(super) async fn unfinished(core: &Core, proof: &Proof) -> Result<Option<Unfinished>> {
    let user = proof.user.as_ref().ok_or_else(Error::unauthorized)?;
    let rules = rules(user);
    let proved: BTreeSet<&str> = proof.methods.iter().map(|method| method.as_str()).collect();
    if rules.is_empty() || rules.iter().any(|rule| rule.is_subset(&proved)) {
        return Ok(None);
    }
    if !proof.methods.iter().all(|method| KEPT.contains(method)) {
        return Err(Error::unauthorized());
    }
    let found = domain::get(&mut core.read().await?, &user.domain_id).await?;
    let user_domain = found.filter(|domain| domain.enabled).ok_or_else(Error::unauthorized)?;
    let issued_at = core.clock.now();
    let expires_at = issued_at.plus(RECEIPT_LIFETIME);
    let receipt = core.tokens.issue_receipt(&Receipt {
        user_id: user.id.clone(),
        methods: proof.methods.clone(),
        issued_at_us: issued_at.0,
        expires_at_us: expires_at.0,
    });
    let begun = rules.iter().filter(|rule| !rule.is_disjoint(&proved));
    Ok(Some(Unfinished {
        receipt,
        required: begun.map(|rule| rule.iter().map(|name| (*name).to_owned()).collect()).collect(),
        methods: proof.methods.clone(),
        user: user.clone(),
        user_domain,
        issued_at,
        expires_at,
    }))
}
