//! Policy documents kept for other services; Keystone's `/v3/policies`.

use updraft_model::id::new_keystone_id;
use updraft_model::identity::PolicyBlob;
use updraft_store::identity::policy_blob;

use super::checks;
use crate::policy::require_admin;
use crate::{Caller, Core, Error, Result};

/// The longest MIME type in characters, as in Keystone's schema.
const MAX_KIND_CHARS: usize = 255;

/// Keeps a document.
pub async fn create(core: &Core, caller: &Caller, blob: String, kind: String) -> Result<PolicyBlob> {
    require_admin(caller)?;
    check_kind(&kind)?;
    let policy = PolicyBlob { id: new_keystone_id(), blob, kind };
    core.write(move |tx| {
        Box::pin(async move {
            policy_blob::insert(tx, &policy).await?;
            Ok(policy)
        })
    })
    .await
}

/// One document.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<PolicyBlob> {
    require_admin(caller)?;
    policy_blob::get(&mut core.read().await?, id).await?.ok_or_else(|| checks::not_found("policy", id))
}

/// All documents, or those of one type.
pub async fn list(core: &Core, caller: &Caller, kind: Option<&str>) -> Result<Vec<PolicyBlob>> {
    require_admin(caller)?;
    Ok(policy_blob::list(&mut core.read().await?, kind).await?)
}

/// Changes a document; `None` leaves a field as it is.
pub async fn update(
    core: &Core,
    caller: &Caller,
    id: &str,
    blob: Option<String>,
    kind: Option<String>,
) -> Result<PolicyBlob> {
    require_admin(caller)?;
    if let Some(kind) = &kind {
        check_kind(kind)?;
    }
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let found = policy_blob::get(tx, &id).await?;
            let mut policy = found.ok_or_else(|| checks::not_found("policy", &id))?;
            policy.blob = blob.unwrap_or(policy.blob);
            policy.kind = kind.unwrap_or(policy.kind);
            policy_blob::update(tx, &policy).await?;
            Ok(policy)
        })
    })
    .await
}

/// Forgets a document.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    require_admin(caller)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let was_there = policy_blob::delete(tx, &id).await?;
            if was_there { Ok(()) } else { Err(checks::not_found("policy", &id)) }
        })
    })
    .await
}

fn check_kind(kind: &str) -> Result<()> {
    if kind.is_empty() || kind.chars().count() > MAX_KIND_CHARS {
        let message = format!("Invalid input for field 'type': it has 1 to {MAX_KIND_CHARS} characters.");
        return Err(Error::bad_request("ValidationError", message));
    }
    Ok(())
}
