use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ListLinks, SelfLink};

/// `POST /v3/roles` and `PATCH /v3/roles/{id}`. A field that is absent keeps its value.
#[derive(Clone, Debug, Deserialize)]
pub struct RoleRequest {
    pub role: RoleFields,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RoleFields {
    pub name: Option<String>,
    pub domain_id: Option<String>,
    pub description: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RoleBody {
    pub role: RoleView,
}

#[derive(Clone, Debug, Serialize)]
pub struct RoleList {
    pub roles: Vec<RoleView>,
    pub links: ListLinks,
}

#[derive(Clone, Debug, Serialize)]
pub struct RoleView {
    pub id: String,
    pub name: String,
    pub domain_id: Option<String>,
    pub description: Option<String>,
    pub options: Map<String, Value>,
    pub links: SelfLink,
}

/// `GET /v3/roles/{id}/implies`.
#[derive(Clone, Debug, Serialize)]
pub struct InferenceBody {
    pub role_inference: InferenceView,
    pub links: SelfLink,
}

/// `GET /v3/role_inferences`.
#[derive(Clone, Debug, Serialize)]
pub struct InferenceList {
    pub role_inferences: Vec<InferenceView>,
    pub links: SelfLink,
}

#[derive(Clone, Debug, Serialize)]
pub struct InferenceView {
    pub prior_role: RoleView,
    pub implies: Vec<RoleView>,
}
