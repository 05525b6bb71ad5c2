use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attributes::not_empty;
use super::{ListLinks, SelfLink};
use crate::nullable;

/// `POST /v3/credentials` and `PATCH /v3/credentials/{id}`.
#[derive(Clone, Deserialize)]
pub struct CredentialRequest {
    #[serde(deserialize_with = "not_empty")]
    pub credential: CredentialFields,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct CredentialFields {
    /// Only for comparison with the path's.
    pub id: Option<String>,
    pub blob: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub user_id: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub project_id: Option<Option<String>>,
}

#[derive(Clone, Serialize)]
pub struct CredentialBody {
    pub credential: CredentialView,
}

#[derive(Clone, Serialize)]
pub struct CredentialView {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub blob: String,
    pub user_id: String,
    pub project_id: Option<String>,
    pub links: SelfLink,
}

/// `POST /v3/users/{user_id}/credentials/OS-EC2`.
#[derive(Clone, Debug, Deserialize)]
pub struct Ec2Request {
    pub tenant_id: Option<String>,
}

#[derive(Clone, Serialize)]
pub struct Ec2Body {
    pub credential: Ec2View,
}

#[derive(Clone, Serialize)]
pub struct Ec2List {
    pub credentials: Vec<Ec2View>,
    pub links: ListLinks,
}

#[derive(Clone, Serialize)]
pub struct Ec2View {
    pub user_id: String,
    pub tenant_id: Option<String>,
    pub access: String,
    pub secret: String,
    pub trust_id: Option<String>,
    pub links: SelfLink,
}

/// `POST /v3/ec2tokens` and `POST /v3/s3tokens`; the three keys mean the same.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct SignedRequest {
    #[serde(alias = "credential", alias = "ec2Credentials")]
    pub credentials: Option<SignedFields>,
}

/// What a front door knows of a signed request; what is missing makes the signature not hold.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct SignedFields {
    pub access: Option<String>,
    pub signature: Option<String>,
    pub verb: String,
    pub host: String,
    pub path: String,
    pub params: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body_hash: String,
    pub token: String,
}
