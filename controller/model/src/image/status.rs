/// Where an image is in its life. Deleted ones have no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageStatus {
    /// A record without data.
    Queued,
    /// Data is arriving, to become the image's at once.
    Saving,
    /// Data is arriving or staged, and waits for an import.
    Uploading,
    /// An import is under way.
    Importing,
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
    StageStarted,
    StageFailed,
    /// Of data that was staged.
    StagedImportStarted,
    /// Of data that comes from elsewhere.
    DownloadStarted,
    ImportAccepted,
    ImportFailed,
    Deactivate,
    Reactivate,
}

impl ImageStatus {
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Saving, Self::Uploading, Self::Importing, Self::Active, Self::Deactivated];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Saving => "saving",
            Self::Uploading => "uploading",
            Self::Importing => "importing",
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
            (Self::Queued, ImageEvent::StageStarted) => Some(Self::Uploading),
            (Self::Uploading, ImageEvent::StageFailed) => Some(Self::Queued),
            (Self::Uploading, ImageEvent::StagedImportStarted) => Some(Self::Importing),
            (Self::Queued, ImageEvent::DownloadStarted) => Some(Self::Importing),
            (Self::Importing, ImageEvent::ImportAccepted) => Some(Self::Active),
            (Self::Importing, ImageEvent::ImportFailed) => Some(Self::Queued),
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
            for event in [
                ImageEvent::UploadStarted,
                ImageEvent::StageStarted,
                ImageEvent::StagedImportStarted,
                ImageEvent::DownloadStarted,
            ] {
                assert_eq!(status.after(event), None, "{status:?} {event:?}");
            }
        }
    }

    #[test]
    fn whatever_fails_can_be_tried_again() {
        for (status, failed) in [
            (ImageStatus::Saving, ImageEvent::UploadFailed),
            (ImageStatus::Uploading, ImageEvent::StageFailed),
            (ImageStatus::Importing, ImageEvent::ImportFailed),
        ] {
            assert_eq!(status.after(failed), Some(ImageStatus::Queued));
        }
    }
}
