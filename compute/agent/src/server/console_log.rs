//! The console log: what the guest wrote to its serial port, bounded whatever the guest does.
//!
//! QEMU appends to `console.log`. When that has grown past [`TURN_OVER_BYTES`] its content becomes `console.log.1`
//! and the file begins anew; what the guest writes in that very moment may be lost. While no agent runs, the limit
//! on QEMU's files holds ([`FILE_SIZE_LIMIT_BYTES`](crate::qemu::machine::FILE_SIZE_LIMIT_BYTES)).

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// From this size on the log is turned over, in bytes.
const TURN_OVER_BYTES: u64 = 1 << 20;
/// A log that QEMU or blkd wrote about itself is cut beyond this size, in bytes.
const DAEMON_LOG_BYTES: u64 = 1 << 20;

/// Turns the log over when it is due.
///
/// # Errors
/// The file system's own.
pub fn turn_over(log: &Path) -> io::Result<()> {
    if !larger_than(log, TURN_OVER_BYTES) {
        return Ok(());
    }
    let fresh = log.with_extension("log.new");
    std::fs::copy(log, &fresh)?;
    std::fs::rename(&fresh, previous(log))?;
    // QEMU writes with O_APPEND: it goes on at the new end.
    OpenOptions::new().write(true).open(log)?.set_len(0)
}

/// Empties a daemon's own log when it has grown too long.
///
/// # Errors
/// The file system's own.
pub fn cut_daemon_log(log: &Path) -> io::Result<()> {
    if larger_than(log, DAEMON_LOG_BYTES) {
        File::options().write(true).open(log)?.set_len(0)
    } else {
        Ok(())
    }
}

/// The last `lines` of the log, or all that is kept.
///
/// # Errors
/// The file system's own; a log that was never written is empty.
pub fn last_lines(log: &Path, lines: Option<usize>) -> io::Result<Vec<u8>> {
    let mut content = read(&previous(log))?;
    content.extend(read(log)?);
    let Some(lines) = lines else { return Ok(content) };
    if lines == 0 {
        return Ok(Vec::new());
    }
    let body = content.strip_suffix(b"\n").unwrap_or(&content);
    let start = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').nth(lines - 1);
    Ok(content.split_off(start.map_or(0, |(index, _)| index + 1)))
}

fn previous(log: &Path) -> PathBuf {
    log.with_extension("log.1")
}

fn larger_than(log: &Path, bytes: u64) -> bool {
    log.metadata().is_ok_and(|metadata| metadata.len() > bytes)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{TURN_OVER_BYTES, last_lines, turn_over};
    use std::io::Write;

    #[test]
    fn the_log_is_bounded_and_its_end_is_readable() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("console.log");
        assert!(last_lines(&log, Some(3)).unwrap().is_empty());
        let mut writer = std::fs::OpenOptions::new().append(true).create(true).open(&log).unwrap();
        let mut written = 0u64;
        for index in 0..400_000 {
            let line = format!("line {index}\n");
            writer.write_all(line.as_bytes()).unwrap();
            written += line.len() as u64;
            if index % 1000 == 0 {
                turn_over(&log).unwrap();
            }
        }
        assert!(written > 3 * TURN_OVER_BYTES);
        let kept: u64 =
            std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(kept < 3 * TURN_OVER_BYTES, "{kept}");
        assert_eq!(last_lines(&log, Some(2)).unwrap(), b"line 399998\nline 399999\n");
        writer.write_all(b"login: ").unwrap();
        assert_eq!(last_lines(&log, Some(2)).unwrap(), b"line 399999\nlogin: ");
        assert_eq!(last_lines(&log, Some(0)).unwrap(), b"");
        let all = last_lines(&log, None).unwrap();
        assert!(all.len() as u64 > TURN_OVER_BYTES && all.ends_with(b"login: "));
        let many = last_lines(&log, Some(100_000)).unwrap();
        assert_eq!(many.iter().filter(|b| **b == b'\n').count(), 99_999);
    }
}
