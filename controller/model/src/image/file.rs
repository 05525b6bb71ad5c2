use crate::Timestamp;

/// A file of the image service. Its row is there before it is and after it is gone, so that a kill at any moment leaves
/// no file that no row tells of. Its name is its own for ever: two writers never meet in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// `<image id>.<uuid>`.
    pub name: String,
    pub image_id: String,
    pub role: FileRole,
    /// Who writes it while it arrives.
    pub holder: String,
    /// When an arriving file that was not heard of counts as abandoned.
    pub held_until: Timestamp,
    /// There once it has arrived whole.
    pub measured: Option<Measured>,
    pub created_at: Timestamp,
}

/// What was measured while data arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    pub size_bytes: u64,
    /// Hexadecimal.
    pub md5: String,
    /// Hexadecimal.
    pub sha512: String,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileRole {
    /// Being written.
    Arriving,
    /// Whole, and waits for an import to accept it.
    Staged,
    /// The data of an active image.
    Data,
    /// To be removed.
    Doomed,
}

impl FileRole {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arriving => "arriving",
            Self::Staged => "staged",
            Self::Data => "data",
            Self::Doomed => "doomed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Arriving, Self::Staged, Self::Data, Self::Doomed]
            .into_iter()
            .find(|known| known.as_str() == text)
    }
}
