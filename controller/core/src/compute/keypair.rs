//! Key pairs belong to users, not to projects.

use md5::{Digest, Md5};
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey, PublicKey};
use updraft_model::compute::quota::Resource;
use updraft_model::compute::{KeyPair, KeyPairKind};
use updraft_store::compute::{keypair, quota};

use crate::policy::Target;
use crate::{Caller, Core, Error, ErrorKind, Result};

const LONGEST_NAME: usize = 255;
/// Nova's: the public key is put into metadata.
const LONGEST_PUBLIC_KEY: usize = 16_384;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct NewKeyPair {
    pub name: String,
    /// Without it, a pair is generated.
    pub public_key: Option<String>,
    /// Another user's; by default administrators may say it.
    pub user_id: Option<String>,
    /// From microversion 2.92 on, a name may have `@` and `.` too.
    pub wide_names: bool,
}

/// Imports a public key, or generates a pair; then the private half is in the answer, and nowhere else.
pub async fn create(core: &Core, caller: &Caller, new: NewKeyPair) -> Result<(KeyPair, Option<String>)> {
    let user_id = owner(caller, new.user_id.as_deref(), "os_compute_api:os-keypairs:create")?;
    let project_id = caller.project_id.clone().unwrap_or_default();
    let name = checked_name(&new.name, new.wide_names)?;
    let (public_key, private_key) = match new.public_key {
        Some(public_key) => (public_key, None),
        None => generate()?,
    };
    let fingerprint = fingerprint(&public_key)?;
    let created_at = core.clock.now();
    let row = KeyPair { id: 0, user_id, name, kind: KeyPairKind::Ssh, public_key, fingerprint, created_at };
    let stored = core.write(move |tx| {
        Box::pin(async move {
            if keypair::get(tx, &row.user_id, &row.name).await?.is_some() {
                let message = format!("Key pair '{}' already exists.", row.name);
                return Err(Error::conflict("KeyPairExists", message));
            }
            let limits = quota::limits(tx, &project_id).await?;
            if !limits.allows(Resource::KeyPairs, keypair::count(tx, &row.user_id).await?, 1) {
                let message = "Quota exceeded, too many key pairs.";
                return Err(Error::new(ErrorKind::OverQuota, "KeypairLimitExceeded", message));
            }
            keypair::insert(tx, &row).await?;
            Ok(keypair::get(tx, &row.user_id, &row.name).await?.unwrap_or(row))
        })
    });
    Ok((stored.await?, private_key))
}

pub async fn get(core: &Core, caller: &Caller, user_id: Option<&str>, name: &str) -> Result<KeyPair> {
    let user_id = owner(caller, user_id, "os_compute_api:os-keypairs:show")?;
    keypair::get(&mut core.read().await?, &user_id, name).await?.ok_or_else(|| not_found(name, &user_id))
}

/// In the order of their names, after the one named `marker`.
pub async fn list(
    core: &Core,
    caller: &Caller,
    user_id: Option<&str>,
    marker: Option<&str>,
    limit: Option<u32>,
) -> Result<Vec<KeyPair>> {
    let user_id = owner(caller, user_id, "os_compute_api:os-keypairs:index")?;
    let mut conn = core.read().await?;
    if let Some(marker) = marker
        && keypair::get(&mut conn, &user_id, marker).await?.is_none()
    {
        return Err(Error::bad_request("MarkerNotFound", format!("Marker {marker} could not be found.")));
    }
    Ok(keypair::list(&mut conn, &user_id, marker, limit).await?)
}

pub async fn delete(core: &Core, caller: &Caller, user_id: Option<&str>, name: &str) -> Result<()> {
    let user_id = owner(caller, user_id, "os_compute_api:os-keypairs:delete")?;
    let name = name.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            if keypair::delete(tx, &user_id, &name).await? { Ok(()) } else { Err(not_found(&name, &user_id)) }
        })
    })
    .await
}

fn not_found(name: &str, user_id: &str) -> Error {
    Error::not_found("KeypairNotFound", format!("Keypair {name} not found for user {user_id}"))
}

/// Whose key pairs are meant, if the rule lets the caller: its own, or those of the user that is named.
fn owner(caller: &Caller, user_id: Option<&str>, rule: &str) -> Result<String> {
    let user_id = user_id.unwrap_or(&caller.user_id);
    caller.enforce(rule, &Target { user_id: Some(user_id), ..Target::default() })?;
    Ok(user_id.to_owned())
}

fn checked_name(name: &str, wide: bool) -> Result<String> {
    let extra = if wide { "-_ @." } else { "-_ " };
    let fits = |c: char| c.is_ascii_alphanumeric() || extra.contains(c);
    if name.trim() != name
        || name.is_empty()
        || name.chars().count() > LONGEST_NAME
        || !name.chars().all(fits)
    {
        let message =
            "Keypair data is invalid: Keypair name contains unsafe characters or is not 1 to 255 long";
        return Err(Error::bad_request("InvalidKeypair", message));
    }
    Ok(name.to_owned())
}

fn generate() -> Result<(String, Option<String>)> {
    let broken = |error: ssh_key::Error| Error::internal(error);
    let mut private_key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(broken)?;
    private_key.set_comment("Generated-by-Nova");
    let public_key = private_key.public_key().to_openssh().map_err(broken)?;
    let private_key = private_key.to_openssh(LineEnding::LF).map_err(broken)?;
    Ok((public_key, Some(private_key.to_string())))
}

/// MD5 of the key's bytes in pairs of digits (as `ssh-keygen -E md5` shows it); refuses what is no public key. The
/// hash names the key, it protects nothing.
fn fingerprint(public_key: &str) -> Result<String> {
    let refuse =
        || Error::bad_request("InvalidKeypair", "Keypair data is invalid: failed to generate fingerprint");
    if public_key.len() > LONGEST_PUBLIC_KEY || public_key.trim_end().contains(['\n', '\r']) {
        return Err(refuse());
    }
    let key = PublicKey::from_openssh(public_key.trim()).map_err(|error| refuse().because(error))?;
    let bytes = key.to_bytes().map_err(|error| refuse().because(error))?;
    let pairs: Vec<String> = Md5::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(pairs.join(":"))
}

#[cfg(test)]
mod tests {
    use super::{checked_name, fingerprint, generate};

    /// What `ssh-keygen -lE md5` prints for this key.
    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKvu7SmW96VZXtsV4SEA8qf5z+0PzVJzelnaovymDS1A me@here";
        assert_eq!(fingerprint(key).unwrap(), "57:cc:92:06:05:6e:b4:7c:d7:1f:7c:6a:67:40:c5:a7");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bad in ["", "ssh-ed25519", "ssh-rsa AAAA", "ssh-ed25519 not base64 at all", "a\nb"] {
            assert!(fingerprint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_generated_pair_belongs_together() {
        let (public_key, private_key) = generate().unwrap();
        let private_key = ssh_key::PrivateKey::from_openssh(private_key.unwrap()).unwrap();
        assert_eq!(private_key.public_key().to_openssh().unwrap(), public_key);
        assert!(fingerprint(&public_key).is_ok());
    }

    #[test]
    fn names_are_plain() {
        assert!(checked_name("my key_1", false).is_ok());
        for bad in ["", " ", " a", "a ", "a/b", "a@b", "é"] {
            assert!(checked_name(bad, false).is_err(), "{bad}");
        }
        assert!(checked_name("a@b.c", true).is_ok());
    }
}
