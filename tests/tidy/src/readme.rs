//! Paths named in a README exist: in `backticks` and as link targets, outside of fenced blocks.

use std::collections::BTreeSet;

use crate::Finding;
use crate::layout::FOLDERS;

/// Endings that make a word a file name.
const ENDINGS: &[&str] =
    &[".rs", ".md", ".toml", ".sh", ".sql", ".json", ".o", ".proto", ".html", ".js", ".cfg"];

/// Everything that exists: files and the folders above them.
pub fn known_paths(files: &[String]) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for file in files {
        known.insert(file.clone());
        for (slash, _) in file.match_indices('/') {
            known.insert(file[..slash].to_owned());
        }
    }
    known
}

/// Checks one document against `known` paths.
pub fn check(path: &str, text: &str, known: &BTreeSet<String>) -> Vec<Finding> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for word in spans(line, '`', '`').chain(link_targets(line)) {
            for candidate in expand(word.split(['#', ' ']).next().unwrap_or_default()) {
                if claims_to_exist(&candidate, folder, known) && !exists(&candidate, folder, known) {
                    findings.push(format!(
                        "{path}:{}: there is no `{candidate}`: correct the path (from the root or from this file)",
                        number + 1
                    ));
                }
            }
        }
    }
    findings
}

fn spans(line: &str, open: char, close: char) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let start = rest.find(open)? + open.len_utf8();
        let end = start + rest[start..].find(close)?;
        let span = &rest[start..end];
        rest = &rest[end + close.len_utf8()..];
        Some(span)
    })
}

fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(position, _)| {
        let rest = &line[position + 2..];
        rest.find(')').map(|end| &rest[..end])
    })
}

/// `a/{b,c}.rs` is `a/b.rs` and `a/c.rs`.
fn expand(word: &str) -> Vec<String> {
    let Some((head, rest)) = word.split_once('{') else { return vec![word.to_owned()] };
    let Some((choices, tail)) = rest.split_once('}') else { return vec![word.to_owned()] };
    choices.split(',').flat_map(|choice| expand(&format!("{head}{choice}{tail}"))).collect()
}

fn claims_to_exist(word: &str, folder: &str, known: &BTreeSet<String>) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "/_-.".contains(c);
    if word.is_empty() || !word.chars().all(plain) || word.starts_with('/') || word.starts_with('.') {
        return false;
    }
    let first = word.split('/').next().unwrap_or(word);
    let inside = word.contains('/')
        && (FOLDERS.contains(&first) || (!folder.is_empty() && known.contains(&format!("{folder}/{first}"))));
    inside || (ENDINGS.iter().any(|ending| word.ends_with(ending)) && word.len() > 3)
}

/// From the root, from the document's folder, or (a bare file name) anywhere below it.
fn exists(word: &str, folder: &str, known: &BTreeSet<String>) -> bool {
    let word = word.trim_end_matches('/');
    let below = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let anywhere = || {
        let ending = format!("/{word}");
        known.iter().any(|path| path.starts_with(&below) && path.ends_with(&ending))
    };
    known.contains(word) || known.contains(&format!("{below}{word}")) || (!word.contains('/') && anywhere())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> usize {
        let files = ["dataplane/blk/src/queue.rs", "dataplane/README.md", "Makefile", "tests/setup.sh"];
        let known = known_paths(&files.map(str::to_owned));
        check("dataplane/README.md", text, &known).len()
    }

    #[test]
    fn paths_that_exist_pass() {
        assert_eq!(
            findings("`dataplane/blk/src/queue.rs`, `blk/src/`, `queue.rs`, [set-up](tests/setup.sh#run)"),
            0
        );
    }

    #[test]
    fn paths_that_do_not_are_found() {
        assert_eq!(findings("see `dataplane/net/src/port.rs`"), 1);
        assert_eq!(findings("see `blk/src/{queue,request}.rs`"), 1);
        assert_eq!(findings("see [it](tests/missing.sh) and `gone.rs`"), 2);
    }

    #[test]
    fn other_words_are_left_alone() {
        assert_eq!(
            findings("`application/json`, `/v3/auth`, `a::b`, `make demo`, `vhost-user/net`, `$HOME/x.rs`"),
            0
        );
        assert_eq!(findings("```\n`dataplane/plan.rs`\n```"), 0);
    }
}
