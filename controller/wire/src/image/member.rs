use serde::{Deserialize, Serialize};

/// `POST /v2/images/{id}/members`.
#[derive(Clone, Debug, Deserialize)]
pub struct MemberCreate {
    pub member: String,
}

/// `PUT /v2/images/{id}/members/{member}`.
#[derive(Clone, Debug, Deserialize)]
pub struct MemberUpdate {
    pub status: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct MemberView {
    pub image_id: String,
    pub member_id: String,
    pub status: &'static str,
    pub created_at: String,
    pub updated_at: String,
    pub schema: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub struct MemberList {
    pub members: Vec<MemberView>,
    pub schema: &'static str,
}
