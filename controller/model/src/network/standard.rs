use crate::Timestamp;

/// What every resource of the Network API carries (the `standard-attr-*` extensions).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standard {
    pub description: String,
    pub tags: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows with every change of the resource.
    pub revision: i64,
}

impl Standard {
    /// Tags on one resource. More are refused.
    pub const MAX_TAGS: usize = 50;
    /// Characters of one tag.
    pub const MAX_TAG_LENGTH: usize = 255;

    pub fn new(now: Timestamp, description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            tags: Vec::new(),
            created_at: now,
            updated_at: now,
            revision: 1,
        }
    }

    /// Records that the resource changed.
    pub fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.revision += 1;
    }
}
