//! The mapping language: from what an assertion says to a user, groups and projects
//! (<https://docs.openstack.org/keystone/latest/admin/federation/mapping_combinations.html>).
//!
//! Each rule has requirements (`remote`) and consequences (`local`). Every requirement must find its attribute in the
//! assertion; those without `any_one_of` and `not_any_of` also give a value, the first to `{0}`, the next to `{1}`.
//! Several values in one place are written as Python writes a list, and read back where a list belongs.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::Value;

/// Rules of one mapping, and requirements or consequences of one rule.
const MAX_RULES: usize = 256;
/// The largest compiled pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// What an assertion says: each attribute with its values.
pub(super) type Assertion = BTreeMap<String, Vec<String>>;

/// Why rules, or what they make of an assertion, are of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum RuleError {
    #[error("Invalid rules: {0}")]
    Shape(#[from] serde_json::Error),
    #[error("Invalid rules: {0}")]
    Value(&'static str),
    #[error("Invalid pattern: {0}")]
    Pattern(#[from] regex::Error),
    #[error("A rule refers to {{{index}}}, but has fewer values")]
    NoSuchValue { index: usize },
    #[error("No rule fits the assertion")]
    NothingFits,
}

/// The rules of a mapping, ready to be applied.
#[derive(Debug)]
pub(super) struct Rules(Vec<Rule>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    local: Vec<Value>,
    remote: Vec<Requirement>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    #[serde(rename = "type")]
    attribute: String,
    any_one_of: Option<Vec<String>>,
    not_any_of: Option<Vec<String>>,
    whitelist: Option<Vec<String>>,
    blacklist: Option<Vec<String>>,
    #[serde(default)]
    regex: bool,
}

/// What an assertion amounts to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Identity {
    pub user: UserRule,
    pub group_ids: BTreeSet<String>,
    pub groups: Vec<NamedGroup>,
    pub projects: Vec<ProjectRule>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(super) struct UserRule {
    pub id: Option<String>,
    pub name: Option<String>,
    pub email: Option<String>,
    pub domain: Option<DomainRule>,
    /// `local` or `ephemeral`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(super) struct DomainRule {
    pub id: Option<String>,
    pub name: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct NamedGroup {
    pub name: String,
    pub domain: DomainRule,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct ProjectRule {
    pub name: String,
    pub domain: Option<DomainRule>,
    pub roles: Vec<RoleRule>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct RoleRule {
    pub name: String,
}

/// One consequence with its values put in.
#[derive(Debug, Deserialize)]
struct Local {
    user: Option<UserRule>,
    group: Option<GroupRule>,
    groups: Option<String>,
    group_ids: Option<String>,
    domain: Option<DomainRule>,
    projects: Option<Vec<ProjectRule>>,
}

#[derive(Debug, Deserialize)]
struct GroupRule {
    id: Option<String>,
    name: Option<String>,
    domain: Option<DomainRule>,
}

impl Local {
    fn check(&self) -> Result<(), RuleError> {
        if let Some(GroupRule { id: None, name, domain }) = &self.group
            && (name.is_none() || domain.is_none())
        {
            return Err(RuleError::Value("a group has an id, or a name and a domain"));
        }
        let kind = self.user.as_ref().and_then(|user| user.kind.as_deref());
        match kind.is_none_or(|kind| matches!(kind, "local" | "ephemeral")) {
            true => Ok(()),
            false => Err(RuleError::Value("the 'type' of a user is 'local' or 'ephemeral'")),
        }
    }
}

impl Rules {
    /// Reads rules and checks all that can be checked without an assertion.
    pub fn parse(rules: &Value) -> Result<Self, RuleError> {
        let rules: Vec<Rule> = Deserialize::deserialize(rules)?;
        let fits = |rule: &Rule| {
            let sizes = [rule.local.len(), rule.remote.len()];
            sizes.iter().all(|size| (1..=MAX_RULES).contains(size))
        };
        if rules.is_empty() || rules.len() > MAX_RULES || !rules.iter().all(fits) {
            return Err(RuleError::Value("each has at least one 'local' and one 'remote'"));
        }
        for rule in &rules {
            for local in &rule.local {
                let local: Local = Deserialize::deserialize(local)?;
                local.check()?;
            }
            for requirement in &rule.remote {
                requirement.check()?;
            }
        }
        Ok(Self(rules))
    }

    /// What the assertion amounts to; the first user that a rule makes counts.
    pub fn apply(&self, assertion: &Assertion) -> Result<Identity, RuleError> {
        let mut user = None;
        let mut identity = Identity::default();
        let mut has_fitted = false;
        for rule in &self.0 {
            let Some(values) = rule.values(assertion)? else { continue };
            for local in &rule.local {
                has_fitted = true;
                let local: Local = serde_json::from_value(filled(local, &values)?)?;
                if let Some(made) = local.user.clone() {
                    user.get_or_insert(made);
                }
                identity.add(local)?;
            }
        }
        if !has_fitted {
            return Err(RuleError::NothingFits);
        }
        identity.user = user.unwrap_or_default();
        Ok(identity)
    }
}

impl Identity {
    fn add(&mut self, local: Local) -> Result<(), RuleError> {
        if let Some(group) = local.group {
            match (group.id, group.name, group.domain) {
                (Some(id), ..) => {
                    self.group_ids.insert(id);
                }
                (None, Some(name), Some(domain)) => self.groups.push(NamedGroup { name, domain }),
                _ => return Err(RuleError::Value("a group has an id, or a name and a domain")),
            }
        }
        if let Some(names) = local.groups {
            let domain = local.domain.ok_or(RuleError::Value("'groups' go with a 'domain'"))?;
            let named = |name: String| NamedGroup { name, domain: domain.clone() };
            self.groups.extend(listed(&names).into_iter().map(named));
        }
        if let Some(ids) = local.group_ids {
            self.group_ids.extend(listed(&ids));
        }
        if let Some(projects) = local.projects {
            self.projects = projects;
        }
        Ok(())
    }
}

impl Rule {
    /// The values for `{0}`, `{1}`, …; `None` when a requirement is not met.
    fn values(&self, assertion: &Assertion) -> Result<Option<Vec<Vec<String>>>, RuleError> {
        let mut values = Vec::new();
        for requirement in &self.remote {
            let Some(found) = assertion.get(&requirement.attribute).filter(|found| !found.is_empty()) else {
                return Ok(None);
            };
            if let Some(wanted) = &requirement.any_one_of {
                if requirement.matching(wanted, found, true)?.is_empty() {
                    return Ok(None);
                }
            } else if let Some(unwanted) = &requirement.not_any_of {
                if !requirement.matching(unwanted, found, true)?.is_empty() {
                    return Ok(None);
                }
            } else if let Some(unwanted) = &requirement.blacklist {
                values.push(requirement.matching(unwanted, found, false)?);
            } else if let Some(wanted) = &requirement.whitelist {
                values.push(requirement.matching(wanted, found, true)?);
            } else {
                values.push(found.clone());
            }
        }
        Ok(Some(values))
    }
}

impl Requirement {
    fn check(&self) -> Result<(), RuleError> {
        let lists = [&self.any_one_of, &self.not_any_of, &self.whitelist, &self.blacklist];
        let mut lists = lists.into_iter().flatten();
        let list = lists.next();
        if lists.next().is_some() {
            return Err(RuleError::Value("a requirement has one kind of list"));
        }
        match list {
            Some(patterns) if self.regex => {
                for text in patterns {
                    pattern(text)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Those of `found` that one of `wanted` takes, or those that none takes.
    fn matching(&self, wanted: &[String], found: &[String], taken: bool) -> Result<Vec<String>, RuleError> {
        let patterns = match self.regex {
            true => wanted.iter().map(|text| pattern(text)).collect::<Result<Vec<_>, _>>()?,
            false => Vec::new(),
        };
        let is_taken = |value: &String| match self.regex {
            true => patterns.iter().any(|pattern| pattern.is_match(value)),
            false => wanted.contains(value),
        };
        Ok(found.iter().filter(|value| is_taken(value) == taken).cloned().collect())
    }
}

/// Patterns match anywhere in a value, in time that grows with its length alone.
fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(MAX_PATTERN_BYTES).build()
}

/// A consequence with the values in their places.
fn filled(local: &Value, values: &[Vec<String>]) -> Result<Value, RuleError> {
    Ok(match local {
        Value::String(text) => Value::String(filled_text(text, values)?),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| filled(item, values)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), filled(value, values)?)))
                .collect::<Result<_, RuleError>>()?,
        ),
        other => other.clone(),
    })
}

/// Python's `str.format`, with numbers alone between the braces.
fn filled_text(text: &str, values: &[Vec<String>]) -> Result<String, RuleError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let here = &rest[at..];
        if here.starts_with("{{") || here.starts_with("}}") {
            out.push_str(&here[..1]);
            rest = &here[2..];
            continue;
        }
        let end = here.find('}').filter(|end| *end > 1).ok_or(RuleError::Value("a brace is not closed"))?;
        let index: usize = here[1..end].parse().map_err(|_| RuleError::Value("braces hold a number"))?;
        out.push_str(&written(values.get(index).ok_or(RuleError::NoSuchValue { index })?));
        rest = &here[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// One value as it is; none or several as Python's list.
fn written(values: &[String]) -> String {
    if let [value] = values {
        return value.clone();
    }
    let quoted = |value: &String| format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
    format!("[{}]", values.iter().map(quoted).collect::<Vec<_>>().join(", "))
}

/// What [`written`] wrote, as a list again.
fn listed(text: &str) -> Vec<String> {
    let inner = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.and_then(python_strings).unwrap_or_else(|| vec![text.to_owned()])
}

/// The strings of a Python list; `None` when there is anything else in it.
fn python_strings(text: &str) -> Option<Vec<String>> {
    let mut strings = Vec::new();
    let mut letters = text.trim().chars().peekable();
    while let Some(quote) = letters.next() {
        if quote != '\'' && quote != '"' {
            return None;
        }
        let mut string = String::new();
        loop {
            match letters.next()? {
                '\\' => string.push(letters.next()?),
                letter if letter == quote => break,
                letter => string.push(letter),
            }
        }
        strings.push(string);
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        match letters.next() {
            None => break,
            Some(',') => while letters.next_if(|letter| letter.is_whitespace()).is_some() {},
            Some(_) => return None,
        }
    }
    Some(strings)
}

#[cfg(test)]
mod tests;
