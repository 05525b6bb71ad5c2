//! What the tenant and the operator are told when a server cannot be made as planned.

use std::io;

use updraft_compute_api::observed::ServerState;
use updraft_volume::VolumeError;

use crate::blkd::BlkdError;
use crate::host::process::ProcessError;
use crate::images::ImageError;
use crate::qemu::machine::MachineError;
use crate::qemu::qmp::QmpError;

/// A step that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("root disk: {0}")]
    Volume(#[from] VolumeError),
    #[error("config drive: {0}")]
    ConfigDrive(io::Error),
    #[error("blkd: {0}")]
    Blkd(#[from] BlkdError),
    #[error("QEMU: {0}")]
    Machine(#[from] MachineError),
    #[error("QEMU: {0}")]
    Qmp(#[from] QmpError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("no accelerator: {0}")]
    NoAccelerator(String),
    #[error("the plan has no port {0}")]
    PortNotPlanned(updraft_base::PortId),
    #[error("netd does not serve the server's ports: {0}")]
    NoPorts(String),
    #[error("{what}: {source}")]
    Host { what: &'static str, source: io::Error },
    #[error("a blocking step did not end: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// A failure in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For the tenant: no paths, no names of the host's parts.
    pub message: &'static str,
    /// For the operator.
    pub detail: String,
    /// Trying again cannot help.
    pub permanent: bool,
}

const NO_SPACE: (&str, bool) = ("The host has no disk space left for this server.", false);
const BAD_IMAGE: (&str, bool) = ("The image is damaged: its content is not what was uploaded.", true);
const HOST_TROUBLE: (&str, bool) = ("The host could not prepare the server.", false);

impl From<&StepError> for Failure {
    fn from(error: &StepError) -> Self {
        let (message, permanent) = match error {
            StepError::Image(error) => image(error),
            StepError::Volume(error) => volume(error),
            StepError::ConfigDrive(source) | StepError::Host { source, .. } => storage(source),
            StepError::Blkd(BlkdError::Config { source, .. }) => storage(source),
            StepError::Blkd(BlkdError::Process(_) | BlkdError::Ended { .. } | BlkdError::Mute { .. }) => {
                ("The server's disk could not be attached.", false)
            }
            StepError::Machine(_) | StepError::Qmp(_) | StepError::Process(_) => {
                ("The server's virtual machine could not be started.", false)
            }
            StepError::NoAccelerator(_) => ("The host cannot run virtual machines.", false),
            StepError::PortNotPlanned(_) | StepError::NoPorts(_) => {
                ("The server's network could not be set up.", false)
            }
            StepError::Interrupted(_) => HOST_TROUBLE,
        };
        Self { message, detail: error.to_string(), permanent }
    }
}

impl From<Failure> for ServerState {
    fn from(failure: Failure) -> Self {
        let Failure { message, detail, permanent } = failure;
        Self::Failed { message: message.into(), detail, permanent }
    }
}

fn image(error: &ImageError) -> (&'static str, bool) {
    match error {
        ImageError::Controller(_) => ("The image could not be fetched.", false),
        ImageError::Size { .. } | ImageError::Checksum { .. } => BAD_IMAGE,
        ImageError::NoRoom { .. } => NO_SPACE,
        ImageError::Store { source, .. } => storage(source),
        ImageError::Volume(error) => volume(error),
        ImageError::Interrupted(_) => HOST_TROUBLE,
    }
}

fn storage(error: &io::Error) -> (&'static str, bool) {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => NO_SPACE,
        _ => HOST_TROUBLE,
    }
}

fn volume(error: &VolumeError) -> (&'static str, bool) {
    match error {
        VolumeError::NoSpace { .. } => NO_SPACE,
        VolumeError::Io { source, .. } => storage(source),
        VolumeError::TooSmall { .. } => ("The flavor's disk is too small for the image.", true),
        VolumeError::BadSize { .. } => ("The disk's size is not possible.", true),
        VolumeError::Refused(_) | VolumeError::NotImportable { .. } => {
            ("The image is not usable: it is damaged or needs features that are not allowed.", true)
        }
        VolumeError::Mismatch { .. } => ("The image's content is not of its declared disk format.", true),
        VolumeError::Exists { .. }
        | VolumeError::NotFound { .. }
        | VolumeError::BadFormat { .. }
        | VolumeError::WrongParent { .. }
        | VolumeError::TooDeep { .. }
        | VolumeError::InUse { .. }
        | VolumeError::Sealed { .. }
        | VolumeError::LostWrites { .. } => HOST_TROUBLE,
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, StepError};
    use crate::images::ImageError;
    use std::io::{Error, ErrorKind};
    use std::path::PathBuf;
    use updraft_volume::VolumeError;

    #[test]
    fn tenants_read_what_concerns_them_and_no_paths() {
        let path = PathBuf::from("/secret/place");
        let full = || Error::from(ErrorKind::StorageFull);
        for (error, words, permanent) in [
            (StepError::Volume(VolumeError::TooSmall { disk_bytes: 1, image_bytes: 2 }), "too small", true),
            (
                StepError::Image(ImageError::Checksum { expected: "a".into(), found: "b".into() }),
                "damaged",
                true,
            ),
            (
                StepError::Image(ImageError::Store { path: path.clone(), source: full() }),
                "no disk space",
                false,
            ),
            (StepError::Volume(VolumeError::NoSpace { path: path.clone() }), "no disk space", false),
            (StepError::ConfigDrive(full()), "no disk space", false),
            (StepError::NoPorts("netd does not answer".into()), "network", false),
            (StepError::NoAccelerator("no /usr/bin/qemu".into()), "cannot run virtual machines", false),
        ] {
            let failure = Failure::from(&error);
            assert!(failure.message.contains(words), "{failure:?}");
            assert_eq!(failure.permanent, permanent, "{failure:?}");
            assert!(!failure.message.contains('/'), "{failure:?}");
        }
    }
}
