//! Credentials (API reference "Credentials"): secrets of users, sealed in the database.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use updraft_model::id::new_keystone_id;
use updraft_model::identity::{Credential, EC2};
pub use updraft_store::identity::credential::CredentialFilter;
use updraft_store::identity::{credential, domain_option, project, user};
use updraft_store::{Conn, StoreErrorKind};

use super::permission::{self, Target};
use super::{checks, delegation};
use crate::{Caller, Core, Error, Result};

/// The longest blob, in bytes.
const MAX_BLOB_BYTES: usize = 64 * 1024;
/// The longest type, in characters.
const MAX_KIND_CHARS: usize = 255;
/// What a signed request's token rests on. The cloud writes them into a blob; a client never does.
const GRANT_KEYS: [&str; 3] = ["trust_id", "app_cred_id", "access_token_id"];

/// A credential to be made.
#[derive(Clone)]
pub struct NewCredential {
    pub user_id: String,
    pub project_id: Option<String>,
    pub kind: String,
    pub blob: String,
}

/// What is to change; `None` leaves a field as it is.
#[derive(Clone, Default)]
pub struct CredentialChange {
    pub user_id: Option<String>,
    pub project_id: Option<Option<String>>,
    pub kind: Option<String>,
    pub blob: Option<String>,
}

/// A credential with its secret in the clear, on its way to its owner.
#[derive(Clone)]
pub struct Unsealed {
    pub credential: Credential,
    pub blob: String,
}

/// The id of the EC2 credential with this access key.
pub(super) fn ec2_id(access: &str) -> String {
    Sha256::digest(access.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn target(user_id: &str) -> Target<'_> {
    Target { credential_user_id: Some(user_id), ..Target::default() }
}

/// Makes a credential. 409 when an EC2 access key is taken.
pub async fn create(core: &Core, caller: &Caller, new: NewCredential) -> Result<Unsealed> {
    permission::enforce(caller, "identity:create_credential", &target(&new.user_id))?;
    let is_ec2 = new.kind.eq_ignore_ascii_case(EC2);
    if is_ec2 {
        delegation::require_unrestricted(caller)?;
    }
    delegation::require_own_project(caller, new.project_id.as_deref())?;
    check_form(&new.kind, &new.blob)?;
    let (id, blob) = match is_ec2 {
        true => {
            let project_id = new.project_id.as_deref();
            project_id.ok_or_else(|| invalid("'project_id' is a required property of an EC2 credential"))?;
            let mut blob = ec2_blob(&new.blob)?;
            set_grant(&mut blob, caller);
            (ec2_id(access_of(&blob)?), Value::Object(blob).to_string())
        }
        false => (new_keystone_id(), new.blob),
    };
    let credential = Credential {
        id,
        user_id: new.user_id,
        project_id: new.project_id,
        kind: new.kind,
        sealed_blob: core.vault()?.seal(&blob),
    };
    let credential = insert(core, credential).await?;
    Ok(Unsealed { credential, blob })
}

pub(super) async fn insert(core: &Core, credential: Credential) -> Result<Credential> {
    core.write(move |tx| {
        Box::pin(async move {
            check_parties(tx, &credential).await?;
            match credential::insert(tx, &credential).await {
                Err(error) if error.kind == StoreErrorKind::Duplicate => Err(Error::conflict(
                    "Conflict",
                    "Conflict occurred attempting to store credential - Duplicate Entry.",
                )),
                result => {
                    result?;
                    Ok(credential)
                }
            }
        })
    })
    .await
}

async fn check_parties(conn: &mut Conn, credential: &Credential) -> Result<()> {
    if user::get(conn, &credential.user_id).await?.is_none() {
        return Err(checks::not_found("user", &credential.user_id));
    }
    match &credential.project_id {
        Some(id) if project::get(conn, id).await?.is_none() => Err(checks::not_found("project", id)),
        _ => Ok(()),
    }
}

fn check_form(kind: &str, blob: &str) -> Result<()> {
    if kind.is_empty() || kind.chars().count() > MAX_KIND_CHARS {
        return Err(invalid("'type' is too long or empty"));
    }
    match blob.len() > MAX_BLOB_BYTES {
        true => Err(invalid("'blob' is too long")),
        false => Ok(()),
    }
}

fn invalid(message: &str) -> Error {
    Error::bad_request("ValidationError", message)
}

fn ec2_blob(text: &str) -> Result<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(blob)) if !blob.is_empty() => Ok(blob),
        _ => Err(invalid("Invalid blob in credential")),
    }
}

fn access_of(blob: &Map<String, Value>) -> Result<&str> {
    let access = blob.get("access").and_then(Value::as_str);
    access.ok_or_else(|| invalid("'access' is a required property of an EC2 credential's blob"))
}

/// Ties a credential to what its maker's token rests on, so that it never gives more (CVE-2020-12691).
pub(super) fn set_grant(blob: &mut Map<String, Value>, caller: &Caller) {
    for key in GRANT_KEYS {
        blob.remove(key);
    }
    if let Some(trust) = &caller.trust {
        blob.insert("trust_id".into(), trust.id.clone().into());
    }
    if let Some(credential) = &caller.application_credential {
        blob.insert("app_cred_id".into(), credential.id.clone().into());
    }
}

/// The credentials that the caller may see and that fit the filter.
pub async fn list(core: &Core, caller: &Caller, filter: &CredentialFilter) -> Result<Vec<Unsealed>> {
    // Everybody may ask; what is shown is decided one by one.
    permission::enforce(caller, "identity:list_credentials", &target(&caller.user_id))?;
    let found = credential::list(&mut core.read().await?, filter).await?;
    let may_see = |found: &Credential| {
        permission::allows(caller, "identity:get_credential", &target(&found.user_id))
            && delegation::require_own_project(caller, found.project_id.as_deref()).is_ok()
    };
    found.into_iter().filter(may_see).map(|found| unsealed(core, found)).collect()
}

pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Unsealed> {
    unsealed(core, permitted(core, caller, "identity:get_credential", id).await?)
}

/// Changes a credential; neither a new owner nor a new blob may be more than the caller could make itself.
pub async fn update(core: &Core, caller: &Caller, id: &str, change: CredentialChange) -> Result<Unsealed> {
    let old = permitted(core, caller, "identity:update_credential", id).await?;
    let old_blob = open(core, &old)?;
    let mut new = old.clone();
    new.user_id = change.user_id.unwrap_or(new.user_id);
    new.project_id = change.project_id.unwrap_or(new.project_id);
    new.kind = change.kind.unwrap_or(new.kind);
    let blob = change.blob.unwrap_or_else(|| old_blob.clone());
    permission::enforce(caller, "identity:update_credential", &target(&new.user_id))?;
    delegation::require_own_project(caller, new.project_id.as_deref())?;
    check_form(&new.kind, &blob)?;
    let is_ec2 = |kind: &str| kind.eq_ignore_ascii_case(EC2);
    if is_ec2(&old.kind) || is_ec2(&new.kind) {
        delegation::require_unrestricted(caller)?;
        check_ec2_change(&old, &old_blob, &new, &blob)?;
    }
    new.sealed_blob = core.vault()?.seal(&blob);
    let credential = core
        .write(move |tx| {
            Box::pin(async move {
                check_parties(tx, &new).await?;
                credential::update(tx, &new).await?;
                Ok(new)
            })
        })
        .await?;
    Ok(Unsealed { credential, blob })
}

/// An EC2 credential stays one, under its access key, resting on what it rests on.
fn check_ec2_change(old: &Credential, old_blob: &str, new: &Credential, blob: &str) -> Result<()> {
    if !old.kind.eq_ignore_ascii_case(&new.kind) {
        return Err(invalid("A credential does not become an EC2 credential, nor stop being one"));
    }
    let (old_blob, blob) = (ec2_blob(old_blob)?, ec2_blob(blob)?);
    access_of(&blob)?;
    for key in GRANT_KEYS.into_iter().chain(["access_id"]) {
        if old_blob.get(key) != blob.get(key) {
            return Err(invalid(&format!("{key} can not be updated for credential")));
        }
    }
    Ok(())
}

pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    let found = permitted(core, caller, "identity:delete_credential", id).await?;
    if found.kind.eq_ignore_ascii_case(EC2) {
        delegation::require_unrestricted(caller)?;
    }
    remove(core, found.id).await
}

pub(super) async fn remove(core: &Core, id: String) -> Result<()> {
    core.write(move |tx| {
        Box::pin(async move {
            match credential::delete(tx, &id).await? {
                true => Ok(()),
                false => Err(checks::not_found("credential", &id)),
            }
        })
    })
    .await
}

async fn permitted(core: &Core, caller: &Caller, rule: &str, id: &str) -> Result<Credential> {
    let found = credential::get(&mut core.read().await?, id).await?;
    let subject = match &found {
        Some(found) => target(&found.user_id),
        None => Target::default(),
    };
    permission::enforce(caller, rule, &subject)?;
    let found = found.ok_or_else(|| checks::not_found("credential", id))?;
    delegation::require_own_project(caller, found.project_id.as_deref())?;
    Ok(found)
}

fn unsealed(core: &Core, credential: Credential) -> Result<Unsealed> {
    let blob = open(core, &credential)?;
    Ok(Unsealed { credential, blob })
}

/// The blob in the clear; 500 when the keys that sealed it are gone.
pub(super) fn open(core: &Core, credential: &Credential) -> Result<String> {
    let blob = core.unsealed(&credential.sealed_blob)?;
    blob.ok_or_else(|| Error::internal(format!("no key opens the credential {}", credential.id)))
}

/// Rotates the credential keys and seals every credential and every secret of a domain anew, so that the oldest key can
/// go.
pub async fn rotate_keys(core: &Core) -> Result<usize> {
    core.vault()?.rotate().map_err(Error::internal)?;
    let again = core.clone();
    core.write(move |tx| {
        Box::pin(async move {
            let all = credential::list(tx, &CredentialFilter::default()).await?;
            let count = all.len();
            for mut found in all {
                found.sealed_blob = again.vault()?.seal(&open(&again, &found)?);
                credential::update(tx, &found).await?;
            }
            for (domain_id, mut option) in domain_option::list_sealed(tx).await? {
                let clear = again.unsealed(&option.content)?;
                let clear = clear.ok_or_else(|| Error::internal("no key opens an option of a domain"))?;
                option.content = again.vault()?.seal(&clear);
                domain_option::set(tx, &domain_id, &option).await?;
            }
            Ok(count)
        })
    })
    .await
}
