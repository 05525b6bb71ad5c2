//! What data really is, found out by a process that can do nothing else (`updraft-controller scan-image`).

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use updraft_model::image::Image;
use updraft_volume::scanner::{self, Verdict};

use crate::{Core, Error, ErrorKind, Result};

/// The argument that makes the controller's program a scanner.
pub const SCAN_COMMAND: &str = "scan-image";
/// How long a scan may take by the clock; it stops itself after 30 s of processor time.
const SCAN_TIMEOUT: Duration = Duration::from_secs(120);

/// Looks at a file; the size of the disk in it, in bytes, when it is what the image declares.
///
/// # Errors
/// 415 when it is something else, is refused, or makes the scanner fail.
pub(super) async fn judge(core: &Core, image: &Image, path: &Path) -> Result<u64> {
    let declared = image.disk_format.ok_or_else(|| Error::internal("data without a declared format"))?;
    let verdict = match core.config.image_scanner.clone() {
        Some(program) => jailed(program, path).await?,
        None => {
            let path = path.to_owned();
            let scan = move || std::fs::File::open(path).map(|mut file| scanner::scan(&mut file));
            let scanned = tokio::task::spawn_blocking(scan).await;
            scanned.map_err(Error::internal)?.map_err(Error::internal)?
        }
    };
    match verdict {
        Verdict::Accepted { format, virtual_size_bytes } if format == declared.content() => {
            Ok(virtual_size_bytes)
        }
        Verdict::Accepted { format, .. } => {
            let declared = declared.as_str();
            let message =
                format!("Image content does not match its disk_format: declared {declared}, found {format}.");
            Err(Error::new(ErrorKind::UnsupportedMediaType, "ImageFormatMismatch", message))
        }
        Verdict::Refused { reason } => Err(refused(&reason)),
        Verdict::Failed { reason } => Err(Error::internal(reason)),
    }
}

fn refused(reason: &str) -> Error {
    let message = format!("Image refused: {reason}.");
    Error::new(ErrorKind::UnsupportedMediaType, "ImageRefused", message)
}

async fn jailed(program: PathBuf, path: &Path) -> Result<Verdict> {
    let file = std::fs::File::open(path).map_err(Error::internal)?;
    let scan = Command::new(program)
        .arg(SCAN_COMMAND)
        .env_clear()
        .stdin(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(SCAN_TIMEOUT, scan).await;
    let Ok(ended) = ended else { return Ok(stopped("it took too long")) };
    let output = ended.map_err(Error::internal)?;
    if !output.status.success() {
        tracing::warn!(status = %output.status, path = %path.display(), "the image scanner was stopped");
        return Ok(stopped("it made the scanner fail"));
    }
    serde_json::from_slice(&output.stdout).map_err(Error::internal)
}

fn stopped(reason: &str) -> Verdict {
    Verdict::Refused { reason: reason.to_owned() }
}
