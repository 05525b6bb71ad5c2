use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /v2/tasks`.
#[derive(Clone, Debug, Deserialize)]
pub struct TaskCreate {
    #[serde(rename = "type")]
    pub kind: String,
    pub input: Value,
}

/// A task in a list: what it is about, without what was put in and came out.
#[derive(Clone, Debug, Serialize)]
pub struct TaskStub {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub status: &'static str,
    pub owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    pub request_id: String,
    pub user_id: String,
    pub created_at: String,
    pub updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    #[serde(rename = "self")]
    pub this: String,
    pub schema: &'static str,
}

/// A whole task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskView {
    #[serde(flatten)]
    pub stub: TaskStub,
    pub input: Value,
    pub result: Option<Value>,
    pub message: String,
}

/// `first` and `next` are relative URLs; `next` is there only when more follow.
#[derive(Clone, Debug, Serialize)]
pub struct TaskList {
    pub tasks: Vec<TaskStub>,
    pub first: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    pub schema: &'static str,
}

/// A task of `GET /v2/images/{id}/tasks`, which shows the record as it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct ImageTaskView {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub status: &'static str,
    pub owner: String,
    pub image_id: Option<String>,
    pub request_id: String,
    pub user_id: String,
    pub input: Value,
    pub result: Option<Value>,
    pub message: String,
    /// Without a zone, as every time of this call.
    pub created_at: String,
    pub updated_at: String,
    pub expires_at: Option<String>,
    pub deleted: bool,
    pub deleted_at: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ImageTaskList {
    pub tasks: Vec<ImageTaskView>,
}
