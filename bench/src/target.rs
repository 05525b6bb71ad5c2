//! The promises: `bench/targets.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::measure::Failure;

const TEXT: &str = include_str!("../targets.toml");

/// One promise. A limit that is not given is not promised.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// In words, as printed.
    pub promise: String,
    /// Where the promise was last looked at, or `untested`. For readers of the file.
    #[serde(rename = "machine")]
    pub _machine: String,
    #[serde(rename = "command")]
    pub _command: String,
    /// Ours by the peer's, in the sense in which more is better.
    pub min_ratio_peer: Option<f64>,
    /// Ours by the second peer's.
    pub min_ratio_second: Option<f64>,
    /// Ours by the limit's, in the same sense.
    pub min_ratio_limit: Option<f64>,
    /// Ours less the limit's, of a median latency.
    pub max_over_limit_us: Option<f64>,
    /// Our CPU time for one request by the peer's.
    pub max_cpu_ratio: Option<f64>,
    /// Our own figure, where less is better: microseconds or MiB.
    pub max_ours: Option<f64>,
    /// Our own figure, where more is better: requests a second.
    pub min_ours: Option<f64>,
}

/// What was reached.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    pub ratio_peer: f64,
    /// `None` where there is no second peer.
    pub ratio_second: Option<f64>,
    /// `None` where there is no limit to compare with.
    pub ratio_limit: Option<f64>,
    pub over_limit_us: Option<f64>,
    pub cpu_ratio: f64,
    /// Our own figure.
    pub ours: f64,
}

impl Target {
    /// True when every limit of the promise is kept. A figure that is missing is not kept.
    pub fn is_met(&self, reached: &Reached) -> bool {
        let at_least = |limit: Option<f64>, value: Option<f64>| {
            limit.is_none_or(|limit| value.is_some_and(|value| value >= limit))
        };
        let at_most = |limit: Option<f64>, value: Option<f64>| {
            limit.is_none_or(|limit| value.is_some_and(|value| value <= limit))
        };
        at_least(self.min_ratio_peer, Some(reached.ratio_peer))
            && at_least(self.min_ratio_second, reached.ratio_second)
            && at_least(self.min_ratio_limit, reached.ratio_limit)
            && at_most(self.max_over_limit_us, reached.over_limit_us)
            && at_most(self.max_cpu_ratio, Some(reached.cpu_ratio))
            && at_most(self.max_ours, Some(reached.ours))
            && at_least(self.min_ours, Some(reached.ours))
    }
}

/// The promise of the bench called `name`.
///
/// # Errors
/// It is not in the file, or the file is no TOML of this shape.
pub fn find(name: &str) -> Result<Target, Failure> {
    let mut all: BTreeMap<String, Target> =
        toml::from_str(TEXT).map_err(|error| Failure::new(format!("bench/targets.toml: {error}")))?;
    all.remove(name).ok_or_else(|| Failure::new(format!("bench/targets.toml promises nothing for {name}")))
}

#[cfg(test)]
mod tests {
    use super::{Reached, find};

    #[test]
    fn a_promise_is_kept_only_in_all_of_its_parts() {
        let target = find("blk-pc-qd32").unwrap();
        let good = Reached {
            ratio_peer: 3.0,
            ratio_second: None,
            ratio_limit: Some(0.9),
            over_limit_us: None,
            cpu_ratio: 0.3,
            ours: 0.0,
        };
        assert!(target.is_met(&good));
        assert!(!target.is_met(&Reached { ratio_peer: 2.4, ..good }));
        assert!(!target.is_met(&Reached { ratio_limit: None, ..good }));
        assert!(!target.is_met(&Reached { cpu_ratio: 0.6, ..good }));
    }

    #[test]
    fn every_scenario_has_a_promise() {
        for scenario in crate::scenarios::ALL {
            find(scenario.name).unwrap();
        }
    }
}
