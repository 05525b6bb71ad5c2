use serde::Serialize;

use super::{AccessRuleView, SelfLink};

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
    pub system: Option<TokenSystem>,
    #[serde(rename = "OS-TRUST:trust", skip_serializing_if = "Option::is_none")]
    pub trust: Option<TokenTrust>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_credential: Option<TokenAppCredential>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<RoleName>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog: Option<Vec<CatalogEntry>>,
    /// Clouds that trust this one; absent when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_providers: Vec<TokenServiceProvider>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TokenUser {
    pub domain: TokenDomain,
    pub id: String,
    pub name: String,
    /// Null for one that does not expire; absent for who is here on an identity provider's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_expires_at: Option<Option<String>>,
    #[serde(rename = "OS-FEDERATION", skip_serializing_if = "Option::is_none")]
    pub federation: Option<TokenFederation>,
}

/// The answer to a login that must prove more.
#[derive(Clone, Debug, Serialize)]
pub struct ReceiptBody {
    pub receipt: ReceiptView,
    pub required_auth_methods: Vec<Vec<String>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ReceiptView {
    pub methods: Vec<&'static str>,
    pub user: ReceiptUser,
    pub expires_at: String,
    pub issued_at: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct ReceiptUser {
    pub domain: TokenDomain,
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct TokenFederation {
    pub groups: Vec<IdRef>,
    pub identity_provider: IdRef,
    pub protocol: IdRef,
}

#[derive(Clone, Debug, Serialize)]
pub struct IdRef {
    pub id: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct TokenSystem {
    pub all: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct TokenTrust {
    pub id: String,
    pub trustor_user: IdRef,
    pub trustee_user: IdRef,
    pub impersonation: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct TokenAppCredential {
    pub id: String,
    pub name: String,
    pub restricted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access_rules: Vec<AccessRuleView>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TokenServiceProvider {
    pub id: String,
    pub auth_url: String,
    pub sp_url: String,
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
