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
        // A row about `blk/` may go on with paths inside of it.
        let mut folders = vec![folder.to_owned()];
        for word in spans(line, '`', '`').chain(link_targets(line)) {
            for candidate in expand(word.split(['#', ' ']).next().unwrap_or_default()) {
                match resolve(&candidate, &folders, known) {
                    Some(found) => folders.extend(ancestors(&found)),
                    None if !claims_to_exist(&candidate, folder, known) => {}
                    None => findings.push(format!(
                        "{path}:{}: there is no `{candidate}`: correct the path (from the root, from this file, or from a folder named before on the line)",
                        number + 1
                    )),
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

/// The path itself and the folders above it, nearest first.
fn ancestors(path: &str) -> Vec<String> {
    let cuts = path.rmatch_indices('/').map(|(slash, _)| path[..slash].to_owned());
    std::iter::once(path.to_owned()).chain(cuts).collect()
}

/// The path that `word` means: from the root, from one of `folders`, or (a bare file name) anywhere below the first.
fn resolve(word: &str, folders: &[String], known: &BTreeSet<String>) -> Option<String> {
    let word = word.trim_end_matches('/');
    let in_folder =
        |folder: &String| if folder.is_empty() { word.to_owned() } else { format!("{folder}/{word}") };
    let from_root = std::iter::once(word.to_owned());
    if let Some(found) = from_root.chain(folders.iter().map(in_folder)).find(|path| known.contains(path)) {
        return Some(found);
    }
    let ending = format!("/{word}");
    let anywhere = |path: &&String| path.starts_with(folders[0].as_str()) && path.ends_with(&ending);
    (!word.is_empty() && !word.contains('/')).then(|| known.iter().find(anywhere).cloned()).flatten()
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
        assert_eq!(findings("`src/queue.rs` of no crate"), 1);
        assert_eq!(findings("| `blk/` | `src/gone.rs` |"), 1);
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
