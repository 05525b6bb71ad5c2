//! The block benches: one guestless frontend drives ours and the peer; the limit is a bare ring on the same file.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use updraft_blk::frontend::{Ask, GuestConfig, GuestDisk};
use updraft_blk::request::Status;
use updraft_uring::bare;
use updraft_volume::{Format, create_volume, import_image};

use crate::backend::{Backend, Content, NULL_BYTES};
use crate::measure::{Failure, Run, SystemCalls, cpu_time, own_cpu_time};
use crate::report::{Figure, Participant, Report};
use crate::target::Target;

const BLOCK: usize = 4096;
/// Small enough for the page cache of any machine, large against the caches of a core.
const FILE_BYTES: u64 = 256 << 20;
/// Of one run of one participant; the first is thrown away.
const RUN: Duration = Duration::from_millis(1500);
const WARM_UP: Duration = Duration::from_millis(300);
const ROUNDS: usize = 5;
/// A backend that answers nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests made while strace counts.
const TRACED: u64 = 5_000;

pub fn page_cache_qd32(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    page_cache(name, target, 32, Figure::Rate)
}

pub fn page_cache_qd1(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    page_cache(name, target, 1, Figure::Latency)
}

/// Random reads of a file in the page cache.
fn page_cache(
    name: &'static str,
    target: Target,
    depth: u32,
    figure: Figure,
) -> Result<Report<'static>, Failure> {
    let files = Files::new()?;
    let ours = Backend::ours(Content::Raw(&files.image), &files.socket("ours"))?;
    let peer = Backend::storage_daemon(Content::Raw(&files.image), &files.socket("peer"))?;
    let mut ours = Driven::new("ours", ours, depth, true)?;
    let mut peer = Driven::new("qemu-storage-daemon", peer, depth, true)?;
    let file = File::open(&files.image)?;
    let mut limit = Participant::new("io_uring file");
    let mut blocks = Blocks::new(FILE_BYTES);
    for _ in 0..ROUNDS {
        ours.run(&mut blocks)?;
        peer.run(&mut blocks)?;
        limit.runs.push(bare_ring(&file, depth, &mut blocks)?);
    }
    let work = format!(
        "{BLOCK}-byte random reads of a file of {FILE_BYTES} bytes in the page cache, {depth} under way."
    );
    let (ours, peer) = (ours.finish(&mut blocks)?, peer.finish(&mut blocks)?);
    Ok(Report { name, work, figure, ours, peer, second_peer: None, limit: Some(limit), target })
}

/// Requests that do nothing: what the queue itself costs.
pub fn null(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    let files = Files::empty()?;
    let ours = Backend::ours(Content::Null, &files.socket("ours"))?;
    let peer = Backend::storage_daemon(Content::Null, &files.socket("peer"))?;
    let mut ours = Driven::new("ours", ours, 32, false)?;
    let mut peer = Driven::new("qemu-storage-daemon", peer, 32, false)?;
    let mut blocks = Blocks::new(NULL_BYTES);
    for _ in 0..ROUNDS {
        ours.run(&mut blocks)?;
        peer.run(&mut blocks)?;
    }
    let work = format!("{BLOCK}-byte random reads of a device that does nothing, 32 under way.");
    let (ours, peer) = (ours.finish(&mut blocks)?, peer.finish(&mut blocks)?);
    Ok(Report { name, work, figure: Figure::Rate, ours, peer, second_peer: None, limit: None, target })
}

/// A cloned volume beside the plain file that it is a clone of: what the layers cost.
pub fn mapped(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    let files = Files::new()?;
    let (base, volume) = (files.path("base"), files.path("volume"));
    import_image(&files.image, Format::Raw, &base, &mut |_| ()).map_err(std::io::Error::other)?;
    create_volume(&volume, Some(&base), FILE_BYTES).map_err(std::io::Error::other)?;
    let ours = Backend::ours(Content::Volume(&volume), &files.socket("ours"))?;
    let peer = Backend::ours(Content::Raw(&files.image), &files.socket("peer"))?;
    let mut ours = Driven::new("ours", ours, 32, true)?;
    let mut peer = Driven::new("ours on the raw file", peer, 32, true)?;
    // Every second chunk is written once, so that reads meet both layers.
    for block in (0..FILE_BYTES / BLOCK as u64).step_by(32) {
        ours.guest.write(block * (BLOCK / 512) as u64, &block_content(block))?;
    }
    let mut blocks = Blocks::new(FILE_BYTES);
    for _ in 0..ROUNDS {
        ours.run(&mut blocks)?;
        peer.run(&mut blocks)?;
    }
    let work =
        format!("{BLOCK}-byte random reads, 32 under way, of a clone with every second chunk written once.");
    let (ours, peer) = (ours.finish(&mut blocks)?, peer.finish(&mut blocks)?);
    Ok(Report { name, work, figure: Figure::Rate, ours, peer, second_peer: None, limit: None, target })
}

/// The files of a bench, gone with it.
struct Files {
    directory: tempfile::TempDir,
    image: PathBuf,
}

impl Files {
    fn empty() -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let image = directory.path().join("image");
        Ok(Self { directory, image })
    }

    /// With a file whose every block tells its number. Writing it leaves it in the page cache.
    fn new() -> Result<Self, Failure> {
        let files = Self::empty()?;
        let mut file = File::create(&files.image)?;
        for block in 0..FILE_BYTES / BLOCK as u64 {
            file.write_all(&block_content(block))?;
        }
        file.sync_all()?;
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.path(name).with_extension("sock")
    }
}

fn block_content(block: u64) -> [u8; BLOCK] {
    let mut content = [0xa5; BLOCK];
    content[..8].copy_from_slice(&block.to_le_bytes());
    content
}

/// Random block numbers, the same for every participant's kind of work (xorshift).
struct Blocks {
    state: u64,
    count: u64,
}

impl Blocks {
    fn new(bytes: u64) -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, count: bytes / BLOCK as u64 }
    }

    #[inline]
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % self.count
    }
}

/// A backend with the frontend that drives it.
struct Driven {
    backend: Backend,
    guest: GuestDisk,
    participant: Participant,
    depth: u32,
    /// The blocks tell their numbers.
    check: bool,
    /// By slot: block number and beginning.
    under_way: Vec<(u64, Instant)>,
}

impl Driven {
    fn new(name: &str, backend: Backend, depth: u32, check: bool) -> Result<Self, Failure> {
        let config = GuestConfig {
            queues: 1,
            queue_size: 256,
            depth: depth as usize,
            buffer_bytes: BLOCK,
            event_idx: true,
        };
        let mut guest = GuestDisk::connect(&backend.socket, config)?;
        guest.queues[0].driver.disable_calls();
        let under_way = vec![(0, Instant::now()); depth as usize];
        let participant = Participant::new(name);
        Ok(Self { backend, guest, participant, depth, check, under_way })
    }

    /// One run, after a short one that is not counted.
    fn run(&mut self, blocks: &mut Blocks) -> Result<(), Failure> {
        self.drive(blocks, Some(WARM_UP), u64::MAX)?;
        let before = cpu_time(self.backend.pid())?;
        let (count, elapsed, mut latencies) = self.drive(blocks, Some(RUN), u64::MAX)?;
        let cpu = cpu_time(self.backend.pid())? - before;
        self.participant.runs.push(Run::new(count, elapsed, &mut latencies, cpu));
        Ok(())
    }

    /// Counts system calls in a run of its own: strace slows everything.
    fn finish(mut self, blocks: &mut Blocks) -> Result<Participant, Failure> {
        if let Some(calls) = SystemCalls::attach(self.backend.pid()) {
            self.drive(blocks, None, TRACED)?;
            self.participant.system_calls = calls.count().map(|calls| calls as f64 / TRACED as f64);
        }
        Ok(self.participant)
    }

    /// Keeps `depth` reads under way, looking for answers without sleeping, for so long or so many.
    fn drive(
        &mut self,
        blocks: &mut Blocks,
        duration: Option<Duration>,
        most: u64,
    ) -> Result<(u64, Duration, Vec<u32>), Failure> {
        let queue = &mut self.guest.queues[0];
        let (mut asked, mut count, mut latencies) = (0, 0, Vec::new());
        let begin = Instant::now();
        let (mut now, mut answered) = (begin, begin);
        loop {
            let more = duration.is_none_or(|duration| now - begin < duration) && asked < most;
            let mut added = false;
            while more && queue.in_flight() < self.depth as usize {
                let block = blocks.next();
                let ask = Ask::Read { sector: block * (BLOCK / 512) as u64, len: BLOCK as u32 };
                let slot = queue.submit(ask).ok_or_else(|| Failure::new("the ring is full"))?;
                self.under_way[slot] = (block, now);
                asked += 1;
                added = true;
            }
            if added {
                queue.kick();
            } else if queue.in_flight() == 0 {
                return Ok((count, begin.elapsed(), latencies));
            }
            if now - answered > PATIENCE {
                return Err(Failure::new(format!("{} does not answer", self.participant.name)));
            }
            while let Some((slot, status)) = queue.poll() {
                answered = now;
                let (block, begun) = self.under_way[slot];
                let right = !self.check || queue.data(slot, 8) == block.to_le_bytes();
                if status != Status::OK || !right {
                    return Err(Failure::new(format!("void: block {block} came back wrong ({status:?})")));
                }
                latencies.push(begun.elapsed().as_nanos().min(u128::from(u32::MAX)) as u32);
                count += 1;
            }
            now = Instant::now();
        }
    }
}

fn bare_ring(file: &File, depth: u32, blocks: &mut Blocks) -> Result<Run, Failure> {
    let before = own_cpu_time()?;
    let right = |offset: u64, bytes: &[u8]| bytes[..8] == (offset / BLOCK as u64).to_le_bytes();
    let mut reads = bare::random_reads(file, depth, BLOCK, RUN, || blocks.next() * BLOCK as u64, right)?;
    let cpu = own_cpu_time()? - before;
    Ok(Run::new(reads.count, reads.elapsed, &mut reads.latencies_ns, cpu))
}
