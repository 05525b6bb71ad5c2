//! `[[oidc]]` and `[federation]`: whose word about users is taken, and who may be given their tokens.

use std::path::PathBuf;

use serde::Deserialize;
use updraft_core::identity::federation::{JwksSource, OidcClient, OidcIssuer};

/// The longest URL of a dashboard's page, in bytes: it travels in a cookie.
const MAX_DASHBOARD_BYTES: usize = 255;

/// An issuer of ID tokens. Its keys come from a file or from a URL, which is `https` or on this machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    issuer: String,
    /// Our client ids there.
    audiences: Vec<String>,
    jwks_file: Option<PathBuf>,
    jwks_url: Option<String>,
    /// As which of our client ids browsers log in; none do when absent. The other keys below go with it.
    client_id: Option<String>,
    pub client_secret_file: Option<PathBuf>,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    /// What is asked for beside `openid`.
    #[serde(default = "default_scopes")]
    scopes: Vec<String>,
}

fn default_scopes() -> Vec<String> {
    vec!["profile".into(), "email".into()]
}

impl Oidc {
    /// What the use cases need of it, with what its secret's file holds; else what is wrong.
    pub fn core(&self, secret: Option<String>) -> Result<OidcIssuer, &'static str> {
        let keys = match (&self.jwks_file, &self.jwks_url) {
            (Some(file), None) => JwksSource::File(file.clone()),
            (None, Some(url)) if is_private(url) => JwksSource::Url(url.clone()),
            _ => {
                return Err(
                    "an issuer in [[oidc]] has either jwks_file or jwks_url, and the latter is https",
                );
            }
        };
        if self.issuer.is_empty() || self.audiences.is_empty() {
            return Err("an issuer in [[oidc]] has a name and at least one of audiences");
        }
        let client = self.client(secret)?;
        Ok(OidcIssuer { issuer: self.issuer.clone(), audiences: self.audiences.clone(), keys, client })
    }

    fn client(&self, secret: Option<String>) -> Result<Option<OidcClient>, &'static str> {
        let (id, authorization_endpoint, token_endpoint) =
            match (&self.client_id, &self.authorization_endpoint, &self.token_endpoint) {
                (None, None, None) if secret.is_none() => return Ok(None),
                (Some(id), Some(authorization), Some(token)) => (id, authorization, token),
                _ => {
                    return Err("an issuer in [[oidc]] that browsers log in at has client_id, \
                                authorization_endpoint and token_endpoint");
                }
            };
        if !self.audiences.contains(id) {
            return Err("client_id in [[oidc]] is one of audiences");
        }
        let is_plain = |url: &str| url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let endpoints = [authorization_endpoint, token_endpoint];
        if !endpoints.iter().all(|url| is_private(url) && is_plain(url)) {
            return Err("authorization_endpoint and token_endpoint in [[oidc]] are https");
        }
        Ok(Some(OidcClient {
            id: id.clone(),
            secret: secret.map(Into::into),
            authorization_endpoint: authorization_endpoint.clone(),
            token_endpoint: token_endpoint.clone(),
            scopes: self.scopes.clone(),
        }))
    }
}

/// Nobody listens in on the way there: over TLS, or within this machine.
fn is_private(url: &str) -> bool {
    ["https://", "http://127.0.0.1:", "http://[::1]:"].iter().any(|start| url.starts_with(start))
}

/// `[federation]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Federation {
    /// Pages of dashboards, such as `https://horizon.example/auth/websso/`.
    trusted_dashboard: Vec<String>,
}

impl Federation {
    /// The pages; else what is wrong with one.
    pub fn trusted_dashboards(&self) -> Result<Vec<String>, String> {
        let is_page = |url: &&String| {
            let is_url = url.starts_with("https://") || url.starts_with("http://");
            is_url && url.len() <= MAX_DASHBOARD_BYTES && url.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match self.trusted_dashboard.iter().find(|url| !is_page(url)) {
            Some(url) => Err(format!(
                "federation.trusted_dashboard: '{url}' is no http or https URL of up to \
                                      {MAX_DASHBOARD_BYTES} bytes"
            )),
            None => Ok(self.trusted_dashboard.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Oidc;

    fn oidc(lines: &str) -> Oidc {
        let least = "issuer = 'https://idp.test'\naudiences = ['updraft']\njwks_file = '/keys'\n";
        toml::from_str(&format!("{least}{lines}")).unwrap()
    }

    #[test]
    fn browsers_log_in_where_everything_for_it_is_there() {
        let endpoints =
            "authorization_endpoint = 'https://idp.test/a'\ntoken_endpoint = 'https://idp.test/t'\n";
        assert_eq!(oidc("").core(None).unwrap().client, None);
        let client =
            oidc(&format!("{endpoints}client_id = 'updraft'")).core(Some("s".into())).unwrap().client;
        assert_eq!(client.unwrap().scopes, ["profile", "email"]);
        for lines in [
            endpoints.to_owned(),
            "client_id = 'updraft'".to_owned(),
            format!("{endpoints}client_id = 'other'"),
            format!("{}client_id = 'updraft'", endpoints.replace("https:", "http:")),
        ] {
            assert!(oidc(&lines).core(None).is_err(), "{lines}");
        }
        assert!(oidc("").core(Some("a secret for nothing".into())).is_err());
    }
}
