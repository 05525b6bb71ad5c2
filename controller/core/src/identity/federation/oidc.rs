//! OpenID Connect ID tokens (<https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation>).
//!
//! Issuers, audiences and where their keys come from are the operator's configuration. Nothing in a token, and nothing
//! that is set through the API, makes the controller fetch anything.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use updraft_model::Timestamp;

use super::code::OidcClient;
use super::rules::Assertion;
use crate::{Core, Error, ErrorKind, Result};

/// How far the issuer's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(60);
/// How long keys are believed before they are read again.
const KEYS_LIFETIME: Duration = Duration::from_secs(300);
/// How soon keys are read again for a token that names one we do not have.
const KEYS_PAUSE: Duration = Duration::from_secs(10);
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// The longest ID token that is looked at.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Values in one claim.
const MAX_VALUES: usize = 1024;

/// Signatures by key pairs. A shared secret is none: with HS256 the public key would do as one.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Somebody whose ID tokens are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcIssuer {
    /// Its name, as its tokens have it; a remote id of an identity provider.
    pub issuer: String,
    /// Whom its tokens must be for: our client ids there.
    pub audiences: Vec<String>,
    pub keys: JwksSource,
    /// What we are to it where browsers may log in.
    pub client: Option<OidcClient>,
}

/// Where an issuer's public keys (RFC 7517) come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksSource {
    File(PathBuf),
    /// Over TLS, or within this machine.
    Url(String),
}

/// The keys that were read last, by issuer. Copies of what others publish, never older than five minutes.
#[derive(Debug, Default)]
pub struct OidcKeys(Mutex<BTreeMap<String, (Instant, JwkSet)>>);

/// What an ID token says once it is verified.
#[derive(Debug)]
pub(super) struct IdToken {
    pub issuer: String,
    pub subject: String,
    claims: Map<String, Value>,
}

#[derive(Deserialize)]
struct Checked {
    iss: String,
    sub: String,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    azp: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// The claims of an ID token that an issuer among `remote_ids` signed for us and that is in its time; 401 for any
/// other.
pub(super) async fn verify(core: &Core, token: &str, remote_ids: &[String]) -> Result<IdToken> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(refused("the ID token is too long"));
    }
    let header = decode_header(token).map_err(refused)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(refused("the ID token is signed in a way that is not accepted"));
    }
    // Read to choose the keys; it is believed once the signature holds.
    let named: Checked = jsonwebtoken::dangerous::insecure_decode(token).map_err(refused)?.claims;
    let issuer = core.config.oidc_issuers.iter().find(|known| known.issuer == named.iss);
    let issuer = issuer.filter(|issuer| remote_ids.contains(&issuer.issuer));
    let issuer = issuer.ok_or_else(|| refused("the ID token's issuer is not the identity provider"))?;
    let key = key_for(core, issuer, &header).await?;
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[&issuer.issuer]);
    validation.set_audience(&issuer.audiences);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Against the controller's own clock, below.
    validation.validate_exp = false;
    let claims: Checked = decode(token, &key, &validation).map_err(refused)?.claims;
    check_time(&claims, core.clock.now())?;
    if claims.azp.as_ref().is_some_and(|party| !issuer.audiences.contains(party)) {
        return Err(refused("the ID token is for another party"));
    }
    Ok(IdToken { issuer: claims.iss, subject: claims.sub, claims: claims.others })
}

fn check_time(claims: &Checked, now: Timestamp) -> Result<()> {
    let at = |seconds: i64| Timestamp(seconds.saturating_mul(1_000_000));
    let too_early = [claims.nbf, claims.iat].into_iter().flatten().any(|start| now.plus(LEEWAY) < at(start));
    match too_early || at(claims.exp) <= now.minus(LEEWAY) {
        true => Err(refused("the ID token is not in its time")),
        false => Ok(()),
    }
}

pub(super) fn refused(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unauthorized().because(source)
}

async fn key_for(core: &Core, issuer: &OidcIssuer, header: &Header) -> Result<DecodingKey> {
    let mut known = core.oidc_keys.0.lock().await;
    let age = known.get(&issuer.issuer).map(|(read_at, _)| read_at.elapsed());
    let found = known.get(&issuer.issuer).and_then(|(_, keys)| find(keys, header));
    let is_fresh = match (&found, age) {
        (Some(_), Some(age)) => age < KEYS_LIFETIME,
        (None, Some(age)) => age < KEYS_PAUSE,
        (_, None) => false,
    };
    let key = match is_fresh {
        true => found,
        false => {
            let keys = read(&issuer.keys).await?;
            let found = find(&keys, header);
            known.insert(issuer.issuer.clone(), (Instant::now(), keys));
            found
        }
    };
    DecodingKey::from_jwk(&key.ok_or_else(|| refused("no key of the issuer fits the ID token"))?)
        .map_err(refused)
}

/// The key that the token names, or the only one; for signatures, and for this kind of them.
fn find(keys: &JwkSet, header: &Header) -> Option<Jwk> {
    let fits = |key: &&Jwk| {
        let for_signatures =
            key.common.public_key_use.as_ref().is_none_or(|use_| *use_ == PublicKeyUse::Signature);
        let algorithm = key.common.key_algorithm.map(|algorithm| algorithm.to_string());
        for_signatures && algorithm.is_none_or(|algorithm| algorithm == format!("{:?}", header.alg))
    };
    match &header.kid {
        Some(kid) => keys.find(kid).filter(fits).cloned(),
        None => match keys.keys.as_slice() {
            [only] => Some(only).filter(fits).cloned(),
            _ => None,
        },
    }
}

async fn read(source: &JwksSource) -> Result<JwkSet> {
    let bytes = match source {
        JwksSource::File(path) => tokio::fs::read(path).await.map_err(unavailable)?,
        JwksSource::Url(url) => fetch(url).await?,
    };
    serde_json::from_slice(&bytes).map_err(unavailable)
}

async fn fetch(url: &str) -> Result<Vec<u8>> {
    let sent = http().map_err(unavailable)?.get(url).send().await;
    let response = sent.and_then(reqwest::Response::error_for_status).map_err(unavailable)?;
    bounded(response).await.map_err(unavailable)
}

/// What goes to the addresses that the operator gave: soon answered or given up, and nowhere else by a redirect.
pub(super) fn http() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(FETCH_TIMEOUT).build()
}

/// The body of an answer that is not too large.
pub(super) async fn bounded(
    mut response: reqwest::Response,
) -> std::result::Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err("the issuer's answer is too large".into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let message = "The identity provider's keys cannot be read; try again.";
    Error::new(ErrorKind::Unavailable, "IdentityProviderUnavailable", message).because(source)
}

impl IdToken {
    /// Whether it was made for this client.
    pub fn is_for(&self, client_id: &str) -> bool {
        self.claims.get("aud").is_some_and(|audience| values_of(audience).iter().any(|one| one == client_id))
    }

    /// What ties it to one login.
    pub fn nonce(&self) -> Option<&str> {
        self.claims.get("nonce").and_then(Value::as_str)
    }

    /// The claims under the names that Apache's mod_auth_openidc gives them, as mappings in use know them:
    /// `OIDC-email` and `HTTP_OIDC_EMAIL`.
    pub fn assertion(&self) -> Assertion {
        let mut assertion = Assertion::new();
        let own = [("iss", &self.issuer), ("sub", &self.subject)];
        for (name, value) in own {
            put(&mut assertion, name, vec![value.clone()]);
        }
        for (name, value) in &self.claims {
            let values = values_of(value);
            if !values.is_empty() {
                put(&mut assertion, name, values);
            }
        }
        assertion
    }
}

fn put(assertion: &mut Assertion, name: &str, values: Vec<String>) {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    let upper: String = name.chars().map(plain).collect();
    assertion.insert(format!("HTTP_OIDC_{upper}"), values.clone());
    assertion.insert(format!("OIDC-{name}"), values);
}

/// Texts, numbers and truth values, alone or in a list; an object has no value that a mapping could use.
fn values_of(claim: &Value) -> Vec<String> {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(if *truth { "1" } else { "0" }.to_owned()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match claim {
        Value::Array(items) => items.iter().filter_map(plain).take(MAX_VALUES).collect(),
        other => plain(other).into_iter().collect(),
    }
}
