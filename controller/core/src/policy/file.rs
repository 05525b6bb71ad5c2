//! The operator's policy file: YAML (or JSON), `rule name: check`, as OpenStack's services read it.
//!
//! One file serves all services. A name that one service has alone stands at the top; one that several have
//! (`context_is_admin`) changes all of them there, and one of them below the service's name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::PolicyError;
use super::check::Check;
use super::parse::{CheckError, parse, parse_lists};
use super::rules::Service;

/// The largest policy file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// A check as it was written.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RuleText {
    Text(String),
    Lists(Vec<OneOrMore>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl RuleText {
    pub fn parse(&self) -> Result<Check<String>, CheckError> {
        match self {
            Self::Text(text) => parse(text),
            Self::Lists(lists) => parse_lists(&lists.iter().map(OneOrMore::list).collect::<Vec<_>>()),
        }
    }

    /// The check in the language, whatever form it was written in.
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Lists(lists) if lists.is_empty() => "@".to_owned(),
            Self::Lists(lists) => {
                let alternatives: Vec<String> = lists
                    .iter()
                    .map(OneOrMore::list)
                    .filter(|list| !list.is_empty())
                    .map(|list| format!("({})", list.join(" and ")))
                    .collect();
                if alternatives.is_empty() { "!".to_owned() } else { alternatives.join(" or ") }
            }
        }
    }
}

impl OneOrMore {
    fn list(&self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text.clone()],
            Self::More(list) => list.clone(),
        }
    }
}

/// An entry of the file: a rule, or a service with its rules.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Entry {
    Rule(RuleText),
    Service(BTreeMap<String, RuleText>),
    Nothing,
}

fn service_of(name: &str) -> Option<Service> {
    Service::ALL.into_iter().find(|service| service.as_str() == name)
}

/// What the file says.
#[derive(Clone, Debug, Default)]
pub(super) struct Overrides {
    path: PathBuf,
    rules: BTreeMap<(Option<Service>, String), RuleText>,
}

impl Overrides {
    /// Reads the file. Whether the checks are good shows when they are linked.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let io = |source| PolicyError::Io { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(io)?.len() > MAX_BYTES {
            return Err(PolicyError::TooLarge { path: path.to_owned(), limit: MAX_BYTES });
        }
        Self::from_text(path, &std::fs::read_to_string(path).map_err(io)?)
    }

    pub fn from_text(path: &Path, text: &str) -> Result<Self, PolicyError> {
        // Generated files are comments for the most part, and a parser of YAML takes only so many.
        let is_comment = |line: &&str| line.trim_start().starts_with('#');
        let lines: Vec<&str> = text.lines().map(|line| if is_comment(&line) { "" } else { line }).collect();
        let entries: Option<BTreeMap<String, Entry>> = serde_saphyr::from_str(&lines.join("\n"))
            .map_err(|source| PolicyError::Syntax { path: path.to_owned(), source: Box::new(source) })?;
        let mut overrides = Self { path: path.to_owned(), rules: BTreeMap::new() };
        for (name, entry) in entries.unwrap_or_default() {
            match entry {
                Entry::Rule(text) => {
                    overrides.rules.insert((None, name), text);
                }
                Entry::Nothing if service_of(&name).is_some() => {}
                Entry::Nothing => return Err(overrides.error(&name, "it has no check")),
                Entry::Service(rules) => {
                    let service = service_of(&name);
                    let service = service.ok_or_else(|| overrides.error(&name, "it is no service's name"))?;
                    let rules = rules.into_iter().map(|(name, text)| ((Some(service), name), text));
                    overrides.rules.extend(rules);
                }
            }
        }
        Ok(overrides)
    }

    /// The file's text of a rule: the service's own before the one for all.
    pub fn get(&self, service: Service, name: &str) -> Option<&RuleText> {
        let of = |service| self.rules.get(&(service, name.to_owned()));
        of(Some(service)).or_else(|| of(None))
    }

    pub fn names(&self) -> impl Iterator<Item = (Option<Service>, &str)> {
        self.rules.keys().map(|(service, name)| (*service, name.as_str()))
    }

    /// Whether another rule of the file refers to this one.
    pub fn refers_to(&self, name: &str) -> bool {
        let reference = format!("rule:{name}");
        let words = |text: &RuleText| {
            text.to_text()
                .split(|c: char| c.is_whitespace() || "()".contains(c))
                .any(|word| word == reference)
        };
        self.rules.values().any(words)
    }

    /// What is wrong with a rule of this file.
    pub fn error(&self, rule: &str, problem: impl ToString) -> PolicyError {
        PolicyError::Rule { path: self.path.clone(), rule: rule.to_owned(), problem: problem.to_string() }
    }
}
