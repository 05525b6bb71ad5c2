//! Which accelerator works here, found out by running guest instructions. That `/dev/kvm` exists, can be opened, and
//! even makes a machine proves nothing: nested hosts fail at the first register or the first entry.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::config::AcceleratorChoice;

/// How long a probe may take. It runs six instructions.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
/// The firmware of the probe, in bytes: QEMU maps it so that it ends at 4 GiB.
const FIRMWARE_BYTES: usize = 64 * 1024;
/// Where an x86 processor begins, 16 bytes before the firmware's end (Intel SDM volume 3, 10.1.4).
const RESET_VECTOR: usize = FIRMWARE_BYTES - 16;
/// `mov al, 0x15; out 0xf4, al; hlt; jmp -3`
const PROGRAM: [u8; 7] = [0xb0, 0x15, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd];
/// What QEMU's isa-debug-exit makes of the program's 0x15: `2 * value + 1`.
const PROGRAM_RAN: i32 = 0x15 * 2 + 1;

/// What guests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    Kvm,
    Tcg,
}

impl Accelerator {
    /// QEMU's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// The outcome of [`probe`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// `None` when no accelerator works: then no guest can run.
    pub accelerator: Option<Accelerator>,
    /// Why, in one plain sentence.
    pub reason: String,
    /// Such as `QEMU 7.2.22`; empty when QEMU cannot be run.
    pub version: String,
}

/// Finds the accelerator to use by running the same tiny guest on each candidate.
pub async fn probe(qemu: &Path, choice: AcceleratorChoice, scratch: &Path) -> Probed {
    let version = match version(qemu).await {
        Ok(version) => version,
        Err(reason) => return Probed { accelerator: None, reason, version: String::new() },
    };
    let firmware = match write_firmware(scratch) {
        Ok(firmware) => firmware,
        Err(error) => return Probed { accelerator: None, reason: format!("no probe: {error}"), version },
    };
    let candidates: &[Accelerator] = match choice {
        AcceleratorChoice::Auto => &[Accelerator::Kvm, Accelerator::Tcg],
        AcceleratorChoice::Kvm => &[Accelerator::Kvm],
        AcceleratorChoice::Tcg => &[Accelerator::Tcg],
    };
    let mut reasons = Vec::new();
    let mut accelerator = None;
    for &candidate in candidates {
        match run_program(qemu, candidate, &firmware).await {
            Ok(()) => {
                reasons.push(format!("a guest instruction ran on {}", candidate.name()));
                accelerator = Some(candidate);
                break;
            }
            Err(reason) => reasons.push(format!("{} does not work here: {reason}", candidate.name())),
        }
    }
    let _ = std::fs::remove_file(&firmware);
    Probed { accelerator, reason: reasons.join("; "), version }
}

async fn version(qemu: &Path) -> Result<String, String> {
    let output = Command::new(qemu).arg("--version").stdin(Stdio::null()).output().await;
    let output = output.map_err(|error| format!("{} cannot be run: {error}", qemu.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // "QEMU emulator version 7.2.22 (Debian …)"
    let number = text.split_whitespace().nth(3).filter(|_| output.status.success());
    number.map(|number| format!("QEMU {number}")).ok_or_else(|| format!("{} is not QEMU", qemu.display()))
}

fn write_firmware(scratch: &Path) -> std::io::Result<std::path::PathBuf> {
    let path = scratch.join("probe.bin");
    // hlt everywhere else: a processor that begins elsewhere stops there, and the probe fails.
    let mut firmware = vec![0xf4; FIRMWARE_BYTES];
    firmware[RESET_VECTOR..RESET_VECTOR + PROGRAM.len()].copy_from_slice(&PROGRAM);
    std::fs::File::create(&path)?.write_all(&firmware)?;
    Ok(path)
}

async fn run_program(qemu: &Path, accelerator: Accelerator, firmware: &Path) -> Result<(), String> {
    let mut command = Command::new(qemu);
    command
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-m", "16"])
        .args(["-machine", &format!("q35,accel={}", accelerator.name())])
        .args(["-cpu", if accelerator == Accelerator::Kvm { "host" } else { "qemu64" }])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-bios"])
        .arg(firmware)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command.spawn().map_err(|error| error.to_string())?;
    let output = tokio::time::timeout(PROBE_TIMEOUT, child.wait_with_output())
        .await
        .map_err(|_| format!("no instruction ran within {} s", PROBE_TIMEOUT.as_secs()))?
        .map_err(|error| error.to_string())?;
    if output.status.code() == Some(PROGRAM_RAN) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let name = qemu.file_name().unwrap_or_default().to_string_lossy();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix(&format!("{name}: ")).unwrap_or(line);
    Err(if line.is_empty() { output.status.to_string() } else { line.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::{Accelerator, probe};
    use crate::config::AcceleratorChoice;
    use std::path::Path;

    #[tokio::test]
    async fn tcg_runs_a_guest_instruction() {
        let dir = tempfile::tempdir().unwrap();
        let probed = probe(Path::new("qemu-system-x86_64"), AcceleratorChoice::Tcg, dir.path()).await;
        assert_eq!(probed.accelerator, Some(Accelerator::Tcg), "{}", probed.reason);
        assert!(probed.version.starts_with("QEMU "), "{}", probed.version);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn auto_always_finds_one_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let probed = probe(Path::new("qemu-system-x86_64"), AcceleratorChoice::Auto, dir.path()).await;
        assert!(probed.accelerator.is_some());
        assert!(probed.reason.contains("a guest instruction ran on"), "{}", probed.reason);
    }

    #[tokio::test]
    async fn a_missing_qemu_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let probed = probe(Path::new("/nowhere/qemu"), AcceleratorChoice::Auto, dir.path()).await;
        assert_eq!(probed.accelerator, None);
        assert!(probed.reason.starts_with("/nowhere/qemu cannot be run"), "{}", probed.reason);
    }
}
