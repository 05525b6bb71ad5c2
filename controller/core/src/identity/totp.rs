//! One-time passwords by time (RFC 6238): SHA-1, six digits, thirty seconds.

use base32::Alphabet;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use updraft_model::Timestamp;
use updraft_model::identity::TOTP;
use updraft_store::StoreErrorKind;
use updraft_store::identity::credential::{self, CredentialFilter};

use crate::{Core, Error, Result};

const STEP_S: i64 = 30;
/// Digits of a passcode, as the number that they stay under.
const MODULUS: u32 = 1_000_000;
/// Steps before the present one whose passcodes are still good: the user typed while the step ended.
const PREVIOUS_STEPS: i64 = 1;

/// 401 unless one of the user's TOTP credentials gives this passcode now, and it has not been used before.
pub(super) async fn check(core: &Core, user_id: &str, passcode: &str) -> Result<()> {
    let filter = CredentialFilter { user_id: Some(user_id.to_owned()), kind: Some(TOTP.into()) };
    let credentials = credential::list(&mut core.read().await?, &filter).await?;
    let now_step = step(core.clock.now());
    for found in credentials {
        let Some(secret) = core.unsealed(&found.sealed_blob)?.as_deref().and_then(decoded) else { continue };
        for time_step in (now_step - PREVIOUS_STEPS..=now_step).rev() {
            let expected = passcode_at(&secret, time_step);
            if bool::from(expected.as_bytes().ct_eq(passcode.as_bytes())) {
                return take(core, found.id, time_step).await;
            }
        }
    }
    Err(Error::unauthorized())
}

/// Each passcode counts once (RFC 6238, section 5.2).
async fn take(core: &Core, credential_id: String, time_step: i64) -> Result<()> {
    // No change that the audit log tells of: the login that it belongs to may yet fail.
    core.store
        .write(move |tx| {
            Box::pin(async move {
                let oldest = time_step - 2 * PREVIOUS_STEPS;
                match credential::use_totp(tx, &credential_id, time_step, oldest).await {
                    Err(error) if error.kind == StoreErrorKind::Duplicate => Err(Error::unauthorized()),
                    result => Ok(result?),
                }
            })
        })
        .await
}

fn step(now: Timestamp) -> i64 {
    now.0.div_euclid(1_000_000 * STEP_S)
}

/// The shared secret; padding may be there or not, as in Keystone.
fn decoded(secret: &str) -> Option<Vec<u8>> {
    let secret = secret.trim().trim_end_matches('=').to_ascii_uppercase();
    base32::decode(Alphabet::Rfc4648 { padding: false }, &secret).filter(|bytes| !bytes.is_empty())
}

/// RFC 4226, section 5.3, with the time step as the counter.
fn passcode_at(secret: &[u8], time_step: i64) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else { return String::new() };
    mac.update(&time_step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest[19] & 0x0f);
    let word = [digest[offset] & 0x7f, digest[offset + 1], digest[offset + 2], digest[offset + 3]];
    format!("{:06}", u32::from_be_bytes(word) % MODULUS)
}

#[cfg(test)]
mod tests {
    use super::{decoded, passcode_at};

    #[test]
    fn passcodes_are_those_of_the_rfc() {
        // RFC 6238, appendix B; the last six of its eight digits.
        for (seconds, passcode) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(passcode_at(b"12345678901234567890", seconds / 30), passcode);
        }
    }

    #[test]
    fn secrets_decode_with_and_without_padding() {
        assert_eq!(decoded("MFRGG===").unwrap(), b"abc");
        assert_eq!(decoded("mfrgg").unwrap(), b"abc");
        assert!(decoded("1!").is_none());
        assert!(decoded("").is_none());
    }
}
