use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ListLinks, RoleKey, RoleView, SelfLink};

/// `POST /v3/OS-TRUST/trusts`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustRequest {
    pub trust: TrustFields,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct TrustFields {
    pub trustor_user_id: String,
    pub trustee_user_id: String,
    pub impersonation: bool,
    pub project_id: Option<String>,
    pub expires_at: Option<String>,
    pub remaining_uses: Option<i64>,
    pub roles: Option<Vec<RoleKey>>,
    pub allow_redelegation: Option<bool>,
    pub redelegation_count: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TrustBody {
    pub trust: TrustView,
}

#[derive(Clone, Debug, Serialize)]
pub struct TrustView {
    pub id: String,
    pub trustor_user_id: String,
    pub trustee_user_id: String,
    pub project_id: Option<String>,
    pub impersonation: bool,
    pub expires_at: Option<String>,
    /// Deleted trusts are gone: always null.
    pub deleted_at: Option<String>,
    pub remaining_uses: Option<i64>,
    pub redelegation_count: i64,
    pub redelegated_trust_id: Option<String>,
    /// Absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<RoleView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles_links: Option<ListLinks>,
    pub links: SelfLink,
}
