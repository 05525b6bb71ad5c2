//! What data really is, found out by a process that can do nothing else (`updraft-controller scan-image`).

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use updraft_model::image::Image;
use updraft_volume::scanner::{self, Verdict};

use super::receive::lost_file;
use crate::{Core, Error, ErrorKind, Result};

/// The argument that makes the controller's program a scanner.
pub const SCAN_COMMAND: &str = "scan-image";
/// How long a scan may take by the clock; it stops itself after 30 s of processor time.
const SCAN_TIMEOUT: Duration = Duration::from_secs(120);

/// Looks at a file; the size of the disk in it, in bytes, when it is what the image declares. What is in an archive is
/// not looked at, and its size not known.
///
/// # Errors
/// 415 when it is something else, is refused, or makes the scanner fail.
pub(super) async fn judge(core: &Core, image: &Image, path: &Path) -> Result<Option<u64>> {
    if image.container_format.is_some_and(|container| !container.is_bare()) {
        return Ok(None);
    }
    let declared = image.disk_format.ok_or_else(|| Error::internal("data without a declared format"))?;
    let verdict = match core.config.image_scanner.clone() {
        Some(program) => jailed(program, &image.id, path, SCAN_TIMEOUT).await?,
        None => {
            let path = path.to_owned();
            let scan = move || std::fs::File::open(path).map(|mut file| scanner::scan(&mut file));
            let scanned = tokio::task::spawn_blocking(scan).await;
            scanned.map_err(Error::internal)?.map_err(|error| unreadable(&image.id, error))?
        }
    };
    match verdict {
        Verdict::Accepted { format, virtual_size_bytes } if declared.takes(&format) => {
            Ok(Some(virtual_size_bytes))
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

/// The file goes when its image is deleted.
fn unreadable(image_id: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => lost_file(image_id).because(error),
        _ => Error::internal(error),
    }
}

fn refused(reason: &str) -> Error {
    let message = format!("Image refused: {reason}.");
    Error::new(ErrorKind::UnsupportedMediaType, "ImageRefused", message)
}

async fn jailed(program: PathBuf, image_id: &str, path: &Path, timeout: Duration) -> Result<Verdict> {
    let file = std::fs::File::open(path).map_err(|error| unreadable(image_id, error))?;
    let scan = Command::new(program)
        .arg(SCAN_COMMAND)
        .env_clear()
        .stdin(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(timeout, scan).await;
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{ErrorKind, Write};
    use std::time::{Duration, Instant};

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::{jailed, stopped};

    const ID: &str = "an image";
    /// Far more than a program takes to start or to be killed.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// `grep` stands for the scanner: it looks for its argument in what it is sent, and waits for more.
    #[tokio::test]
    async fn row_13_a_scanner_that_never_answers_is_killed_and_the_image_refused() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image");
        mkfifoat(CWD, &image, Mode::RUSR | Mode::WUSR).unwrap();
        let opened = image.clone();
        // Each end of a FIFO is opened when the other one is.
        let sender = std::thread::spawn(move || File::options().write(true).open(opened).unwrap());
        let scan = jailed("grep".into(), ID, &image, Duration::from_millis(200));
        let verdict = tokio::time::timeout(PATIENCE, scan).await.expect("it is waited for").unwrap();
        assert_eq!(verdict, stopped("it took too long"));

        let (mut sender, deadline) = (sender.join().unwrap(), Instant::now() + PATIENCE);
        let end = loop {
            match sender.write(b"\n") {
                Ok(_) => assert!(Instant::now() < deadline, "the scanner lives on"),
                Err(error) => break error.kind(),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(end, ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn row_13_nothing_is_accepted_of_a_scanner_that_fails() {
        let image = tempfile::NamedTempFile::new().unwrap();
        let scan = |program: &str| jailed(program.into(), ID, image.path(), PATIENCE);
        assert_eq!(scan("false").await.unwrap(), stopped("it made the scanner fail"));
        assert!(scan("true").await.is_err(), "it says nothing");
        assert!(scan("/nowhere/scanner").await.is_err(), "it cannot be started");
    }
}
