//! DNS on the subnet's server address: names of the network are answered here, the rest is asked upstream.
//!
//! Each forwarded query has a socket of its own, with a source port and an id that nobody can guess (RFC 5452), and
//! takes an answer only from the resolver that it asked, and only to its own question.

mod forward;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use forward::{Answered, Forwarder};

use super::state::NetworkState;
use crate::frame::field;

/// Bytes of the fixed header.
const HEADER_BYTES: usize = 12;
/// Seconds for which a name of the network may be remembered: short, as ports come and go.
const TTL_S: u32 = 30;
/// Addresses in one answer.
const MAX_ANSWERS: usize = 16;

const TYPE_A: u16 = 1;
const TYPE_PTR: u16 = 12;
const TYPE_AAAA: u16 = 28;
const TYPE_ANY: u16 = 255;
const CLASS_IN: u16 = 1;

const FLAG_RESPONSE: u16 = 0x8000;
const FLAG_AUTHORITATIVE: u16 = 0x0400;
const FLAG_TRUNCATED: u16 = 0x0200;
const FLAG_RECURSION_DESIRED: u16 = 0x0100;
const FLAG_RECURSION_AVAILABLE: u16 = 0x0080;
const OPCODE_MASK: u16 = 0x7800;

/// Response codes (RFC 1035, 4.1.1).
pub mod rcode {
    pub const NO_ERROR: u16 = 0;
    pub const FORMAT_ERROR: u16 = 1;
    pub const SERVER_FAILURE: u16 = 2;
    pub const NOT_IMPLEMENTED: u16 = 4;
}

/// The one question of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub id: u16,
    flags: u16,
    /// Lower case, without the final dot.
    pub name: String,
    kind: u16,
    class: u16,
    /// Where the question ends in the message.
    end: usize,
}

/// Reads a query.
///
/// # Errors
/// The response code to send, or `None` for what deserves no answer at all.
pub fn parse(message: &[u8]) -> Result<Question, Option<u16>> {
    if message.len() < HEADER_BYTES {
        return Err(None);
    }
    let word = |at| field::<2>(message, at).map(u16::from_be_bytes).ok_or(None);
    let flags = word(2)?;
    if flags & FLAG_RESPONSE != 0 {
        return Err(None);
    }
    if flags & OPCODE_MASK != 0 {
        return Err(Some(rcode::NOT_IMPLEMENTED));
    }
    if word(4)? != 1 || word(6)? != 0 || word(8)? != 0 {
        return Err(Some(rcode::FORMAT_ERROR));
    }
    let (name, at) = read_name(message).ok_or(Some(rcode::FORMAT_ERROR))?;
    let (kind, class) = (word(at), word(at + 2));
    let (Ok(kind), Ok(class)) = (kind, class) else { return Err(Some(rcode::FORMAT_ERROR)) };
    Ok(Question { id: word(0)?, flags, name, kind, class, end: at + 4 })
}

/// The name of the question, which nothing precedes that a compressed name could point at.
fn read_name(message: &[u8]) -> Option<(String, usize)> {
    let (mut name, mut at) = (String::new(), HEADER_BYTES);
    loop {
        let len = usize::from(*message.get(at)?);
        at += 1;
        if len == 0 {
            return Some((name, at));
        }
        let label = message.get(at..at + len).filter(|_| len <= 63)?;
        if !label.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'.') || name.len() + len > 253 {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
        at += len;
    }
}

/// A name as it lies in messages.
pub fn encode_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').filter(|label| (1..=63).contains(&label.len())) {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// The answer from the network's own names; `None` when the name is not among them.
pub fn answer_locally(message: &[u8], question: &Question, network: &NetworkState) -> Option<Vec<u8>> {
    if question.class != CLASS_IN {
        return None;
    }
    let mut records = Vec::new();
    if let Some(addresses) = network.names.get(&question.name) {
        for address in addresses {
            match (address, question.kind) {
                (IpAddr::V4(address), TYPE_A | TYPE_ANY) => records.push((TYPE_A, address.octets().to_vec())),
                (IpAddr::V6(address), TYPE_AAAA | TYPE_ANY) => {
                    records.push((TYPE_AAAA, address.octets().to_vec()))
                }
                _ => {}
            }
        }
    } else {
        let name = network.reverse.get(&reversed_address(&question.name)?)?;
        if matches!(question.kind, TYPE_PTR | TYPE_ANY) {
            records.push((TYPE_PTR, encode_name(name)));
        }
    }
    records.truncate(MAX_ANSWERS);
    let mut reply = head(message, question, rcode::NO_ERROR, FLAG_AUTHORITATIVE, records.len() as u16);
    for (kind, value) in records {
        reply.extend_from_slice(&[0xc0, HEADER_BYTES as u8]); // the question's name
        reply.extend_from_slice(&kind.to_be_bytes());
        reply.extend_from_slice(&CLASS_IN.to_be_bytes());
        reply.extend_from_slice(&TTL_S.to_be_bytes());
        reply.extend_from_slice(&(value.len() as u16).to_be_bytes());
        reply.extend_from_slice(&value);
    }
    Some(reply)
}

/// The address that `4.3.2.1.in-addr.arpa` (or its IPv6 kin) asks about.
fn reversed_address(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let octets: Vec<u8> = octets.rsplit('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        return Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).into());
    }
    let digits: String = name.strip_suffix(".ip6.arpa")?.rsplit('.').collect();
    let value = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
    Some(Ipv6Addr::from(value).into())
}

/// An answer without records.
pub fn refuse(message: &[u8], code: u16) -> Option<Vec<u8>> {
    match parse(message) {
        Ok(question) => Some(head(message, &question, code, 0, 0)),
        Err(_) => {
            let mut reply = message.get(..2)?.to_vec();
            reply.extend_from_slice(&(FLAG_RESPONSE | code).to_be_bytes());
            reply.resize(HEADER_BYTES, 0);
            Some(reply)
        }
    }
}

/// Header and question of an answer.
fn head(message: &[u8], question: &Question, code: u16, flags: u16, answers: u16) -> Vec<u8> {
    let asked = question.flags & FLAG_RECURSION_DESIRED;
    let flags = FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | asked | flags | code;
    let mut reply = Vec::with_capacity(512);
    for word in [question.id, flags, 1, answers, 0, 0] {
        reply.extend_from_slice(&word.to_be_bytes());
    }
    reply.extend_from_slice(message.get(HEADER_BYTES..question.end).unwrap_or_default());
    reply
}

/// An answer cut down to what fits `limit` bytes: the question, and the wish to be asked over TCP.
pub fn truncate(mut reply: Vec<u8>, limit: usize) -> Vec<u8> {
    if reply.len() <= limit {
        return reply;
    }
    let end = read_name(&reply).map_or(HEADER_BYTES, |(_, at)| at + 4);
    reply.truncate(end);
    let flags = field::<2>(&reply, 2).map_or(0, u16::from_be_bytes) | FLAG_TRUNCATED;
    reply[2..4].copy_from_slice(&flags.to_be_bytes());
    reply[6..HEADER_BYTES].fill(0);
    reply
}

#[cfg(test)]
mod tests;
