use serde::Serialize;

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
