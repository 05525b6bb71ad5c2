//! What the agent does with volumes: make, look at, delete.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use crate::error::VolumeError;
use crate::format::{CHUNK_BYTES, Header, MAX_SIZE_BYTES, Parent, is_valid_size};
use crate::layer::{Access, Layer, bad, current_boot, sync_directory};

/// `st_blocks` counts in this unit, whatever the file system (stat(2)).
const STAT_BLOCK_BYTES: u64 = 512;

/// How long to wait for a daemon that is just ending.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// What is known about a volume without opening it for use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeInfo {
    pub id: Uuid,
    /// The disk that a guest sees.
    pub size_bytes: u64,
    /// What this layer alone takes on the file system.
    pub allocated_bytes: u64,
    /// Bytes of the disk, in whole chunks, that this layer owns.
    pub owned_bytes: u64,
    pub parent: Option<PathBuf>,
    /// An image: only built upon.
    pub sealed: bool,
}

/// Makes a thin volume of `size_bytes`: empty, or a clone of `parent` that shares all of its data until it is
/// written. Takes the same time for any size. The parent must not change or move from now on.
///
/// # Errors
/// `path` exists, the parent is no volume, the size is smaller than the parent's or no multiple of 512, no space.
pub fn create_volume(path: &Path, parent: Option<&Path>, size_bytes: u64) -> Result<VolumeInfo, VolumeError> {
    if !is_valid_size(size_bytes) {
        return Err(VolumeError::BadSize { size_bytes, limit_bytes: MAX_SIZE_BYTES });
    }
    let parent = parent.map(|parent| open_parent(parent, size_bytes)).transpose()?;
    let header = Header { id: Uuid::new_v4(), size_bytes, sealed: false, parent };
    Layer::create(path, &header, |_| Ok(()))?;
    info(path)
}

fn open_parent(path: &Path, size_bytes: u64) -> Result<Parent, VolumeError> {
    let path = fs::canonicalize(path).map_err(VolumeError::io("cannot find", path))?;
    let layer = Layer::open(&path, Access::Shared, LOCK_WAIT)?;
    if layer.header.size_bytes > size_bytes {
        return Err(VolumeError::TooSmall { disk_bytes: size_bytes, image_bytes: layer.header.size_bytes });
    }
    Ok(Parent { id: layer.header.id, path })
}

/// # Errors
/// The file is missing or no volume.
pub fn info(path: &Path) -> Result<VolumeInfo, VolumeError> {
    let layer = Layer::open_unlocked(path)?;
    let metadata = layer.file.metadata().map_err(VolumeError::io("cannot examine", path))?;
    let owned_chunks = match &layer.header.parent {
        None => layer.header.chunks(),
        Some(_) => {
            layer.current_map(current_boot()?)?.iter().map(|word| u64::from(word.count_ones())).sum::<u64>()
        }
    };
    Ok(VolumeInfo {
        id: layer.header.id,
        size_bytes: layer.header.size_bytes,
        allocated_bytes: metadata.blocks() * STAT_BLOCK_BYTES,
        owned_bytes: owned_chunks * CHUNK_BYTES,
        parent: layer.header.parent.map(|parent| parent.path),
        sealed: layer.header.sealed,
    })
}

/// Deletes a volume, or a base layer that nothing is built upon any more (which the caller knows). A volume that is
/// gone already is no error.
///
/// # Errors
/// The volume is in use, or the file is no volume of ours.
pub fn delete(path: &Path) -> Result<(), VolumeError> {
    let _locked = match Layer::open(path, Access::Exclusive, LOCK_WAIT) {
        Ok(layer) => layer,
        Err(VolumeError::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    fs::remove_file(path).map_err(VolumeError::io("cannot delete", path))?;
    sync_directory(path)
}

/// Something that an offline check found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// After a flush this would have been data; after a power cut it would be the parent's.
    #[error("chunk {chunk} is durable but not live")]
    DurableNotLive { chunk: u64 },
    #[error("chunk {chunk} is owned but lies beyond the end of the disk")]
    BeyondEnd { chunk: u64 },
    #[error("the disk of {size_bytes} bytes is smaller than its parent's {parent_bytes}")]
    SmallerThanParent { size_bytes: u64, parent_bytes: u64 },
    #[error("the file has {has_bytes} bytes instead of {wants_bytes}")]
    Length { has_bytes: u64, wants_bytes: u64 },
}

/// Checks a volume that nobody uses, with all layers below: headers, lengths, identities, maps. Reads no data.
///
/// # Errors
/// The check cannot be made: a layer is missing, has no usable header, or is in use.
pub fn verify(path: &Path) -> Result<Vec<Problem>, VolumeError> {
    let boot = current_boot()?;
    let mut problems = Vec::new();
    let mut layer = Layer::open(path, Access::Exclusive, LOCK_WAIT)?;
    loop {
        let header = &layer.header;
        let has_bytes = layer.file.metadata().map_err(VolumeError::io("cannot examine", &layer.path))?.len();
        if has_bytes != header.file_bytes() {
            problems.push(Problem::Length { has_bytes, wants_bytes: header.file_bytes() });
        }
        let Some(parent) = header.parent.clone() else { return Ok(problems) };
        let durable = layer.read_map(header.durable_map_offset())?;
        let live = layer.current_map(boot)?;
        check_maps(&live, &durable, header.chunks(), &mut problems);
        let below = Layer::open(&parent.path, Access::Shared, LOCK_WAIT)?;
        if below.header.id != parent.id {
            return Err(VolumeError::WrongParent { path: parent.path });
        }
        if below.header.size_bytes > header.size_bytes {
            let (size_bytes, parent_bytes) = (header.size_bytes, below.header.size_bytes);
            problems.push(Problem::SmallerThanParent { size_bytes, parent_bytes });
        }
        if std::mem::replace(&mut layer, below).header.id == layer.header.id {
            return Err(bad(path, "it is its own parent"));
        }
    }
}

fn check_maps(live: &[u64], durable: &[u64], chunks: u64, problems: &mut Vec<Problem>) {
    for (word, (live, durable)) in live.iter().zip(durable).enumerate() {
        for bit in 0..64 {
            let chunk = word as u64 * 64 + bit;
            let (is_live, is_durable) = (live >> bit & 1 == 1, durable >> bit & 1 == 1);
            if is_durable && !is_live {
                problems.push(Problem::DurableNotLive { chunk });
            }
            if chunk >= chunks && (is_live || is_durable) {
                problems.push(Problem::BeyondEnd { chunk });
            }
        }
    }
}
