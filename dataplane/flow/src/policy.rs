//! Security groups and anti-spoofing: who may send what, and who may receive it.

use crate::headers::{ICMP, SCTP, TCP, UDP, UDP_LITE, dst_port};
use crate::layout::{
    Address, FAMILY_IPV4, PORT_PRESENT, PORT_SECURED, PORT_UP, PROTOCOL_ANY, PortEntry, RULES,
    RULES_IN_KERNEL, RuleEntry, SOURCES_PER_PORT,
};
use crate::lookup::is_member;
use crate::tables::Tables;

/// What a rule is matched with: the packet that opens a flow.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub protocol: u8,
    /// Destination port in host order; for ICMP `type << 8 | code`; else 0.
    pub selector: u32,
    /// The other side's address.
    pub remote: Address,
}

/// The answer of the rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Allowed,
    Denied,
    /// More rules than this home walks.
    TooMany,
}

/// The selector of a flow's opening packet, from its key.
#[inline(always)]
pub const fn selector(protocol: u8, ports: u32) -> u32 {
    match protocol {
        TCP | UDP | UDP_LITE | SCTP => dst_port(ports),
        ICMP if ports >> 16 == 0xffff => ports & 0xffff,
        ICMP => (crate::headers::ECHO_REQUEST as u32) << 8,
        _ => 0,
    }
}

/// True when the port exists and is up.
#[inline(always)]
pub fn is_up(port: &PortEntry) -> bool {
    port.flags.get() & (PORT_PRESENT | PORT_UP) == PORT_PRESENT | PORT_UP
}

/// May the guest on `port` send this?
#[inline(always)]
pub fn egress<T: Tables>(tables: &T, half: u32, port: &PortEntry, subject: &Subject) -> Answer {
    if port.flags.get() & PORT_SECURED == 0 {
        return Answer::Allowed;
    }
    tables.judge(half, port.egress_first.get(), port.egress_count.get(), subject)
}

/// May the guest on `port` receive this?
#[inline(always)]
pub fn ingress<T: Tables>(tables: &T, half: u32, port: &PortEntry, subject: &Subject) -> Answer {
    if port.flags.get() & PORT_SECURED == 0 {
        return Answer::Allowed;
    }
    tables.judge(half, port.ingress_first.get(), port.ingress_count.get(), subject)
}

/// Tries `count` rules from `first` on, one after the other.
#[inline(always)]
pub fn walk<T: Tables>(tables: &T, half: u32, first: u32, count: u32, subject: &Subject) -> Answer {
    let limit = if T::COMPLETE { RULES } else { RULES_IN_KERNEL };
    for step in 0..limit {
        if step >= count {
            return Answer::Denied;
        }
        let Some(rule) = tables.rule(half, first.wrapping_add(step)) else { return Answer::Denied };
        if matches(tables, half, rule, subject) {
            return Answer::Allowed;
        }
    }
    if count > limit { Answer::TooMany } else { Answer::Denied }
}

#[inline(always)]
fn matches<T: Tables>(tables: &T, half: u32, rule: &RuleEntry, subject: &Subject) -> bool {
    let protocol = rule.protocol.get();
    if protocol != u32::from(subject.protocol) && protocol != PROTOCOL_ANY {
        return false;
    }
    if subject.selector < rule.low.get()
        || subject.selector > rule.high.get()
        || rule.family.get() != FAMILY_IPV4
    {
        return false;
    }
    match rule.group.get() {
        0 => {
            let [high, low] = subject.remote;
            low & rule.mask[1].get() == rule.remote[1].get()
                && high & rule.mask[0].get() == rule.remote[0].get()
        }
        group => is_member(tables, half, group, subject.remote),
    }
}

/// True when the port may send from this MAC and address. A port without security may send from any.
pub fn may_use<T: Tables>(tables: &T, half: u32, port: &PortEntry, mac: u64, address: Address) -> bool {
    if port.flags.get() & PORT_SECURED == 0 {
        return true;
    }
    let count = port.source_count.get().min(SOURCES_PER_PORT);
    (0..count).any(|step| {
        tables.source(half, port.source_first.get().wrapping_add(step)).is_some_and(|source| {
            let [high, low] = address;
            source.mac.get() == mac
                && low & source.mask[1].get() == source.address[1].get()
                && high & source.mask[0].get() == source.address[0].get()
        })
    })
}

/// True when some source of the port has this MAC.
pub fn may_use_mac<T: Tables>(tables: &T, half: u32, port: &PortEntry, mac: u64) -> bool {
    if port.flags.get() & PORT_SECURED == 0 || port.mac.get() == mac {
        return true;
    }
    let count = port.source_count.get().min(SOURCES_PER_PORT);
    (0..count).any(|step| {
        let source = tables.source(half, port.source_first.get().wrapping_add(step));
        source.is_some_and(|source| source.mac.get() == mac)
    })
}
