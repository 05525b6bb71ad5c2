//! Any sequence of requests, beside a disk that is a byte vector.

use proptest::prelude::{Just, ProptestConfig, Strategy, prop, prop_oneof, proptest};
use updraft_blk::frontend::Ask;

use super::{Bench, Running, SECTOR, numbered};
use crate::format::CHUNK_BYTES;
use crate::{create_volume, verify};

const BASE_CHUNKS: u64 = 5;
const DISK_SECTORS: u64 = 7 * CHUNK_BYTES / 512 + 11;

#[derive(Clone, Debug)]
enum Step {
    Write { sector: u64, sectors: u64 },
    Discard { sector: u64, sectors: u64 },
    Zero { sector: u64, sectors: u64 },
    Flush,
    Reopen,
}

/// A range of the disk: often small, often about a chunk's boundary.
fn range() -> impl Strategy<Value = (u64, u64)> {
    let start = prop_oneof![0..DISK_SECTORS, (0..7_u64, 0..6_u64).prop_map(|(chunk, odd)| chunk * 128 + odd)];
    let len = prop_oneof![1..9_u64, 100..300_u64, Just(128_u64)];
    (start, len)
        .prop_map(|(start, len)| (start.min(DISK_SECTORS - 1), len))
        .prop_map(|(start, len)| (start, len.min(DISK_SECTORS - start)))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => range().prop_map(|(sector, sectors)| Step::Write { sector, sectors }),
        2 => range().prop_map(|(sector, sectors)| Step::Discard { sector, sectors }),
        2 => range().prop_map(|(sector, sectors)| Step::Zero { sector, sectors }),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_volume_is_a_disk(steps in prop::collection::vec(step(), 1..25)) {
        let bench = Bench::new(BASE_CHUNKS, 3);
        let path = bench.path("volume");
        create_volume(&path, Some(&bench.base), DISK_SECTORS * 512).unwrap();
        let mut model = bench.content.clone();
        model.resize(DISK_SECTORS as usize * SECTOR, 0);
        let mut running = Running::open(&path);
        for (number, step) in steps.iter().enumerate() {
            match *step {
                Step::Write { sector, sectors } => {
                    let bytes = numbered(sectors as usize * SECTOR, number as u32 + 2);
                    running.guest.write(sector, &bytes).unwrap();
                    model[sector as usize * SECTOR..][..bytes.len()].copy_from_slice(&bytes);
                }
                Step::Zero { sector, sectors } => {
                    running.guest.run(Ask::WriteZeroes { sector, sectors: sectors as u32 }).unwrap();
                    model[sector as usize * SECTOR..][..sectors as usize * SECTOR].fill(0);
                }
                Step::Discard { sector, sectors } => {
                    running.guest.run(Ask::Discard { sector, sectors: sectors as u32 }).unwrap();
                    // Each sector reads as before or as zeroes, and stays that way.
                    for at in sector..sector + sectors {
                        let now = running.guest.read(at, SECTOR).unwrap();
                        let before = &mut model[at as usize * SECTOR..][..SECTOR];
                        assert!(now == before || now.iter().all(|&byte| byte == 0), "sector {at}");
                        before.copy_from_slice(&now);
                    }
                }
                Step::Flush => {
                    running.guest.run(Ask::Flush).unwrap();
                }
                Step::Reopen => {
                    drop(running);
                    running = Running::open(&path);
                }
            }
        }
        assert_eq!(running.all(), model);
        drop(running);
        assert_eq!(verify(&path).unwrap(), []);
    }
}
