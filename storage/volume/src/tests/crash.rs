//! A power cut: what was flushed is there, and every sector is what some write or the image made it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::{ProptestConfig, any, prop, proptest};
use updraft_blk::frontend::Ask;

use super::{Bench, Running, SECTOR, numbered, other_boot};
use crate::format::CHUNK_BYTES;
use crate::{Volume, create_volume};

const CHUNKS: u64 = 6;
const SECTORS: u64 = CHUNKS * CHUNK_BYTES / 512;

/// Makes the file what a power cut may have left: of each sector that was written since the last flush either
/// reached the disk or not, in any combination.
fn cut_power(path: &Path, flushed: &[u8], seed: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut now = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut now, 0).unwrap();
    let mut random = seed | 1;
    for (at, (new, old)) in now.chunks(SECTOR).zip(flushed.chunks(SECTOR)).enumerate() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if new != old && random & 1 == 0 {
            file.write_all_at(old, (at * SECTOR) as u64).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_power_cut_takes_only_what_was_not_flushed(
        flushed_writes in prop::collection::vec((0..SECTORS - 8, 1..8_u64), 0..8),
        lost_writes in prop::collection::vec((0..SECTORS - 8, 1..8_u64), 1..8),
        discards in prop::collection::vec(0..CHUNKS, 0..2),
        seed in any::<u64>(),
    ) {
        let bench = Bench::new(CHUNKS, 0);
        let path = bench.path("volume");
        create_volume(&path, Some(&bench.base), CHUNKS * CHUNK_BYTES).unwrap();
        let mut durable = bench.content.clone();
        let mut running = Running::open(&path);
        for (number, &(sector, sectors)) in flushed_writes.iter().enumerate() {
            let bytes = numbered(sectors as usize * SECTOR, number as u32 + 2);
            running.guest.write(sector, &bytes).unwrap();
            durable[sector as usize * SECTOR..][..bytes.len()].copy_from_slice(&bytes);
        }
        running.guest.run(Ask::Flush).unwrap();
        let image = std::fs::read(&path).unwrap();

        // What each sector may be: its flushed content, or that of any later write.
        let mut may_be: Vec<Vec<Vec<u8>>> = durable.chunks(SECTOR).map(|sector| vec![sector.to_vec()]).collect();
        for (number, &(sector, sectors)) in lost_writes.iter().enumerate() {
            let bytes = numbered(sectors as usize * SECTOR, number as u32 + 100);
            running.guest.write(sector, &bytes).unwrap();
            for (at, new) in bytes.chunks(SECTOR).enumerate() {
                may_be[sector as usize + at].push(new.to_vec());
            }
        }
        for &chunk in &discards {
            running.guest.run(Ask::Discard { sector: chunk * 128, sectors: 128 }).unwrap();
            (0..128).for_each(|at| may_be[chunk as usize * 128 + at].push(vec![0; SECTOR]));
        }
        drop(running);
        cut_power(&path, &image, seed);

        let after = Volume::open_in(&path, false, other_boot(), Duration::from_secs(10)).unwrap();
        let mut running = Running::new(after);
        for (at, found) in running.all().chunks(SECTOR).enumerate() {
            assert!(may_be[at].iter().any(|one| one == found), "sector {at} is something that was never written");
        }
        // And the volume goes on as a disk does.
        running.guest.write(3, &numbered(SECTOR, 999)).unwrap();
        assert_eq!(running.guest.read(3, SECTOR).unwrap(), numbered(SECTOR, 999));
    }
}

#[test]
fn without_a_flush_a_power_cut_may_take_everything_but_leaves_the_image() {
    let bench = Bench::new(2, 0);
    let path = bench.path("volume");
    create_volume(&path, Some(&bench.base), 2 * CHUNK_BYTES).unwrap();
    let mut running = Running::open(&path);
    running.guest.write(0, &numbered(SECTOR, 5)).unwrap();
    drop(running);
    // Data and live map reached the disk, the durable map did not: that is what the epoch is for.
    let after = Volume::open_in(&path, false, other_boot(), Duration::from_secs(10)).unwrap();
    assert_eq!(Running::new(after).all(), bench.content);
}
