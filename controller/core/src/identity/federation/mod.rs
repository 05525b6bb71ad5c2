//! Federation (API reference "OS-FEDERATION"): users whom somebody else vouches for, by OpenID Connect.
//!
//! [`login`] is the way in: [`oidc`] verifies the assertion, [`rules`] reads it by the mapping's rules, and the user
//! whom they make gets an unscoped token. A browser comes by it through [`websso`]. SAML is not spoken.

pub mod login;
pub mod mapping;
pub mod provider;
pub mod service_provider;
pub mod websso;

mod code;
mod oidc;
mod rules;

pub use code::OidcClient;
pub use oidc::{JwksSource, OidcIssuer, OidcKeys};
pub use service_provider::enabled as enabled_service_providers;

use super::checks;
use crate::{Error, Result};

/// The longest id of a federation resource, which its maker chooses and which becomes part of tokens.
const MAX_ID_CHARS: usize = 64;

/// Ids are chosen by clients and stand in paths.
fn check_id(id: &str) -> Result<()> {
    match (1..=MAX_ID_CHARS).contains(&id.len()) && id.chars().all(|letter| letter.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(invalid("an id has 1 to 64 visible ASCII characters")),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::bad_request("ValidationError", message)
}

fn idp_not_found(id: &str) -> Error {
    checks::not_found("Identity Provider", id)
}

fn protocol_not_found(idp_id: &str, id: &str) -> Error {
    let message = format!("Could not find federated protocol {id} for Identity Provider: {idp_id}.");
    Error::not_found("NotFound", message)
}
