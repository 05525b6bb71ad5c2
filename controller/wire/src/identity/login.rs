//! `POST /v3/auth/tokens`.

use serde::Deserialize;

#[derive(Clone, Deserialize)]
pub struct AuthRequest {
    pub auth: Auth,
}

#[derive(Clone, Deserialize)]
pub struct Auth {
    pub identity: Identity,
    pub scope: Option<ScopeRequest>,
}

#[derive(Clone, Deserialize)]
pub struct Identity {
    pub methods: Vec<String>,
    pub password: Option<PasswordMethod>,
    pub token: Option<TokenMethod>,
    pub application_credential: Option<AppCredentialMethod>,
    pub totp: Option<TotpMethod>,
}

/// By id, or by name and user.
#[derive(Clone, Deserialize)]
pub struct AppCredentialMethod {
    pub id: Option<String>,
    pub name: Option<String>,
    /// Counts beside a name alone.
    #[serde(default)]
    pub user: Option<OwnerRef>,
    pub secret: String,
}

/// By id, or by name and domain.
#[derive(Clone, Debug, Deserialize)]
pub struct OwnerRef {
    pub id: Option<String>,
    pub name: Option<String>,
    pub domain: Option<DomainRef>,
}

#[derive(Clone, Deserialize)]
pub struct TotpMethod {
    pub user: TotpUserRef,
}

/// By id, or by name and domain.
#[derive(Clone, Deserialize)]
pub struct TotpUserRef {
    pub id: Option<String>,
    pub name: Option<String>,
    pub domain: Option<DomainRef>,
    pub passcode: String,
}

#[derive(Clone, Deserialize)]
pub struct PasswordMethod {
    pub user: UserRef,
}

#[derive(Clone, Deserialize)]
pub struct TokenMethod {
    pub id: String,
}

/// By id, or by name and domain.
#[derive(Clone, Deserialize)]
pub struct UserRef {
    pub id: Option<String>,
    pub name: Option<String>,
    pub domain: Option<DomainRef>,
    pub password: String,
}

/// By id or by name.
#[derive(Clone, Debug, Deserialize)]
pub struct DomainRef {
    pub id: Option<String>,
    pub name: Option<String>,
}

/// By id, or by name and domain.
#[derive(Clone, Debug, Deserialize)]
pub struct ProjectRef {
    pub id: Option<String>,
    pub name: Option<String>,
    pub domain: Option<DomainRef>,
}

/// `"unscoped"`, or an object with one of the keys.
#[allow(clippy::large_enum_variant, reason = "one per login, and gone with it")]
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum ScopeRequest {
    Word(String),
    Target {
        project: Option<ProjectRef>,
        domain: Option<DomainRef>,
        system: Option<serde_json::Value>,
        #[serde(default)]
        unscoped: Option<serde_json::Value>,
        #[serde(default, rename = "OS-TRUST:trust")]
        trust: Option<TrustRef>,
    },
}

#[derive(Clone, Debug, Deserialize)]
pub struct TrustRef {
    pub id: String,
}
