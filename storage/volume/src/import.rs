//! From an image file to a sealed base layer, once; every clone shares it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use updraft_base::size::{MIB, SECTOR};
use uuid::Uuid;

use crate::error::VolumeError;
use crate::format::{Header, MAX_SIZE_BYTES, is_valid_size};
use crate::inspect::{Format, inspect, qcow2_header};
use crate::layer::Layer;
use crate::manage::{VolumeInfo, info};
use crate::qcow2::{Reader, Sink};

/// Bytes read at once from a raw image.
const PIECE_BYTES: usize = MIB as usize;
/// Runs of zeroes of at least this many bytes, on such a boundary, stay holes.
const HOLE_BYTES: usize = 4096;

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Of the disk, not of the file.
    pub done_bytes: u64,
    pub total_bytes: u64,
}

/// Makes the image at `source` a base layer at `destination`, sparse, with `progress` called along the way. The image
/// must be what it was `declared` as. Until this returns there is nothing at `destination`.
///
/// # Errors
/// The image is refused or damaged, `destination` exists, no space.
pub fn import_image(
    source: &Path,
    declared: Format,
    destination: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<VolumeInfo, VolumeError> {
    let mut image = File::open(source).map_err(VolumeError::io("cannot open", source))?;
    let found = inspect(&mut image)?;
    if found.format != declared {
        return Err(VolumeError::Mismatch { declared, found: found.format });
    }
    if !found.format.is_importable() {
        return Err(VolumeError::NotImportable { format: found.format });
    }
    let size_bytes = found.virtual_size_bytes.next_multiple_of(SECTOR);
    if !is_valid_size(size_bytes) {
        return Err(VolumeError::BadSize { size_bytes, limit_bytes: MAX_SIZE_BYTES });
    }
    let header = Header { id: Uuid::new_v4(), size_bytes, sealed: true, parent: None };
    let mut report = |done_bytes| progress(Progress { done_bytes, total_bytes: size_bytes });
    Layer::create(destination, &header, |layer| {
        let mut store = |offset: u64, bytes: &[u8]| {
            let stored = write_sparse(layer, header.data_offset() + offset, bytes);
            stored.map_err(VolumeError::io("cannot write", destination))
        };
        match found.format {
            Format::Qcow2 => {
                let file_bytes = image.metadata().map_err(VolumeError::io("cannot examine", source))?.len();
                let header = qcow2_header(&mut image)?;
                Reader::new(&image, file_bytes, header).read(&mut store, &mut report)
            }
            _ => copy_raw(&image, source, found.virtual_size_bytes, &mut store, &mut report),
        }
    })?;
    info(destination)
}

fn copy_raw(
    image: &File,
    source: &Path,
    total_bytes: u64,
    store: Sink<'_, VolumeError>,
    report: &mut dyn FnMut(u64),
) -> Result<(), VolumeError> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut done = 0;
    while done < total_bytes {
        let len = (total_bytes - done).min(PIECE_BYTES as u64) as usize;
        image.read_exact_at(&mut piece[..len], done).map_err(VolumeError::io("cannot read", source))?;
        store(done, &piece[..len])?;
        done += len as u64;
        report(done);
    }
    Ok(())
}

/// Writes what is not zero; the rest of a fresh file is a hole already.
fn write_sparse(file: &File, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
    let is_zero = |block: &&[u8]| block.iter().all(|&byte| byte == 0);
    let mut at = 0;
    for run in bytes.chunks(HOLE_BYTES).collect::<Vec<_>>().chunk_by(|a, b| is_zero(a) == is_zero(b)) {
        let len = run.iter().map(|block| block.len()).sum::<usize>();
        if !run.first().is_some_and(is_zero) {
            file.write_all_at(&bytes[at..at + len], offset + at as u64)?;
        }
        at += len;
    }
    Ok(())
}
