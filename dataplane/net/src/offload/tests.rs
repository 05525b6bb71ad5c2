use super::{Offload, feature, finish};
use crate::frame::{fold, sum};

/// An IPv4 TCP frame with so much payload.
fn frame(payload: usize) -> Vec<u8> {
    let mut frame = vec![0; 54 + payload];
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14] = 0x45;
    frame[16..18].copy_from_slice(&((40 + payload) as u16).to_be_bytes());
    frame[23] = 6;
    frame[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    frame[46] = 0x50;
    frame
}

fn header(gso: u8, segment: u16) -> [u8; 10] {
    let [low, high] = segment.to_le_bytes();
    [1, gso, 0, 0, low, high, 34, 0, 16, 0]
}

#[test]
fn what_fits_one_segment_is_not_cut() {
    let frame = frame(1000);
    let offload = Offload::parse(&header(1, 1460), &frame[..128], frame.len()).unwrap();
    assert_eq!((offload.segment_payload, offload.csum_start), (0, 34));
}

#[test]
fn flags_of_a_connection_go_to_the_right_segments() {
    let mut frame = frame(3000);
    frame[47] = 0x80 | 0x10 | 0x08 | 0x01; // CWR, ACK, PSH, FIN
    let offload = Offload::parse(&header(0x81, 1000), &frame[..128], frame.len()).unwrap();
    let mut flags = Vec::new();
    let mut identifications = Vec::new();
    finish(&mut frame, &offload, |head, rest| {
        assert_eq!((head.len(), rest.len()), (54, 1000));
        assert_eq!(fold(sum(&head[14..34], 0)), 0xffff, "IP checksum");
        flags.push(head[47]);
        identifications.push(head[19]);
    });
    assert_eq!(flags, [0x90, 0x10, 0x19]);
    assert_eq!(identifications, [0, 1, 2]);
}

#[test]
fn receivers_get_what_they_agreed_to() {
    let frame = frame(3000);
    let checksum = Offload::parse(&header(0, 0), &frame[..128], frame.len()).unwrap();
    let segments = Offload::parse(&header(1, 1000), &frame[..128], frame.len()).unwrap();
    let with_ecn = Offload::parse(&header(0x81, 1000), &frame[..128], frame.len()).unwrap();
    let tso = feature::GUEST_CSUM | feature::GUEST_TSO4;
    assert!(Offload::default().accepted_by(0));
    assert!(!checksum.accepted_by(0) && checksum.accepted_by(feature::GUEST_CSUM));
    assert!(!segments.accepted_by(feature::GUEST_CSUM) && segments.accepted_by(tso));
    assert!(!with_ecn.accepted_by(tso) && with_ecn.accepted_by(tso | feature::GUEST_ECN));
    assert_eq!(segments.to_header(3)[..2], [1, 1]);
    assert_eq!(segments.to_header(3)[10..], [3, 0]);
}

#[test]
fn heads_cut_short_are_refused() {
    let frame = frame(3000);
    for len in 0..54 {
        assert_eq!(Offload::parse(&header(1, 1000), &frame[..len], len), None, "{len} bytes");
    }
}
