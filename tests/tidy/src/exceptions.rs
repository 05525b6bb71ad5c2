//! `tests/tidy/exceptions.toml`: what is allowed to break a rule for now. The list only shrinks: an entry that is no
//! longer needed, or larger than what it excuses, is a finding itself.

use serde::Deserialize;

/// The whole list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exceptions {
    /// Files above the limit.
    #[serde(default)]
    pub file: Vec<File>,
    /// Functions above the limit.
    #[serde(default)]
    pub function: Vec<Function>,
    /// Files with `unsafe` outside the walls.
    #[serde(default, rename = "unsafe")]
    pub outside_walls: Vec<OutsideWalls>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub path: String,
    /// Code lines it has.
    pub lines: usize,
    pub why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    pub path: String,
    pub name: String,
    /// Code lines it has.
    pub lines: usize,
    pub why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideWalls {
    pub path: String,
    /// `unsafe` blocks and implementations it has.
    pub count: usize,
    pub why: String,
}

/// Reads the list.
///
/// # Errors
/// What is wrong with the text, in the words of the TOML parser.
pub fn parse(text: &str) -> Result<Exceptions, String> {
    let list: Exceptions = toml::from_str(text).map_err(|error| error.to_string())?;
    let reasons = (list.file.iter().map(|entry| &entry.why))
        .chain(list.function.iter().map(|entry| &entry.why))
        .chain(list.outside_walls.iter().map(|entry| &entry.why));
    if reasons.into_iter().any(|why| why.trim().is_empty()) {
        return Err("an exception without a reason (why)".to_owned());
    }
    Ok(list)
}

/// Compares what is there (`actual`, above `limit`) with what the list grants; `None` when they agree.
pub fn verdict(what: &str, actual: usize, limit: usize, granted: Option<usize>) -> Option<String> {
    match granted {
        None if actual <= limit => None,
        None => Some(format!("{what}: {actual}, the limit is {limit}: split it along its meaning")),
        Some(_) if actual <= limit => Some(format!(
            "{what}: {actual} is within the limit: remove its entry from tests/tidy/exceptions.toml"
        )),
        Some(granted) if actual > granted => Some(format!(
            "{what}: has grown to {actual}, tests/tidy/exceptions.toml grants {granted}: split it"
        )),
        Some(granted) if actual < granted => Some(format!(
            "{what}: has shrunk to {actual}: lower its entry in tests/tidy/exceptions.toml from {granted}"
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_only_shrinks() {
        assert_eq!(verdict("x", 500, 500, None), None);
        assert_eq!(verdict("x", 600, 500, Some(600)), None);
        assert!(verdict("x", 501, 500, None).is_some_and(|text| text.contains("split")));
        assert!(verdict("x", 601, 500, Some(600)).is_some_and(|text| text.contains("grown")));
        assert!(verdict("x", 599, 500, Some(600)).is_some_and(|text| text.contains("lower")));
        assert!(verdict("x", 400, 500, Some(600)).is_some_and(|text| text.contains("remove")));
    }

    #[test]
    fn an_entry_needs_a_reason_and_no_more() {
        let entry = |more: &str| format!("[[file]]\npath = \"a.rs\"\nlines = 600\n{more}");
        assert_eq!(parse(&entry("why = \"grew\"")).map(|list| list.file.len()), Ok(1));
        assert!(parse(&entry("why = \" \"")).is_err());
        assert!(parse(&entry("")).is_err());
        assert!(parse(&entry("why = \"grew\"\nsize = 1")).is_err());
    }
}
