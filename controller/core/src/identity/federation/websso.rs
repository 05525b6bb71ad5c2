//! Single sign-on in a browser (API reference "OS-FEDERATION", "Web Single Sign On").
//!
//! A dashboard sends the browser here ([`start`]), and from here it goes to the identity provider. What we have to know
//! when it comes back it carries itself, sealed with a key of the token keys (a [`Passage`], in a cookie): any controller
//! takes it up, and none remembers anything. It lies in that browser alone, which ties the code that comes back to who set
//! out. [`finish`] redeems the code, and the token goes to the dashboard, which has to be one that the operator
//! trusts.

use reqwest::Url;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use updraft_model::identity::IdentityProvider;
use updraft_store::identity::federation;

use super::code::{self, Attempt, OidcClient, TIME_TO_LOG_IN};
use super::oidc::{self, OidcIssuer, refused};
use super::{invalid, login};
use crate::identity::login::Outcome;
use crate::{Core, Error, ErrorKind, Result};

/// Where a browser is sent, and what it carries until it comes back.
#[derive(Clone, Debug)]
pub struct Departure {
    pub url: String,
    pub passage: String,
}

/// With what a browser comes back from the identity provider.
#[derive(Clone, Debug, Default)]
pub struct Return {
    pub state: String,
    pub code: Option<String>,
    /// Why there is no code (RFC 6749, 4.1.2.1).
    pub error: Option<String>,
    /// Who sent it (RFC 9207), where the identity provider says so.
    pub issuer: Option<String>,
    pub passage: Option<String>,
}

/// The token of who logged in, and the page of the dashboard that it is for.
pub struct Arrival {
    pub origin: String,
    pub token: String,
}

/// What a [`Departure`]'s passage says.
#[derive(Serialize, Deserialize)]
struct Passage {
    idp_id: String,
    protocol_id: String,
    issuer: String,
    origin: String,
    state: String,
    nonce: String,
    verifier: String,
    redirect_uri: String,
    ends_at_us: i64,
}

impl Passage {
    fn attempt(&self) -> Attempt<'_> {
        let Self { state, nonce, verifier, redirect_uri, .. } = self;
        Attempt { state, nonce, verifier, redirect_uri }
    }
}

/// Sends a browser on to the identity provider; without one, to the only one that speaks the protocol. 401 unless the
/// operator trusts the dashboard at `origin`.
pub async fn start(
    core: &Core,
    endpoint: &str,
    idp_id: Option<&str>,
    protocol_id: &str,
    origin: Option<&str>,
) -> Result<Departure> {
    let origin = trusted(core, origin)?;
    let idp_id = match idp_id {
        Some(id) => id.to_owned(),
        None => only_provider(core, protocol_id).await?,
    };
    let (idp, _) = login::known(core, &idp_id, protocol_id).await?;
    let (issuer, client) = client_of(core, &idp).ok_or_else(no_client)?;
    let passage = Passage {
        redirect_uri: redirect_uri(endpoint, &idp_id, protocol_id)?,
        idp_id,
        protocol_id: protocol_id.to_owned(),
        issuer: issuer.issuer.clone(),
        origin,
        state: code::random(),
        nonce: code::random(),
        verifier: code::random(),
        ends_at_us: core.clock.now().plus(TIME_TO_LOG_IN).0,
    };
    let text = serde_json::to_string(&passage).map_err(Error::internal)?;
    Ok(Departure {
        url: code::authorization_url(client, &passage.attempt()),
        passage: core.tokens.seal_note(&text),
    })
}

/// Takes a browser up that comes back. 401 unless it set out here, not long ago, and the identity provider vouches for
/// whoever sits in front of it.
pub async fn finish(core: &Core, idp_id: &str, protocol_id: &str, back: Return) -> Result<Arrival> {
    let passage = opened(core, &back)?;
    if (passage.idp_id.as_str(), passage.protocol_id.as_str()) != (idp_id, protocol_id) {
        return Err(refused("the login is at another identity provider"));
    }
    if let Some(error) = back.error {
        return Err(refused(format!("the identity provider says {error:?}")));
    }
    if back.issuer.is_some_and(|issuer| issuer != passage.issuer) {
        return Err(refused("another identity provider sent the code"));
    }
    let origin = trusted(core, Some(&passage.origin))?;
    let (idp, rules) = login::known(core, idp_id, protocol_id).await?;
    let (issuer, client) = client_of(core, &idp).ok_or_else(no_client)?;
    if issuer.issuer != passage.issuer {
        return Err(refused("the identity provider has another issuer by now"));
    }
    let code = back.code.ok_or_else(|| refused("there is no code"))?;
    let id_token = code::redeem(client, &code, &passage.attempt()).await?;
    let verified = oidc::verify(core, &id_token, std::slice::from_ref(&issuer.issuer)).await?;
    if !verified.is_for(&client.id) || verified.nonce() != Some(&passage.nonce) {
        return Err(refused("the ID token is not of this login"));
    }
    match login::admit(core, idp, &rules, protocol_id, &verified).await? {
        Outcome::Token(token, _) => Ok(Arrival { origin, token }),
        Outcome::Unfinished(_) => Err(refused("the user must prove more, which a browser cannot here")),
    }
}

/// The passage of a browser that comes back with the state that it was sent with.
fn opened(core: &Core, back: &Return) -> Result<Passage> {
    let sealed = back.passage.as_deref().ok_or_else(|| refused("the browser did not set out here"))?;
    let text = core.tokens.open_note(sealed).map_err(refused)?;
    let passage: Passage = serde_json::from_str(&text).map_err(refused)?;
    if passage.ends_at_us <= core.clock.now().0 {
        return Err(refused("the login took too long"));
    }
    match bool::from(passage.state.as_bytes().ct_eq(back.state.as_bytes())) {
        true => Ok(passage),
        false => Err(refused("the browser set out for another login")),
    }
}

/// The page of a dashboard that may be given tokens, as the operator wrote it.
fn trusted(core: &Core, origin: Option<&str>) -> Result<String> {
    let origin = origin.filter(|origin| !origin.is_empty());
    let origin = origin.ok_or_else(|| invalid("Request must have an origin query parameter"))?;
    let wanted = with_lower_case_host(origin);
    let found = core.config.trusted_dashboards.iter().find(|known| with_lower_case_host(known) == wanted);
    found.cloned().ok_or_else(|| {
        let message = format!("{origin} is not a trusted dashboard host");
        Error::new(ErrorKind::Unauthorized, "Unauthorized", message)
    })
}

fn with_lower_case_host(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    format!("{}{}{}", &url[..start], url[start..end].to_ascii_lowercase(), &url[end..])
}

/// The issuer that the identity provider's people log in at, and what we are there.
fn client_of<'c>(core: &'c Core, idp: &IdentityProvider) -> Option<(&'c OidcIssuer, &'c OidcClient)> {
    let issuers = core.config.oidc_issuers.iter().filter(|issuer| idp.remote_ids.contains(&issuer.issuer));
    issuers.filter_map(|issuer| Some((issuer, issuer.client.as_ref()?))).next()
}

fn no_client() -> Error {
    refused("the identity provider's issuer has no client_id in the configuration")
}

async fn only_provider(core: &Core, protocol_id: &str) -> Result<String> {
    let mut conn = core.read().await?;
    let mut found = None;
    for protocol in federation::list_protocols(&mut conn, None, Some(protocol_id)).await? {
        let idp = federation::get_idp(&mut conn, &protocol.idp_id).await?.filter(|idp| idp.enabled);
        let Some(idp) = idp.filter(|idp| client_of(core, idp).is_some()) else { continue };
        if found.replace(idp.id).is_some() {
            return Err(refused("several identity providers speak the protocol; each has a URL of its own"));
        }
    }
    found.ok_or_else(|| refused("no identity provider lets browsers log in by the protocol"))
}

/// Where the identity provider sends the browser back to, which has to be known there.
fn redirect_uri(endpoint: &str, idp_id: &str, protocol_id: &str) -> Result<String> {
    let mut url = Url::parse(endpoint).map_err(Error::internal)?;
    let path =
        ["identity", "v3", "auth", "OS-FEDERATION", "identity_providers", idp_id, "protocols", protocol_id];
    let mut segments = url.path_segments_mut().map_err(|()| Error::internal("an endpoint without a path"))?;
    segments.pop_if_empty().extend(path).push("websso");
    drop(segments);
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::{redirect_uri, with_lower_case_host};

    #[test]
    fn only_the_host_may_be_written_otherwise() {
        for (one, other, same) in [
            ("https://Horizon.test/auth/websso/", "https://horizon.test/auth/websso/", true),
            ("https://horizon.test/Auth/", "https://horizon.test/auth/", false),
            ("https://horizon.test", "https://horizon.test.evil", false),
            ("https://horizon.test/a", "https://horizon.test/a?b", false),
        ] {
            assert_eq!(with_lower_case_host(one) == with_lower_case_host(other), same, "{one} {other}");
        }
    }

    #[test]
    fn an_id_stays_one_part_of_the_path() {
        let uri = redirect_uri("https://cloud.test:5000/base", "a/b?", "openid").unwrap();
        let expected = "https://cloud.test:5000/base/identity/v3/auth/OS-FEDERATION/identity_providers/a%2Fb%3F/\
                        protocols/openid/websso";
        assert_eq!(uri, expected);
    }
}
