use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `PUT` and `PATCH /v3/domains/{id}/config…`, and their answers: options by group, or one option by its name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DomainConfigBody {
    #[serde(default)]
    pub config: Map<String, Value>,
}
