use serde::Serialize;

use super::SelfLink;

#[derive(Clone, Debug, Serialize)]
pub struct TokenBody {
    pub token: TokenView,
}

/// What is absent depends on the scope: an unscoped token has neither roles nor catalog.
#[derive(Clone, Debug, Serialize)]
pub struct TokenView {
    pub methods: Vec<&'static str>,
    pub user: TokenUser,
    pub audit_ids: Vec<String>,
    pub expires_at: String,
    pub issued_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<TokenProject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<TokenDomain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_domain: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<RoleName>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog: Option<Vec<CatalogEntry>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TokenUser {
    pub domain: TokenDomain,
    pub id: String,
    pub name: String,
    /// Passwords do not expire: always null.
    pub password_expires_at: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TokenDomain {
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct TokenProject {
    pub domain: TokenDomain,
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct RoleName {
    pub id: String,
    pub name: String,
}

/// `GET /v3/auth/catalog`.
#[derive(Clone, Debug, Serialize)]
pub struct CatalogBody {
    pub catalog: Vec<CatalogEntry>,
    pub links: SelfLink,
}

#[derive(Clone, Debug, Serialize)]
pub struct CatalogEntry {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    pub endpoints: Vec<CatalogEndpoint>,
}

#[derive(Clone, Debug, Serialize)]
pub struct CatalogEndpoint {
    pub id: String,
    pub interface: &'static str,
    pub region: Option<String>,
    pub region_id: Option<String>,
    pub url: String,
}
