//! Receipts: what somebody who has yet to prove more has proved so far.
//!
//! A receipt is the same kind of message as a token, under keys of its own: none is ever taken for the other.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Method;
use crate::claims::{put_text, take, take_text};

/// What the keys of receipts are derived for.
const PURPOSE: &[u8] = b"updraft receipt 1";
/// The first byte of the binary form; a new form takes the next number.
const FORM: u8 = 1;

/// The content of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub user_id: String,
    pub methods: Vec<Method>,
    /// Microseconds since the epoch.
    pub issued_at_us: i64,
    /// Microseconds since the epoch.
    pub expires_at_us: i64,
}

/// The key of receipts that goes with a key of tokens.
pub(crate) fn key(of_tokens: &str) -> Option<Fernet> {
    derived(of_tokens, PURPOSE)
}

/// A key for a purpose of its own that goes with a key of tokens; each says nothing of the other.
pub(crate) fn derived(of_tokens: &str, purpose: &[u8]) -> Option<Fernet> {
    let mut mac = Hmac::<Sha256>::new_from_slice(of_tokens.as_bytes()).ok()?;
    mac.update(purpose);
    Fernet::new(&URL_SAFE.encode(mac.finalize().into_bytes()))
}

impl Receipt {
    /// form, methods (bits), user, issued, expires.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORM, Method::bits(&self.methods)];
        put_text(&mut out, &self.user_id);
        out.extend(self.issued_at_us.to_be_bytes());
        out.extend(self.expires_at_us.to_be_bytes());
        out
    }

    /// `None` for anything that [`Self::encode`] does not write.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let [FORM, bits] = take(&mut bytes)? else { return None };
        let methods = Method::of_bits(bits);
        let user_id = take_text(&mut bytes)?;
        let issued_at_us = i64::from_be_bytes(take(&mut bytes)?);
        let expires_at_us = i64::from_be_bytes(take(&mut bytes)?);
        bytes.is_empty().then_some(Self { user_id, methods, issued_at_us, expires_at_us })
    }
}
