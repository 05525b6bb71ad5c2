//! A chain of layers as one disk: who owns which chunk, and copy on first write. See [`crate::format`].

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{FallocateFlags, fallocate};
use updraft_blk::device::{BlockDevice, Channel, DeviceError, Geometry};

use crate::channel::VolumeChannel;
use crate::error::VolumeError;
use crate::format::{BootId, CHUNK_BYTES, EPOCH_OFFSET};
use crate::layer::{Access, Layer, current_boot, default_lock_wait};

/// The longest chain. A longer one is refused.
pub const MAX_LAYERS: usize = 16;

/// A volume that is open. Shared by the channels of its queues.
#[derive(Debug)]
pub struct Volume {
    /// The top layer first.
    layers: Vec<Layer>,
    /// By chunk: does the top layer own it?
    owned: Box<[AtomicU64]>,
    /// By chunk: which layer below owns it. Empty when there is only one.
    owner_below: Vec<u8>,
    read_only: bool,
    /// A flush failed: nothing is written any more.
    lost_writes: AtomicBool,
    copying: Mutex<Copying>,
}

/// What only the slow path needs, which one thread walks at a time.
#[derive(Debug)]
struct Copying {
    /// The durable map as last written.
    durable: Vec<u64>,
    /// Words of the live map that the durable one lacks bits of.
    unsettled: BTreeSet<usize>,
    scratch: Vec<u8>,
}

/// Bits of the live map that a flush is about to make durable: word index and word.
pub(crate) type NewBits = Vec<(usize, u64)>;

impl Volume {
    /// Opens the volume whose top layer is at `path`. Waits for a predecessor that was killed.
    ///
    /// # Errors
    /// A layer is missing, damaged or served by another process.
    pub fn open(path: &Path, read_only: bool) -> Result<Arc<Self>, VolumeError> {
        Self::open_in(path, read_only, current_boot()?, default_lock_wait())
    }

    pub(crate) fn open_in(
        path: &Path,
        read_only: bool,
        boot: BootId,
        lock_wait: Duration,
    ) -> Result<Arc<Self>, VolumeError> {
        let layers = open_chain(path, read_only, lock_wait)?;
        let top = &layers[0];
        if top.header.sealed && !read_only {
            return Err(VolumeError::Sealed { path: path.to_path_buf() });
        }
        let durable = top.read_map(top.header.durable_map_offset())?;
        let mut live = top.current_map(boot)?;
        if !read_only && top.header.parent.is_some() {
            begin_epoch(top, &live, boot)?;
        }
        let unsettled = (0..live.len()).filter(|&word| live[word] != durable[word]).collect();
        own_beyond_parent(&mut live, &layers);
        let owner_below = owners_below(&layers, boot)?;
        let copying = Copying { durable, unsettled, scratch: vec![0; CHUNK_BYTES as usize] };
        Ok(Arc::new(Self {
            owned: live.into_iter().map(AtomicU64::new).collect(),
            layers,
            owner_below,
            read_only,
            lost_writes: AtomicBool::new(false),
            copying: Mutex::new(copying),
        }))
    }

    pub fn size_bytes(&self) -> u64 {
        self.layers[0].header.size_bytes
    }

    pub(crate) fn files(&self) -> Vec<Arc<File>> {
        self.layers.iter().map(|layer| Arc::clone(&layer.file)).collect()
    }

    /// Where the disk begins in the file of layer `index`.
    #[inline]
    pub(crate) fn data_offset(&self, index: usize) -> u64 {
        self.layers[index].header.data_offset()
    }

    /// The layer that a chunk is read from.
    #[inline]
    pub(crate) fn owner(&self, chunk: u64) -> usize {
        if self.layers.len() == 1 || self.is_owned(chunk) {
            return 0;
        }
        self.owner_below.get(chunk as usize).map_or(1, |&owner| usize::from(owner))
    }

    #[inline]
    fn is_owned(&self, chunk: u64) -> bool {
        let word = self.owned.get((chunk / 64) as usize);
        word.is_none_or(|word| word.load(Ordering::Acquire) & 1 << (chunk % 64) != 0)
    }

    /// # Errors
    /// A flush has failed before.
    pub(crate) fn check_writable(&self) -> Result<(), DeviceError> {
        if self.lost_writes.load(Ordering::Relaxed) { Err(DeviceError::LostWrites) } else { Ok(()) }
    }

    /// The kernel has marked lost pages as clean, so asking again would get a false yes: never write again.
    pub(crate) fn latch_lost_writes(&self) {
        self.lost_writes.store(true, Ordering::Relaxed);
    }

    /// Makes the top layer own every chunk in `chunks`, with the content that they have.
    ///
    /// # Errors
    /// No space, or a failing disk; chunks before the failing one are owned.
    #[inline]
    pub(crate) fn own(&self, chunks: Range<u64>) -> Result<(), VolumeError> {
        for chunk in chunks {
            if !self.is_owned(chunk) && self.layers.len() > 1 {
                self.copy_up(chunk)?;
            }
        }
        Ok(())
    }

    #[cold]
    fn copy_up(&self, chunk: u64) -> Result<(), VolumeError> {
        let mut copying = self.lock();
        if self.is_owned(chunk) {
            return Ok(());
        }
        let below = &self.layers[self.owner(chunk)];
        let from = below.header.data_offset() + chunk * CHUNK_BYTES;
        let scratch = &mut copying.scratch;
        below.file.read_exact_at(scratch, from).map_err(VolumeError::io("cannot read", &below.path))?;
        let top = &self.layers[0];
        let to = self.data_offset(0) + chunk * CHUNK_BYTES;
        // A chunk that is not owned may still hold bytes of a write that a power cut undid.
        let placed = if scratch.iter().all(|&byte| byte == 0) {
            punch(&top.file, to, CHUNK_BYTES)
        } else {
            top.file.write_all_at(scratch, to)
        };
        if let Err(source) = placed {
            let _ = punch(&top.file, to, CHUNK_BYTES);
            return Err(VolumeError::io("cannot copy a chunk to", &top.path)(source));
        }
        self.set_owned(&mut copying, chunk..chunk + 1)
    }

    /// Makes the top layer own `chunks`, and reads them as zeroes where it did not own them before.
    ///
    /// # Errors
    /// As [`Volume::own`].
    pub(crate) fn own_as_zeroes(&self, chunks: Range<u64>) -> Result<(), VolumeError> {
        if self.layers.len() == 1 {
            return Ok(());
        }
        let mut copying = self.lock();
        let mut start = chunks.start;
        while start < chunks.end {
            let owned = self.is_owned(start);
            let end = (start..chunks.end).find(|&chunk| self.is_owned(chunk) != owned).unwrap_or(chunks.end);
            if !owned {
                let top = &self.layers[0];
                let at = self.data_offset(0) + start * CHUNK_BYTES;
                let punched = punch(&top.file, at, (end - start) * CHUNK_BYTES);
                punched.map_err(VolumeError::io("cannot make a hole in", &top.path))?;
                self.set_owned(&mut copying, start..end)?;
            }
            start = end;
        }
        Ok(())
    }

    /// Sets the bits in the live map, in the file first: an acknowledged write must find them after a kill.
    fn set_owned(&self, copying: &mut Copying, chunks: Range<u64>) -> Result<(), VolumeError> {
        let words = (chunks.start / 64) as usize..(chunks.end.div_ceil(64)) as usize;
        let bits = |word: usize| {
            let base = word as u64 * 64;
            let (from, to) = (chunks.start.max(base) - base, chunks.end.min(base + 64) - base);
            (u64::MAX >> (64 - (to - from))) << from
        };
        let new: Vec<u64> =
            words.clone().map(|word| self.owned[word].load(Ordering::Relaxed) | bits(word)).collect();
        let top = &self.layers[0];
        top.write_map(top.header.live_map_offset(), words.start, &new)?;
        for (word, value) in words.clone().zip(new) {
            self.owned[word].store(value, Ordering::Release);
        }
        copying.unsettled.extend(words);
        Ok(())
    }

    /// What a flush that begins now has to make durable in the map. Empty almost always.
    pub(crate) fn new_bits(&self) -> NewBits {
        let copying = self.lock();
        let word = |&word: &usize| (word, self.owned[word].load(Ordering::Relaxed));
        copying.unsettled.iter().map(word).collect()
    }

    /// Writes the bits to the durable map. The data of their chunks must be durable already.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn settle(&self, new: &NewBits) -> Result<(), VolumeError> {
        let mut copying = self.lock();
        let top = &self.layers[0];
        for run in new.chunk_by(|before, after| before.0 + 1 == after.0) {
            for &(word, bits) in run {
                copying.durable[word] |= bits;
            }
            let (first, count) = (run[0].0, run.len());
            top.write_map(top.header.durable_map_offset(), first, &copying.durable[first..first + count])?;
        }
        Ok(())
    }

    /// The durable map with these bits is durable: later flushes need not care about them.
    pub(crate) fn settled(&self, new: &NewBits) {
        let mut copying = self.lock();
        for &(word, _) in new {
            if copying.durable[word] == self.owned[word].load(Ordering::Relaxed) {
                copying.unsettled.remove(&word);
            }
        }
    }

    /// Makes everything written so far durable; the offline twin of a guest's flush.
    ///
    /// # Errors
    /// The disk's; after one nothing is written any more.
    pub fn sync(&self) -> Result<(), VolumeError> {
        let top = &self.layers[0];
        if self.read_only {
            return Ok(());
        }
        if self.lost_writes.load(Ordering::Relaxed) {
            return Err(VolumeError::LostWrites { path: top.path.clone() });
        }
        let datasync = || top.file.sync_data().map_err(VolumeError::io("cannot sync", &top.path));
        let new = self.new_bits();
        let synced = datasync().and_then(|()| {
            if new.is_empty() {
                return Ok(());
            }
            self.settle(&new)?;
            datasync()
        });
        match synced {
            Ok(()) => self.settled(&new),
            Err(_) => self.latch_lost_writes(),
        }
        synced
    }

    fn lock(&self) -> MutexGuard<'_, Copying> {
        // A panic in between leaves at worst a chunk that is copied again.
        self.copying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlockDevice for Volume {
    fn geometry(&self) -> Geometry {
        Geometry {
            size_bytes: self.size_bytes(),
            read_only: self.read_only,
            discard_granularity_bytes: CHUNK_BYTES as u32,
        }
    }

    fn open_channel(self: Arc<Self>) -> Result<Box<dyn Channel>, DeviceError> {
        Ok(Box::new(VolumeChannel::new(self)))
    }

    fn close(&self) -> Result<(), DeviceError> {
        self.sync().map_err(device_error("flush"))
    }
}

/// The error of a volume as the queue knows it.
pub(crate) fn device_error(action: &'static str) -> impl Fn(VolumeError) -> DeviceError {
    move |error| DeviceError::Io { action, source: std::io::Error::other(error) }
}

pub(crate) fn punch(file: &File, offset_bytes: u64, len_bytes: u64) -> std::io::Result<()> {
    Ok(fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset_bytes, len_bytes)?)
}

/// Opens the top layer and all below it; each must be the one that its child was made on.
fn open_chain(path: &Path, read_only: bool, lock_wait: Duration) -> Result<Vec<Layer>, VolumeError> {
    let access = if read_only { Access::Shared } else { Access::Exclusive };
    let mut layers = vec![Layer::open(path, access, lock_wait)?];
    while let Some(parent) = layers.last().and_then(|layer| layer.header.parent.clone()) {
        if layers.len() == MAX_LAYERS {
            return Err(VolumeError::TooDeep { limit: MAX_LAYERS });
        }
        let layer = Layer::open(&parent.path, Access::Shared, lock_wait)?;
        if layer.header.id != parent.id {
            return Err(VolumeError::WrongParent { path: parent.path });
        }
        layers.push(layer);
    }
    Ok(layers)
}

/// After a crash of the machine the live map starts again from the durable one.
fn begin_epoch(top: &Layer, live: &[u64], boot: BootId) -> Result<(), VolumeError> {
    if top.epoch()? == Some(boot) {
        return Ok(());
    }
    top.write_map(top.header.live_map_offset(), 0, live)?;
    let written = top.file.write_all_at(&boot.encode(), EPOCH_OFFSET);
    written.map_err(VolumeError::io("cannot write", &top.path))
}

/// A disk may be longer than its parent: there is nothing to be read from below there.
fn own_beyond_parent(map: &mut [u64], layers: &[Layer]) {
    let Some([top, parent]) = layers.get(..2) else { return };
    for chunk in parent.header.chunks()..top.header.chunks() {
        map[(chunk / 64) as usize] |= 1 << (chunk % 64);
    }
}

fn owners_below(layers: &[Layer], boot: BootId) -> Result<Vec<u8>, VolumeError> {
    if layers.len() < 3 {
        return Ok(Vec::new());
    }
    let last = layers.len() - 1;
    let mut owners = vec![last as u8; layers[0].header.chunks() as usize];
    // From the bottom up, so that the uppermost owner is written last.
    for index in (1..last).rev() {
        let mut map = layers[index].current_map(boot)?;
        own_beyond_parent(&mut map, &layers[index..]);
        for chunk in 0..layers[index].header.chunks().min(owners.len() as u64) {
            if map[(chunk / 64) as usize] & 1 << (chunk % 64) != 0 {
                owners[chunk as usize] = index as u8;
            }
        }
    }
    Ok(owners)
}
