use std::sync::Arc;

use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

use super::{QueueConfig, SplitQueue};
use crate::chain::Chain;
use crate::driver::{DriverQueue, GuestRam};
use crate::error::QueueError;
use crate::ring::{DESC_INDIRECT, DESC_NEXT, DESC_WRITE};

const SIZE: u16 = 8;

fn pair(event_idx: bool, base: u16) -> (DriverQueue, SplitQueue) {
    let ram = GuestRam::new(0x1000, 1 << 20).unwrap();
    let driver = DriverQueue::new(ram, SIZE, event_idx);
    let queue = device(&driver, event_idx, base);
    (driver, queue)
}

fn device(driver: &DriverQueue, event_idx: bool, base: u16) -> SplitQueue {
    let (descriptors, avail, used) = driver.addresses();
    let config =
        QueueConfig { size: driver.size(), descriptors, avail, used, base, event_idx, indirect: true };
    SplitQueue::new(driver.ram().map().unwrap(), &config).unwrap()
}

fn buffer(driver: &DriverQueue, bytes: &[u8]) -> (u64, u32) {
    let address = driver.ram().take(bytes.len(), 1);
    driver.ram().write(address, bytes);
    (address, bytes.len() as u32)
}

#[test]
fn a_request_goes_there_and_back() {
    let (mut driver, mut queue) = pair(true, 0);
    let (a, b) = (buffer(&driver, b"hello "), buffer(&driver, b"world"));
    let (c, d) = (buffer(&driver, &[0; 3]), buffer(&driver, &[0; 10]));
    let head = driver.add(&[a, b], &[c, d]).unwrap();
    assert!(driver.publish(), "a fresh device wants its first kick");
    let mut chain = Chain::new();
    assert!(queue.pop(&mut chain).unwrap());
    assert_eq!((chain.readable_len(), chain.writable_len()), (11, 13));
    let mut text = [0; 20];
    assert_eq!(chain.read(4, &mut text), 7);
    assert_eq!(&text[..7], b"o world");
    assert_eq!(chain.write(1, b"abcd"), 4);
    assert_eq!(chain.write(12, b"xyz"), 1, "the writable part ends");
    queue.complete(chain.ticket(), 13);
    assert_eq!(queue.publish(), 1);
    assert!(queue.wants_call());
    assert!(!queue.wants_call(), "asked and answered");
    assert_eq!(driver.poll(), Some((head, 13)));
    let mut out = [0; 13];
    driver.ram().read(c.0, &mut out[..3]);
    driver.ram().read(d.0, &mut out[3..]);
    assert_eq!(&out, b"\0abcd\0\0\0\0\0\0\0x");
    assert!(!queue.pop(&mut chain).unwrap());
    assert_eq!(driver.free(), usize::from(SIZE));
}

#[test]
fn indirect_tables_are_followed() {
    let (mut driver, mut queue) = pair(false, 0);
    let buffers: Vec<_> = (0..20u8).map(|byte| buffer(&driver, &[byte])).collect();
    // Deliberately misaligned: the driver chooses where the table lies.
    let table = driver.ram().take(16 * 21 + 1, 16) + 1;
    let out = buffer(&driver, &[0; 4]);
    driver.add_indirect(table, &buffers, &[out]).unwrap();
    driver.publish();
    let mut chain = Chain::new();
    assert!(queue.pop(&mut chain).unwrap());
    let mut all = [0; 20];
    assert_eq!(chain.read(0, &mut all), 20);
    assert_eq!(all.to_vec(), (0..20u8).collect::<Vec<_>>());
    assert_eq!(chain.writable_len(), 4);
}

#[test]
fn used_entries_keep_the_available_order() {
    let (mut driver, mut queue) = pair(true, 0);
    let buffers: Vec<_> = (0..4).map(|_| buffer(&driver, &[0; 4])).collect();
    let heads: Vec<_> = buffers.iter().map(|&b| driver.add(&[], &[b]).unwrap()).collect();
    driver.publish();
    let mut chains: Vec<_> = (0..4).map(|_| Chain::new()).collect();
    for chain in &mut chains {
        assert!(queue.pop(chain).unwrap());
    }
    queue.complete(chains[2].ticket(), 3);
    queue.complete(chains[1].ticket(), 2);
    assert_eq!(queue.publish(), 0, "the first is not done");
    queue.complete(chains[0].ticket(), 1);
    assert_eq!(queue.publish(), 3);
    assert_eq!(queue.base(), 3);
    let used: Vec<_> = std::iter::from_fn(|| driver.poll()).collect();
    assert_eq!(used, vec![(heads[0], 1), (heads[1], 2), (heads[2], 3)]);
    // Killed here: a successor that starts from used.idx gets the fourth again and nothing else.
    drop(queue);
    let mut successor = device(&driver, true, driver.used_index());
    let mut chain = Chain::new();
    assert!(successor.pop(&mut chain).unwrap());
    assert_eq!(chain.writable()[0].as_ptr().addr() & 0xfff, chains[3].writable()[0].as_ptr().addr() & 0xfff);
    assert!(!successor.pop(&mut chain).unwrap());
}

#[test]
fn kicks_and_calls_are_suppressed_and_never_lost() {
    for event_idx in [true, false] {
        let (mut driver, mut queue) = pair(event_idx, 0);
        let bytes = buffer(&driver, b"x");
        let mut chain = Chain::new();
        assert!(!queue.enable_kicks().unwrap());
        driver.add(&[bytes], &[]).unwrap();
        assert!(driver.publish());
        queue.disable_kicks();
        driver.add(&[bytes], &[]).unwrap();
        assert!(!driver.publish(), "the device is awake");
        driver.disable_calls();
        while queue.pop(&mut chain).unwrap() {
            queue.complete(chain.ticket(), 0);
            queue.publish();
        }
        queue.wants_call();
        driver.add(&[bytes], &[]).unwrap();
        driver.publish();
        assert!(queue.enable_kicks().unwrap(), "it came while kicks were off");
        assert!(queue.pop(&mut chain).unwrap());
        queue.complete(chain.ticket(), 0);
        queue.publish();
        assert!(!queue.wants_call(), "the driver said no");
        assert!(driver.enable_calls());
        while driver.poll().is_some() {}
        assert!(!driver.enable_calls());
        driver.add(&[bytes], &[]).unwrap();
        driver.publish();
        assert!(queue.pop(&mut chain).unwrap());
        queue.complete(chain.ticket(), 0);
        queue.publish();
        assert!(queue.wants_call());
    }
}

#[test]
fn indexes_wrap() {
    let (mut driver, mut queue) = pair(true, 0);
    let bytes = buffer(&driver, b"x");
    let mut chain = Chain::new();
    for _ in 0..70_000 {
        driver.add(&[bytes], &[]).unwrap();
        driver.publish();
        assert!(queue.pop(&mut chain).unwrap());
        queue.complete(chain.ticket(), 0);
        assert_eq!(queue.publish(), 1);
        assert!(driver.poll().is_some());
    }
}

/// What a villain does to a fresh ring, and what it is accused of.
type Villain = (&'static str, fn(&mut DriverQueue, u64), fn(&QueueError) -> bool);

const VILLAINS: &[Villain] = &[
    (
        "a descriptor that names itself",
        |driver, at| driver.write_descriptor(0, at, 4, DESC_NEXT, 0),
        |error| matches!(error, QueueError::ChainLength { .. }),
    ),
    (
        "next outside the table",
        |driver, at| driver.write_descriptor(0, at, 4, DESC_NEXT, SIZE),
        |error| matches!(error, QueueError::DescriptorIndex { .. }),
    ),
    (
        "a buffer at the end of the address space",
        |driver, _| driver.write_descriptor(0, u64::MAX, 4, 0, 0),
        |error| matches!(error, QueueError::BufferAddress { .. }),
    ),
    (
        "a buffer that runs out of memory",
        |driver, _| driver.write_descriptor(0, 0x1000 + (1 << 20) - 3, 4, 0, 0),
        |error| matches!(error, QueueError::BufferAddress { .. }),
    ),
    (
        "an empty buffer",
        |driver, at| driver.write_descriptor(0, at, 0, 0, 0),
        |error| matches!(error, QueueError::EmptyDescriptor),
    ),
    (
        "readable after writable",
        |driver, at| {
            driver.write_descriptor(0, at, 4, DESC_NEXT | DESC_WRITE, 1);
            driver.write_descriptor(1, at, 4, 0, 0);
        },
        |error| matches!(error, QueueError::ReadableAfterWritable),
    ),
    (
        "an indirect table inside an indirect table",
        |driver, at| {
            driver.write_descriptor(0, at, 16, DESC_INDIRECT, 0);
            driver.write_descriptor_at(at, at, 16, DESC_INDIRECT, 0);
        },
        |error| matches!(error, QueueError::Indirect { .. }),
    ),
    (
        "an indirect table of 24 bytes",
        |driver, at| driver.write_descriptor(0, at, 24, DESC_INDIRECT, 0),
        |error| matches!(error, QueueError::Indirect { len: 24 }),
    ),
    (
        "an empty indirect table",
        |driver, at| driver.write_descriptor(0, at, 0, DESC_INDIRECT, 0),
        |error| matches!(error, QueueError::Indirect { len: 0 }),
    ),
    (
        "an indirect table of 2^28 entries",
        |driver, at| driver.write_descriptor(0, at, 0xffff_fff0, DESC_INDIRECT, 0),
        |error| matches!(error, QueueError::Indirect { .. }),
    ),
    (
        "an indirect table outside memory",
        |driver, _| driver.write_descriptor(0, u64::MAX - 15, 16, DESC_INDIRECT, 0),
        |error| matches!(error, QueueError::BufferAddress { .. }),
    ),
    (
        "an indirect table that loops",
        |driver, at| {
            driver.write_descriptor(0, at, 32, DESC_INDIRECT, 0);
            driver.write_descriptor_at(at, at, 4, DESC_NEXT, 1);
            driver.write_descriptor_at(at + 16, at, 4, DESC_NEXT, 0);
        },
        |error| matches!(error, QueueError::ChainLength { .. }),
    ),
    (
        "an indirect table whose next is outside it",
        |driver, at| {
            driver.write_descriptor(0, at, 32, DESC_INDIRECT, 0);
            driver.write_descriptor_at(at, at, 4, DESC_NEXT, 2);
        },
        |error| matches!(error, QueueError::DescriptorIndex { .. }),
    ),
    (
        "indirect and next together",
        |driver, at| driver.write_descriptor(0, at, 16, DESC_INDIRECT | DESC_NEXT, 1),
        |error| matches!(error, QueueError::Indirect { .. }),
    ),
];

#[test]
fn villains_retire_the_queue() {
    for (name, build, accused) in VILLAINS {
        let (mut driver, mut queue) = pair(true, 0);
        let at = driver.ram().take(64, 16);
        build(&mut driver, at);
        driver.push_head(0);
        driver.publish();
        let mut chain = Chain::new();
        let error = queue.pop(&mut chain).expect_err(name);
        assert!(accused(&error), "{name}: {error}");
        assert_eq!(queue.pop(&mut chain), Err(error), "{name}: retired for good");
        assert_eq!(queue.enable_kicks(), Err(error));
        assert_eq!(driver.used_index(), 0);
    }
}

#[test]
fn a_chain_of_four_gigabytes_is_refused() {
    let (mut driver, mut queue) = pair(true, 0);
    // 1 MiB of memory, described 4096 times over by one indirect table is too long; by chained descriptors the queue
    // of eight cannot reach 2^32 bytes with so little memory, so a large sparse RAM is used.
    let ram = GuestRam::new(1 << 32, 1 << 30).unwrap();
    let mut big = DriverQueue::new(Arc::clone(&ram), SIZE, true);
    let mut device = device(&big, true, 0);
    let half = (ram.guest_address(), 1 << 30);
    big.add(&[half; 5], &[]).unwrap();
    big.publish();
    assert_eq!(device.pop(&mut Chain::new()), Err(QueueError::ChainBytes));
    driver.set_avail_index(SIZE + 1);
    assert!(matches!(queue.pop(&mut Chain::new()), Err(QueueError::AvailIndex { .. })));
}

#[test]
fn available_indexes_that_jump_retire_the_queue() {
    for jump in [SIZE + 1, 0x8000, u16::MAX] {
        let (mut driver, mut queue) = pair(true, 0);
        driver.set_avail_index(jump);
        assert!(matches!(queue.pop(&mut Chain::new()), Err(QueueError::AvailIndex { .. })), "{jump}");
    }
    // And backwards, over a request in flight.
    let (mut driver, mut queue) = pair(true, 0);
    let bytes = buffer(&driver, b"x");
    driver.add(&[bytes], &[]).unwrap();
    driver.publish();
    assert!(queue.pop(&mut Chain::new()).unwrap());
    driver.set_avail_index(0);
    assert!(matches!(queue.pop(&mut Chain::new()), Err(QueueError::AvailIndex { .. })));
}

#[test]
fn a_head_in_flight_is_not_taken_again() {
    let (mut driver, mut queue) = pair(true, 0);
    let at = driver.ram().take(64, 16);
    driver.write_descriptor(3, at, 4, 0, 0);
    driver.push_head(3);
    driver.push_head(3);
    driver.push_head(SIZE);
    driver.publish();
    let mut chain = Chain::new();
    assert!(queue.pop(&mut chain).unwrap());
    assert_eq!(queue.pop(&mut chain), Err(QueueError::HeadInUse { head: 3 }));
}

#[test]
fn rings_outside_memory_are_refused() {
    let (driver, _) = pair(true, 0);
    let (descriptors, avail, used) = driver.addresses();
    let good = QueueConfig { size: SIZE, descriptors, avail, used, base: 0, event_idx: true, indirect: true };
    let memory = driver.ram().map().unwrap();
    let end = driver.ram().guest_address() + driver.ram().size() as u64;
    for bad in [
        QueueConfig { descriptors: end - 16, ..good },
        QueueConfig { descriptors: descriptors + 8, ..good },
        QueueConfig { avail: avail + 1, ..good },
        QueueConfig { used: used + 2, ..good },
        QueueConfig { used: end - 66, ..good },
        QueueConfig { avail: u64::MAX - 1, ..good },
        QueueConfig { size: 0, ..good },
        QueueConfig { size: 7, ..good },
        QueueConfig { size: 0x8000, ..good },
    ] {
        assert!(SplitQueue::new(Arc::clone(&memory), &bad).is_err(), "{bad:?}");
    }
}

#[test]
fn copies_between_guests_skip_nothing() {
    let (mut left, mut left_queue) = pair(true, 0);
    let (mut right, mut right_queue) = pair(true, 0);
    let source: Vec<u8> = (0..100).collect();
    let sources: Vec<_> = source.chunks(33).map(|chunk| buffer(&left, chunk)).collect();
    let targets: Vec<_> = [7, 50, 20].map(|len| buffer(&right, &vec![0xee; len])).to_vec();
    left.add(&sources, &[]).unwrap();
    left.publish();
    right.add(&[], &targets).unwrap();
    right.publish();
    let (mut from, mut to) = (Chain::new(), Chain::new());
    assert!(left_queue.pop(&mut from).unwrap());
    assert!(right_queue.pop(&mut to).unwrap());
    assert_eq!(to.copy_from(5, &from, 20, 60), 60);
    let mut out = Vec::new();
    for (address, len) in targets {
        let mut bytes = vec![0; len as usize];
        right.ram().read(address, &mut bytes);
        out.extend(bytes);
    }
    assert_eq!(out[5..65], source[20..80]);
    assert_eq!((out[4], out[65]), (0xee, 0xee));
    assert_eq!(to.copy_from(70, &from, 0, 100), 7, "no further than the target goes");
    assert_eq!(to.copy_from(0, &from, 95, 100), 5, "no further than the source goes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Random rings: whatever lies in the descriptor table, a pop ends, and what it hands out is inside memory.
    #[test]
    fn random_rings_are_survived(
        raw in proptest::collection::vec(any::<(u8, u8, u8, u8)>(), usize::from(SIZE)),
        heads in proptest::collection::vec(0..SIZE + 2, 1..8),
    ) {
        let (mut driver, mut queue) = pair(true, 0);
        let at = driver.ram().take(4096, 16);
        for (index, &(place, len, flags, next)) in raw.iter().enumerate() {
            let address = if place > 240 { u64::MAX - u64::from(place) } else { at + u64::from(place) * 16 };
            driver.write_descriptor_at(at + 16 * index as u64, address, u32::from(len), u16::from(flags & 7), u16::from(next % 10));
            driver.write_descriptor(index as u16, address, u32::from(len) * 4, u16::from(flags & 7), u16::from(next % 10));
        }
        for head in &heads {
            driver.push_head(*head);
        }
        driver.publish();
        let mut chain = Chain::new();
        let mut popped = 0;
        while let Ok(true) = queue.pop(&mut chain) {
            popped += 1;
            let region = &queue.memory().regions()[0];
            let inside = region.as_ptr().addr()..=region.as_ptr().addr() + region.len();
            for segment in chain.readable().iter().chain(chain.writable()) {
                let start = segment.as_ptr().addr();
                prop_assert!(inside.contains(&start) && inside.contains(&(start + segment.len())));
            }
            queue.complete(chain.ticket(), 0);
            prop_assert_eq!(queue.publish(), 1);
        }
        prop_assert!(popped <= heads.len());
    }
}
