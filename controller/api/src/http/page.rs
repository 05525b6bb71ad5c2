use serde::Deserialize;

/// Items in one answer, unless the client asks for fewer.
pub const MAX_PAGE: u32 = 1000;

/// `limit` and `marker` (the id of the last item seen) of a list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Page {
    pub limit: Option<u32>,
    pub marker: Option<String>,
}

impl Page {
    /// How many items to answer with.
    pub fn size(&self) -> u32 {
        self.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE)
    }
}
