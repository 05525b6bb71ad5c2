use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{answer_locally, encode_name, parse, rcode, refuse, truncate};
use crate::respond::state::NetworkState;

fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend(encode_name(name));
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message
}

fn network() -> NetworkState {
    let addresses: Vec<IpAddr> = vec!["10.0.0.5".parse().unwrap(), "fd00::5".parse().unwrap()];
    let names = BTreeMap::from([("web.example".to_owned(), addresses.clone())]);
    let reverse = addresses.into_iter().map(|address| (address, "web.example".to_owned())).collect();
    NetworkState { names, reverse, ..NetworkState::default() }
}

fn answer(name: &str, kind: u16) -> Option<Vec<u8>> {
    let message = query(name, kind);
    answer_locally(&message, &parse(&message).unwrap(), &network())
}

#[test]
fn names_of_the_network_are_answered() {
    let reply = answer("WEB.Example", 1).unwrap();
    assert_eq!(reply[..8], [0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1]);
    assert_eq!(reply[reply.len() - 4..], [10, 0, 0, 5]);
    let reply = answer("web.example", 28).unwrap();
    assert_eq!(reply[reply.len() - 2..], [0, 5]);
    let nothing = answer("web.example", 15).unwrap();
    assert_eq!((nothing[3] & 15, nothing[7]), (0, 0), "the name is there, such a record is not");
    assert!(answer("other.example", 1).is_none());
}

#[test]
fn addresses_of_the_network_have_names() {
    for name in
        ["5.0.0.10.in-addr.arpa", "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"]
    {
        let reply = answer(name, 12).unwrap();
        assert!(reply.ends_with(&encode_name("web.example")), "{name}");
    }
    assert!(answer("6.0.0.10.in-addr.arpa", 12).is_none());
    assert!(answer("300.0.0.10.in-addr.arpa", 12).is_none());
}

#[test]
fn malformed_queries_get_an_error_or_nothing() {
    let good = query("web.example", 1);
    for len in 0..12 {
        assert_eq!(parse(&good[..len]), Err(None), "{len} bytes");
    }
    for len in 12..good.len() {
        assert_eq!(parse(&good[..len]), Err(Some(rcode::FORMAT_ERROR)), "{len} bytes");
    }
    let change = |at: usize, value: u8| {
        let mut message = good.clone();
        message[at] = value;
        parse(&message)
    };
    assert_eq!(change(2, 0x81), Err(None), "an answer is not answered");
    assert_eq!(change(2, 0x28), Err(Some(rcode::NOT_IMPLEMENTED)));
    assert_eq!(change(5, 2), Err(Some(rcode::FORMAT_ERROR)), "two questions");
    assert_eq!(change(12, 0xc0), Err(Some(rcode::FORMAT_ERROR)), "a compressed name");
    assert_eq!(change(13, b'\n'), Err(Some(rcode::FORMAT_ERROR)), "a control character");
    let long = query(&["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(63)].join("."), 1);
    assert_eq!(parse(&long), Err(Some(rcode::FORMAT_ERROR)), "longer than names may be");
    assert_eq!(refuse(&good, rcode::SERVER_FAILURE).unwrap()[3] & 15, 2);
}

#[test]
fn long_answers_are_cut_to_the_question() {
    let mut reply = answer("web.example", 1).unwrap();
    assert_eq!(truncate(reply.clone(), 512), reply);
    reply.resize(2000, 7);
    let cut = truncate(reply, 1472);
    assert_eq!(cut.len(), query("web.example", 1).len());
    assert_eq!(cut[2] & 2, 2, "truncated");
    assert_eq!(cut[7], 0, "no answers");
}
