//! Security groups, compiled for each port and direction into a run of rules.

use std::collections::{BTreeMap, BTreeSet};

use updraft_base::SecurityGroupId;
use updraft_dataplane_api::net::{Direction, EtherType, Port, RemotePeer, SecurityGroup, SecurityGroupRule};
use updraft_flow::headers::{ICMP, SCTP, TCP, UDP, UDP_LITE};
use updraft_flow::layout::{Address, PROTOCOL_ANY, RULES};

use super::{TooMany, address};

/// One rule as the tables hold it. The order is that in which they are tried: prefixes before groups, since a
/// group costs a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// From 1, or 0 for a prefix.
    pub group: u32,
    pub protocol: u32,
    pub low: u32,
    pub high: u32,
    pub remote: Address,
    pub mask: Address,
}

/// Any port, or any ICMP type and code.
const ANY: (u32, u32) = (0, 0xffff);

/// The groups by id, with the number under which rules name them.
pub struct Groups<'a> {
    by_id: BTreeMap<SecurityGroupId, (u32, &'a SecurityGroup)>,
}

impl<'a> Groups<'a> {
    pub fn new(groups: &'a [SecurityGroup]) -> Self {
        Self { by_id: groups.iter().zip(1..).map(|(group, number)| (group.id, (number, group))).collect() }
    }

    /// The members that rules may mean: (group number, address).
    pub fn members(&self) -> BTreeSet<(u32, Address)> {
        let members = self.by_id.values().flat_map(|(number, group)| {
            group.members.iter().filter_map(|&member| Some((*number, address::of(member)?)))
        });
        members.collect()
    }

    /// The rules of all groups of a port in one direction, each once.
    pub fn rules_of(&self, port: &Port, direction: Direction) -> BTreeSet<Rule> {
        let groups = port.security_groups.iter().filter_map(|id| self.by_id.get(id));
        let rules = groups.flat_map(|(_, group)| &group.rules);
        rules.filter(|rule| rule.direction == direction).filter_map(|rule| self.compile(rule)).collect()
    }

    /// `None` for a rule that can match nothing: IPv6, an unknown group, an empty range.
    fn compile(&self, rule: &SecurityGroupRule) -> Option<Rule> {
        if rule.ethertype != EtherType::Ipv4 {
            return None;
        }
        let (low, high) = range(rule);
        let (group, remote, mask) = match &rule.remote {
            RemotePeer::Any => (0, [0, 0], [0, 0]),
            RemotePeer::Prefix(net) => {
                let (remote, mask) = address::prefix(*net)?;
                (0, remote, mask)
            }
            RemotePeer::Group(id) => (self.by_id.get(id)?.0, [0, 0], [0, 0]),
        };
        let protocol = rule.protocol.map_or(PROTOCOL_ANY, u32::from);
        (low <= high).then_some(Rule { group, protocol, low, high, remote, mask })
    }
}

/// The range of selectors (see [`updraft_flow::layout::RuleEntry::low`]). Protocols without ports have none.
fn range(rule: &SecurityGroupRule) -> (u32, u32) {
    let (first, last) = (rule.port_range_min.map(u32::from), rule.port_range_max.map(u32::from));
    match rule.protocol {
        Some(TCP | UDP | UDP_LITE | SCTP) => (first.unwrap_or(ANY.0), last.unwrap_or(ANY.1)),
        Some(ICMP) => match (first, last) {
            (Some(kind), Some(code)) => (kind << 8 | code, kind << 8 | code),
            (Some(kind), None) => (kind << 8, kind << 8 | 0xff),
            (None, _) => ANY,
        },
        _ => ANY,
    }
}

/// All rules, one run after the other, runs of equal content shared.
#[derive(Default)]
pub struct Runs {
    pub rules: Vec<Rule>,
    known: BTreeMap<Vec<Rule>, u32>,
}

impl Runs {
    /// First rule and number of rules of a run with this content.
    pub fn add(&mut self, rules: BTreeSet<Rule>) -> Result<(u32, u32), TooMany> {
        let rules: Vec<Rule> = rules.into_iter().collect();
        let count = rules.len() as u32;
        if let Some(&first) = self.known.get(&rules) {
            return Ok((first, count));
        }
        let first = self.rules.len() as u32;
        self.rules.extend(&rules);
        TooMany::check("security group rules", self.rules.len(), RULES)?;
        self.known.insert(rules, first);
        Ok((first, count))
    }
}
