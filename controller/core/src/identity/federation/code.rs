//! Logging in at an issuer through a browser: the authorization code flow (RFC 6749, 4.1) with a proof key (RFC 7636).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::oidc::{bounded, http, refused};
use crate::{Error, ErrorKind, Result, Secret};

/// Of what nobody may guess.
const RANDOM_BYTES: usize = 32;
/// The longest code that is looked at, in bytes.
const MAX_CODE_BYTES: usize = 4096;
/// How long a browser may be away: the time that somebody takes to log in.
pub(super) const TIME_TO_LOG_IN: Duration = Duration::from_secs(600);

/// What we are to an issuer that lets browsers log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcClient {
    /// One of the issuer's `audiences`.
    pub id: String,
    /// `None` for a client that has none; the proof key then has to do.
    pub secret: Option<Secret>,
    /// Where browsers are sent.
    pub authorization_endpoint: String,
    /// Where codes are redeemed. Over TLS, or within this machine.
    pub token_endpoint: String,
    /// What is asked for beside `openid`, such as `email`.
    pub scopes: Vec<String>,
}

/// What one login at an issuer is known by. The browser learns `state` and `nonce` of it, nobody the verifier but us.
pub(super) struct Attempt<'a> {
    pub state: &'a str,
    pub nonce: &'a str,
    pub verifier: &'a str,
    pub redirect_uri: &'a str,
}

/// A text that nobody guesses.
pub(super) fn random() -> String {
    let mut bytes = [0; RANDOM_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Where the browser is sent to log in.
pub(super) fn authorization_url(client: &OidcClient, attempt: &Attempt<'_>) -> String {
    let scopes = ["openid"].into_iter().chain(client.scopes.iter().map(String::as_str));
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(attempt.verifier.as_bytes()));
    let query = form(&[
        ("response_type", "code"),
        ("client_id", &client.id),
        ("redirect_uri", attempt.redirect_uri),
        ("scope", &scopes.collect::<Vec<_>>().join(" ")),
        ("state", attempt.state),
        ("nonce", attempt.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let joiner = if client.authorization_endpoint.contains('?') { '&' } else { '?' };
    format!("{}{joiner}{query}", client.authorization_endpoint)
}

#[derive(Deserialize)]
struct Redeemed {
    id_token: String,
}

/// The ID token for a code that the browser brought; 401 when the issuer does not take the code.
pub(super) async fn redeem(client: &OidcClient, code: &str, attempt: &Attempt<'_>) -> Result<String> {
    if code.len() > MAX_CODE_BYTES {
        return Err(refused("the code is too long"));
    }
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", attempt.redirect_uri),
        ("code_verifier", attempt.verifier),
    ];
    let mut request = http().map_err(unavailable)?.post(&client.token_endpoint);
    match &client.secret {
        Some(secret) => request = request.basic_auth(escaped(&client.id), Some(escaped(secret.expose()))),
        None => fields.push(("client_id", &client.id)),
    }
    request = request
        .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
        .header(ACCEPT, HeaderValue::from_static("application/json"));
    let response = request.body(form(&fields)).send().await.map_err(unavailable)?;
    match response.status() {
        StatusCode::OK => {}
        status if status.is_server_error() => return Err(unavailable(format!("it answered {status}"))),
        status => return Err(refused(format!("the issuer answered {status} to the code"))),
    }
    let bytes = bounded(response).await.map_err(unavailable)?;
    let redeemed: Redeemed = serde_json::from_slice(&bytes).map_err(refused)?;
    Ok(redeemed.id_token)
}

fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let message = "The identity provider does not answer; try again.";
    Error::new(ErrorKind::Unavailable, "IdentityProviderUnavailable", message).because(source)
}

/// `application/x-www-form-urlencoded`.
fn form(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            plain if plain.is_ascii_alphanumeric() || b"*-._".contains(&plain) => out.push(char::from(plain)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Attempt, OidcClient, authorization_url};

    #[test]
    fn a_browser_is_sent_with_all_that_the_issuer_has_to_know() {
        let client = OidcClient {
            id: "up draft".into(),
            secret: None,
            authorization_endpoint: "https://idp.test/login?realm=1".into(),
            token_endpoint: "https://idp.test/token".into(),
            scopes: vec!["email".into()],
        };
        // The verifier and its challenge are those of RFC 7636, appendix B.
        let attempt = Attempt {
            state: "s&",
            nonce: "n",
            verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            redirect_uri: "https://cloud.test/ü",
        };
        assert_eq!(
            authorization_url(&client, &attempt),
            "https://idp.test/login?realm=1&response_type=code&client_id=up+draft\
             &redirect_uri=https%3A%2F%2Fcloud.test%2F%C3%BC&scope=openid+email&state=s%26&nonce=n\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
        );
    }
}
