/// Where an image is in its life. Deleted ones have no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageStatus {
    /// A record without data.
    Queued,
    /// Data is arriving.
    Saving,
    /// Data is there and was accepted.
    Active,
    /// Data is there, and only administrators may read it.
    Deactivated,
}

/// What happens to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageEvent {
    UploadStarted,
    UploadAccepted,
    UploadFailed,
    Deactivate,
    Reactivate,
}

impl ImageStatus {
    pub const ALL: [Self; 4] = [Self::Queued, Self::Saving, Self::Active, Self::Deactivated];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Saving => "saving",
            Self::Active => "active",
            Self::Deactivated => "deactivated",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// The status after `event`; `None` when it cannot happen in this one.
    pub fn after(self, event: ImageEvent) -> Option<Self> {
        match (self, event) {
            (Self::Queued, ImageEvent::UploadStarted) => Some(Self::Saving),
            (Self::Saving, ImageEvent::UploadAccepted) => Some(Self::Active),
            (Self::Saving, ImageEvent::UploadFailed) => Some(Self::Queued),
            (Self::Active | Self::Deactivated, ImageEvent::Deactivate) => Some(Self::Deactivated),
            (Self::Active | Self::Deactivated, ImageEvent::Reactivate) => Some(Self::Active),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ImageEvent, ImageStatus};

    #[test]
    fn data_of_an_active_image_is_never_replaced() {
        for status in [ImageStatus::Saving, ImageStatus::Active, ImageStatus::Deactivated] {
            assert_eq!(status.after(ImageEvent::UploadStarted), None);
        }
    }
}
