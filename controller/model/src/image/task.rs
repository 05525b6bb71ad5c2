use serde_json::Value;

use crate::Timestamp;

/// Work on an image that outlives its request: an import.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageTask {
    pub id: String,
    pub kind: ImageTaskKind,
    /// `None` once the image of a task of old is known to be no image.
    pub image_id: Option<String>,
    /// Whose task it is.
    pub project_id: String,
    pub user_id: String,
    pub request_id: String,
    pub status: ImageTaskStatus,
    /// What is done next.
    pub step: ImageTaskStep,
    /// As the API takes and shows it.
    pub input: Value,
    pub result: Option<Value>,
    /// Why it failed.
    pub message: Option<String>,
    pub attempts: i64,
    pub run_at: Timestamp,
    pub lease_owner: Option<String>,
    pub lease_until: Timestamp,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When it may be forgotten, once it has ended.
    pub expires_at: Option<Timestamp>,
}

/// Which call made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageTaskKind {
    /// `POST /v2/images/{id}/import`.
    ApiImageImport,
    /// `POST /v2/tasks`, the administrators' import of old.
    Import,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageTaskStatus {
    Pending,
    Processing,
    Success,
    Failure,
}

/// The steps of an import, in order. Each may be begun again after a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageTaskStep {
    /// The data comes from elsewhere into a staged file.
    Fetch,
    /// The staged file is looked at and becomes the image's.
    Accept,
}

impl ImageTaskKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiImageImport => "api_image_import",
            Self::Import => "import",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::ApiImageImport, Self::Import].into_iter().find(|known| known.as_str() == text)
    }
}

impl ImageTaskStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Processing, Self::Success, Self::Failure]
            .into_iter()
            .find(|known| known.as_str() == text)
    }

    pub fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failure)
    }
}

impl ImageTaskStep {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Accept => "accept",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Fetch, Self::Accept].into_iter().find(|known| known.as_str() == text)
    }
}
