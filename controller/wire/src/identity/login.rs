//! `POST /v3/auth/tokens`.

use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Clone, Deserialize, JsonSchema)]
pub struct AuthRequest {
    pub auth: Auth,
}

#[derive(Clone, Deserialize, JsonSchema)]
pub struct Auth {
    pub identity: Identity,
    pub scope: Option<ScopeRequest>,
}

#[derive(Clone, Deserialize, JsonSchema)]
pub struct Identity {
    pub methods: Vec<String>,
    pub password: Option<PasswordMethod>,
    pub token: Option<TokenMethod>,
    pub application_credential: Option<AppCredentialMethod>,
    pub totp: Option<TotpMethod>,
}

/// By id, or by name and user.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct AppCredentialMethod {
    pub id: Option<String>,
    pub name: Option<String>,
    /// Counts beside a name alone.
    #[serde(default)]
    pub user: Option<OwnerRef>,
    pub secret: String,
}

/// By id, or by name and domain.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct OwnerRef {
    pub id: Option<String>,
    pub name: Option<String>,
    pub domain: Option<DomainRef>,
}

#[derive(Clone, Deserialize, JsonSchema)]
pub struct TotpMethod {
    pub user: TotpUserRef,
}

/// By id, or by name and domain.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct TotpUserRef {
    pub id: Option<String>,
    pub name: Option<String>,
    pub domain: Option<DomainRef>,
    pub passcode: String,
}

#[derive(Clone, Deserialize, JsonSchema)]
pub struct PasswordMethod {
    pub user: UserRef,
}

#[derive(Clone, Deserialize, JsonSchema)]
pub struct TokenMethod {
    pub id: String,
}

/// By id, or by name and domain.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct UserRef {
    pub id: Option<String>,
    pub name: Option<String>,
    pub domain: Option<DomainRef>,
    /// Without one, the login fails.
    #[serde(default)]
    pub password: String,
}

/// By id or by name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct DomainRef {
    pub id: Option<String>,
    pub name: Option<String>,
}

/// By id, or by name and domain.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ProjectRef {
    pub id: Option<String>,
    pub name: Option<String>,
    pub domain: Option<DomainRef>,
}

/// `"unscoped"`, or an object with one of the keys.
#[allow(clippy::large_enum_variant, reason = "one per login, and gone with it")]
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ScopeRequest {
    Word(String),
    Target {
        project: Option<ProjectRef>,
        domain: Option<DomainRef>,
        system: Option<SystemRef>,
        #[serde(default)]
        unscoped: Option<serde_json::Value>,
        #[serde(default, rename = "OS-TRUST:trust")]
        trust: Option<TrustRef>,
    },
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct SystemRef {
    /// All of it, whatever it says: there are no parts.
    pub all: Option<bool>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct TrustRef {
    pub id: String,
}
