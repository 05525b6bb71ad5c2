//! A compiled check: what a rule's text became once, when the rules were loaded.

use std::borrow::Cow;

use regex::Regex;

use super::target::{Attribute, Credential, Target, Value};
use crate::Caller;

/// A check with its references to other rules as `R`: their names as parsed, their places once linked.
#[derive(Clone, Debug)]
pub(super) enum Check<R> {
    Always,
    Never,
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
    Rule(R),
    /// The bearer holds the role, whatever its case.
    Role(Template),
    /// A literal on the left: `'public':%(visibility)s`, `None:%(target.role.domain_id)s`.
    Literal(Option<String>, Template),
    /// Something of the token on the left: `user_id:%(target.user.id)s`.
    Credential(Credential, Template),
    /// Neutron's `field:networks:shared=True`.
    Field(Attribute, FieldValue),
}

/// What Neutron's field check compares with.
#[derive(Clone, Debug)]
pub(super) enum FieldValue {
    Is(String),
    /// `=~`: a pattern that the beginning of the value fits.
    Fits(Regex),
}

/// The right side of a check: text with `%(attribute)s` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(pub Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    /// `None`: an attribute that no target has.
    Attribute(Option<Attribute>),
}

impl Template {
    /// `None` when the target lacks an attribute that is named.
    fn render<'a>(&'a self, target: &Target<'a>) -> Option<Value<'a>> {
        match self.0.as_slice() {
            [Part::Text(text)] => Some(Value::Text(Cow::Borrowed(text))),
            [Part::Attribute(attribute)] => (*attribute)?.of(target),
            parts => {
                let mut whole = String::new();
                for part in parts {
                    match part {
                        Part::Text(text) => whole.push_str(text),
                        Part::Attribute(attribute) => match (*attribute)?.of(target)? {
                            Value::Null => whole.push_str("None"),
                            Value::Text(text) => whole.push_str(&text),
                        },
                    }
                }
                Some(Value::Text(Cow::Owned(whole)))
            }
        }
    }

    fn is_constant(&self, expected: &str) -> bool {
        matches!(self.0.as_slice(), [Part::Text(text)] if text == expected)
    }
}

impl<R> Check<R> {
    /// Whether the caller passes; `rule` decides references.
    pub fn passes(&self, caller: &Caller, target: &Target<'_>, rule: &dyn Fn(&R) -> bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Not(check) => !check.passes(caller, target, rule),
            Self::All(checks) => checks.iter().all(|check| check.passes(caller, target, rule)),
            Self::Any(checks) => checks.iter().any(|check| check.passes(caller, target, rule)),
            Self::Rule(name) => rule(name),
            Self::Role(wanted) => match wanted.render(target) {
                Some(Value::Text(wanted)) => caller.roles.iter().any(|role| same(role, &wanted)),
                Some(Value::Null) | None => false,
            },
            Self::Literal(literal, template) => match (literal, template.render(target)) {
                (Some(literal), Some(Value::Text(text))) => *literal == text,
                (None, Some(Value::Null)) => true,
                _ => false,
            },
            Self::Credential(credential, template) => match credential.of(caller) {
                Some(held) => matches!(template.render(target), Some(Value::Text(text)) if held == text),
                // What the token lacks is like nothing in a target, not even something else that is lacking;
                // only the rule itself can ask for it (`not domain_id:None`).
                None => template.is_constant("None"),
            },
            Self::Field(attribute, expected) => match (attribute.of(target), expected) {
                (Some(Value::Text(text)), FieldValue::Is(expected)) => same(&text, expected),
                (Some(Value::Text(text)), FieldValue::Fits(pattern)) => {
                    pattern.find(&text).is_some_and(|found| found.start() == 0)
                }
                (Some(Value::Null) | None, _) => false,
            },
        }
    }

    /// The same check with its references translated; the first that cannot be is the error.
    pub fn linked<S, E>(self, link: &mut dyn FnMut(R) -> Result<S, E>) -> Result<Check<S>, E> {
        let mut all = |checks: Vec<Self>| {
            checks.into_iter().map(|check| check.linked(link)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match self {
            Self::All(checks) => Check::All(all(checks)?),
            Self::Any(checks) => Check::Any(all(checks)?),
            Self::Not(check) => Check::Not(Box::new(check.linked(link)?)),
            Self::Rule(name) => Check::Rule(link(name)?),
            Self::Always => Check::Always,
            Self::Never => Check::Never,
            Self::Role(wanted) => Check::Role(wanted),
            Self::Literal(literal, template) => Check::Literal(literal, template),
            Self::Credential(credential, template) => Check::Credential(credential, template),
            Self::Field(attribute, expected) => Check::Field(attribute, expected),
        })
    }
}

fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || one.to_lowercase() == other.to_lowercase()
}
