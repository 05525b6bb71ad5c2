use serde_json::Value;

/// Who vouches for users of somewhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProvider {
    pub id: String,
    /// Where its users live unless the mapping says otherwise.
    pub domain_id: String,
    pub enabled: bool,
    pub description: Option<String>,
    /// The names that its assertions come under: for OpenID Connect, issuers. Each belongs to one provider.
    pub remote_ids: Vec<String>,
    /// Kept for clients that set it; memberships from an assertion last as long as the token.
    pub authorization_ttl: Option<i64>,
}

/// Rules that make a user, groups and projects of an assertion; the rules are in Keystone's mapping language.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    pub id: String,
    pub schema_version: String,
    pub rules: Value,
}

/// How an identity provider is spoken to, and which mapping reads its assertions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederationProtocol {
    pub id: String,
    pub idp_id: String,
    pub mapping_id: String,
    pub remote_id_attribute: Option<String>,
}

/// Another cloud that trusts this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceProvider {
    pub id: String,
    pub auth_url: String,
    pub sp_url: String,
    pub description: Option<String>,
    pub enabled: bool,
    pub relay_state_prefix: String,
}
