//! What can be run. A scenario runs its participants in turn and gives a report.

mod blk;
mod identity;
mod net;

use crate::measure::Failure;
use crate::report::Report;
use crate::target;

/// A bench with a name and a promise of the same name in `targets.toml`.
pub struct Scenario {
    pub name: &'static str,
    measure: fn(&'static str, target::Target) -> Result<Report<'static>, Failure>,
}

/// In the order in which they are run.
pub const ALL: &[Scenario] = &[
    Scenario { name: "blk-pc-qd32", measure: blk::page_cache_qd32 },
    Scenario { name: "blk-pc-qd1", measure: blk::page_cache_qd1 },
    Scenario { name: "blk-null", measure: blk::null },
    Scenario { name: "blk-mapped", measure: blk::mapped },
    Scenario { name: "net-64b-sg", measure: net::small_frames },
    Scenario { name: "identity-validate", measure: identity::validate },
    Scenario { name: "identity-issue", measure: identity::issue },
    Scenario { name: "identity-logins", measure: identity::logins },
    Scenario { name: "image-list-1000", measure: identity::thousand_images },
    Scenario { name: "controller-idle", measure: identity::idle_memory },
];

/// # Errors
/// There is no such scenario.
pub fn find(name: &str) -> Result<&'static Scenario, Failure> {
    ALL.iter()
        .find(|scenario| scenario.name == name)
        .ok_or_else(|| Failure::new(format!("no bench is called {name}; `list` names them all")))
}

/// Runs one scenario, prints its table and closing line, and saves both.
///
/// # Errors
/// It cannot be run, or its result is void because data was wrong.
pub fn run(scenario: &Scenario) -> Result<(), Failure> {
    let report = (scenario.measure)(scenario.name, target::find(scenario.name)?)?;
    println!("{}", report.table());
    println!("{}", report.save()?.display());
    println!("{}", report.line());
    Ok(())
}
