//! oslo.policy's check language (<https://docs.openstack.org/oslo.policy/latest/reference/api/oslo_policy.policy.html>).
//!
//! `not` binds closest, then `and`, then `or`; words are separated by white space, and parentheses touch the words
//! that they enclose. What oslo.policy logs and then takes for "nobody" is refused here: an operator's slip shall
//! not lock everybody out silently, and not let anybody in.

use regex::Regex;

use super::check::{Check, FieldValue, Part, Template};
use super::target::{Attribute, Credential};

/// The longest check, in bytes.
const MAX_BYTES: usize = 16 * 1024;
/// How deep parentheses and `not` may nest.
const MAX_DEPTH: usize = 64;

/// Why a check is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    #[error("the check is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("the check nests deeper than {MAX_DEPTH}")]
    TooDeep,
    #[error("'{0}' is not a check: it is KIND:MATCH, '@' or '!'")]
    NotACheck(String),
    #[error("'{0}' stands where no such word can stand")]
    Unexpected(String),
    #[error("the check ends too early")]
    Incomplete,
    #[error("'{0}' holds a '%' that starts no %(name)s")]
    Substitution(String),
    #[error("'{0}' asks another server; rules are evaluated in the controller alone")]
    Remote(String),
    #[error("'{0}' is not a pattern")]
    Pattern(String),
}

/// Parses a check. Empty text lets everybody pass.
pub(super) fn parse(text: &str) -> Result<Check<String>, CheckError> {
    if text.len() > MAX_BYTES {
        return Err(CheckError::TooLong);
    }
    let words = words(text);
    if words.is_empty() {
        return Ok(Check::Always);
    }
    let mut parser = Parser { words: &words, next: 0 };
    let check = parser.any(0)?;
    match parser.peek() {
        None => Ok(check),
        Some(word) => Err(CheckError::Unexpected(word.to_string())),
    }
}

/// Parses the older form: any of the outer list, all of an inner one. An empty list lets everybody pass.
pub(super) fn parse_lists(lists: &[Vec<String>]) -> Result<Check<String>, CheckError> {
    if lists.is_empty() {
        return Ok(Check::Always);
    }
    let alternatives = lists.iter().filter(|list| !list.is_empty()).map(|list| {
        let checks = list.iter().map(|text| simple(text)).collect::<Result<Vec<_>, _>>()?;
        Ok(Check::All(checks))
    });
    Ok(Check::Any(alternatives.collect::<Result<Vec<_>, CheckError>>()?))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word<'t> {
    Open,
    Close,
    And,
    Or,
    Not,
    Simple(&'t str),
}

impl std::fmt::Display for Word<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Open => "(",
            Self::Close => ")",
            Self::And => "and",
            Self::Or => "or",
            Self::Not => "not",
            Self::Simple(text) => text,
        })
    }
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    for chunk in text.split_whitespace() {
        let inner = chunk.trim_start_matches('(');
        words.extend((0..chunk.len() - inner.len()).map(|_| Word::Open));
        let word = inner.trim_end_matches(')');
        match word.to_ascii_lowercase().as_str() {
            "" => {}
            "and" => words.push(Word::And),
            "or" => words.push(Word::Or),
            "not" => words.push(Word::Not),
            _ => words.push(Word::Simple(word)),
        }
        words.extend((0..inner.len() - word.len()).map(|_| Word::Close));
    }
    words
}

struct Parser<'w, 't> {
    words: &'w [Word<'t>],
    next: usize,
}

impl<'w, 't> Parser<'w, 't> {
    fn peek(&self) -> Option<&'w Word<'t>> {
        self.words.get(self.next)
    }

    fn skip(&mut self, word: &Word<'_>) -> bool {
        let found = self.peek() == Some(word);
        self.next += usize::from(found);
        found
    }

    fn any(&mut self, depth: usize) -> Result<Check<String>, CheckError> {
        let mut checks = vec![self.all(depth)?];
        while self.skip(&Word::Or) {
            checks.push(self.all(depth)?);
        }
        Ok(one_or(checks, Check::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Check<String>, CheckError> {
        let mut checks = vec![self.single(depth)?];
        while self.skip(&Word::And) {
            checks.push(self.single(depth)?);
        }
        Ok(one_or(checks, Check::All))
    }

    fn single(&mut self, depth: usize) -> Result<Check<String>, CheckError> {
        if depth == MAX_DEPTH {
            return Err(CheckError::TooDeep);
        }
        let word = self.peek().ok_or(CheckError::Incomplete)?;
        self.next += 1;
        match word {
            Word::Not => Ok(Check::Not(Box::new(self.single(depth + 1)?))),
            Word::Open => {
                let check = self.any(depth + 1)?;
                match self.peek() {
                    Some(Word::Close) => {
                        self.next += 1;
                        Ok(check)
                    }
                    Some(other) => Err(CheckError::Unexpected(other.to_string())),
                    None => Err(CheckError::Incomplete),
                }
            }
            Word::Simple(text) => simple(text),
            Word::And | Word::Or | Word::Close => Err(CheckError::Unexpected(word.to_string())),
        }
    }
}

fn one_or(
    mut checks: Vec<Check<String>>,
    join: impl Fn(Vec<Check<String>>) -> Check<String>,
) -> Check<String> {
    match checks.len() {
        1 => checks.remove(0),
        _ => join(checks),
    }
}

/// One `KIND:MATCH`.
fn simple(text: &str) -> Result<Check<String>, CheckError> {
    let text = text.trim();
    match text {
        "@" => return Ok(Check::Always),
        "!" => return Ok(Check::Never),
        _ => {}
    }
    let not_a_check = || CheckError::NotACheck(text.to_owned());
    let (kind, matched) = text.split_once(':').ok_or_else(not_a_check)?;
    match kind {
        "" => Err(not_a_check()),
        "rule" if matched.is_empty() => Err(not_a_check()),
        "rule" => Ok(Check::Rule(matched.to_owned())),
        "role" => Ok(Check::Role(template(matched)?)),
        "field" => field(text, matched),
        "http" | "https" => Err(CheckError::Remote(text.to_owned())),
        // Who passes `context_is_admin`. (Keystone's `is_admin:1` is its bootstrap token, which is not here.)
        "is_admin" => Ok(match matched {
            "True" => Check::Rule(ADMIN_RULE.to_owned()),
            "False" => Check::Not(Box::new(Check::Rule(ADMIN_RULE.to_owned()))),
            _ => Check::Never,
        }),
        _ => {
            let template = template(matched)?;
            Ok(match (literal(kind), Credential::from_name(kind)) {
                (Some(literal), _) => Check::Literal(literal, template),
                (None, Some(credential)) => Check::Credential(credential, template),
                (None, None) => {
                    tracing::warn!(check = text, "no token has '{kind}': this check is always false");
                    Check::Never
                }
            })
        }
    }
}

/// What `is_admin:True` asks for.
pub(super) const ADMIN_RULE: &str = "context_is_admin";

/// A Python literal, as `str()` shows it: `Some(None)` is `None`.
fn literal(kind: &str) -> Option<Option<String>> {
    let quoted = ['\'', '"'].into_iter().find_map(|quote| kind.strip_prefix(quote)?.strip_suffix(quote));
    match kind {
        _ if quoted.is_some() => Some(quoted.map(str::to_owned)),
        "None" => Some(None),
        "True" | "False" => Some(Some(kind.to_owned())),
        _ => kind.parse::<i64>().ok().map(|number| Some(number.to_string())),
    }
}

/// `RESOURCE:ATTRIBUTE=VALUE` or `RESOURCE:ATTRIBUTE=~PATTERN`; the attribute may have a colon in it.
fn field(text: &str, matched: &str) -> Result<Check<String>, CheckError> {
    let parts = matched.split_once(':').and_then(|(_resource, rest)| rest.split_once('='));
    let (name, value) = parts.ok_or_else(|| CheckError::NotACheck(text.to_owned()))?;
    let Some(attribute) = Attribute::from_name(name) else {
        tracing::warn!(check = text, "no target has '{name}': this check is always false");
        return Ok(Check::Never);
    };
    let expected = match value.strip_prefix('~') {
        Some(pattern) => {
            FieldValue::Fits(Regex::new(pattern).map_err(|_| CheckError::Pattern(pattern.into()))?)
        }
        None => FieldValue::Is(value.to_owned()),
    };
    Ok(Check::Field(attribute, expected))
}

fn template(text: &str) -> Result<Template, CheckError> {
    let wrong = || CheckError::Substitution(text.to_owned());
    let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            plain.push('%');
            rest = after;
            continue;
        }
        let (name, after) =
            after.strip_prefix('(').and_then(|name| name.split_once(")s")).ok_or_else(wrong)?;
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        let attribute = Attribute::from_name(name);
        if attribute.is_none() {
            tracing::warn!(check = text, "no target has '{name}': this check is always false");
        }
        parts.push(Part::Attribute(attribute));
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() || parts.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(Template(parts))
}
