//! `tests/ossa.toml` and `tests/threats.toml`: every advisory of OpenStack's security team against a service of ours, and
//! every attack of our own list, has a test that would catch its like here, or a reason why it cannot happen.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Finding;

/// One advisory, or one row of our own list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    /// As published; of our own list in our own words.
    pub title: String,
    /// `identity`, `image`, …: the service of ours that an advisory would concern.
    pub service: Option<String>,
    /// `path::test` each; the test function is in that file.
    #[serde(default)]
    pub tests: Vec<String>,
    /// Why there is no test: it cannot happen here.
    pub reason: Option<String>,
    /// What part belongs to something that is not there yet.
    pub later: Option<String>,
}

/// The whole file, by id.
///
/// # Errors
/// It is no TOML of this shape.
pub fn parse(text: &str) -> Result<BTreeMap<String, Advisory>, toml::de::Error> {
    toml::from_str(text)
}

/// Findings over all advisories. `source` gives the text of a file of the repository.
pub fn check(all: &BTreeMap<String, Advisory>, source: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, advisory) in all {
        match (&advisory.reason, advisory.tests.as_slice()) {
            (None, []) => findings.push(format!("{id}: has neither a test nor a reason")),
            (Some(reason), _) if reason.len() < 20 => {
                findings.push(format!("{id}: the reason says too little: {reason}"));
            }
            _ => {}
        }
        for test in &advisory.tests {
            let known = test
                .rsplit_once("::")
                .and_then(|(path, name)| source(path)?.contains(&format!("fn {name}(")).then_some(()));
            if known.is_none() {
                findings.push(format!("{id}: {test} is not there; name a test as path::function"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{check, parse};

    const TEXT: &str = "[OSSA-1]\ntitle = 'a'\nservice = 'identity'\ntests = ['a.rs::holds']\n\
                        [OSSA-2]\ntitle = 'b'\nservice = 'image'\n\
                        [OSSA-3]\ntitle = 'c'\nservice = 'image'\nreason = 'no'\n";

    #[test]
    fn a_test_must_exist_and_a_reason_must_say_something() {
        let all = parse(TEXT).unwrap();
        let findings = check(&all, |path| (path == "a.rs").then(|| "fn holds() {}".to_owned()));
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].starts_with("OSSA-2") && findings[1].starts_with("OSSA-3"));
        assert_eq!(check(&all, |_| None).len(), 3, "a test that is gone is a finding");
    }
}
