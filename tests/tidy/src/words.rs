//! What must not be written down: unfinished code, paths and hosts of one machine, names that mean nothing.

use crate::Finding;
use crate::rust::Source;

/// Macros that mark code as unfinished.
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];

/// Parts of machine paths and of package hosts. Written in pieces: this file is checked too.
const OF_ONE_MACHINE: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("deb.deb", "ian.org"),
    concat!("arti", "factory"),
];

/// Where such a path is about the guest, not about the machine that builds it.
const ABOUT_THE_GUEST: &str = "tests/guest/";

/// Names that say where code was put, not what it is.
const EMPTY_NAMES: &[&str] = &["common", "util", "utils", "shared", "helper", "helpers", "misc"];

/// Unfinished code in a Rust source.
pub fn check_unfinished(path: &str, text: &str) -> Vec<Finding> {
    let source = Source::new(text);
    let mut findings = Vec::new();
    for word in UNFINISHED {
        for (position, _) in source.code.match_indices(word) {
            let line = source.line_of(position);
            findings
                .push(format!("{path}:{line}: {word}: finish it, or leave it out and say so in the docs"));
        }
    }
    findings
}

/// Paths and hosts of one machine in any text.
pub fn check_machine(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for word in OF_ONE_MACHINE {
            if names_machine(line, word) && !path.starts_with(ABOUT_THE_GUEST) {
                findings.push(format!(
                    "{path}:{}: {word:?} is of one machine: derive it from HOME, a variable or the repository's root",
                    number + 1
                ));
            }
        }
    }
    findings
}

/// A path counts only from its beginning: not in `$tmp` followed by the same word.
fn names_machine(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(position, _)| {
        let before = line[..position].chars().next_back();
        !word.starts_with('/') || !before.is_some_and(|c| c.is_alphanumeric() || "_}-.)*".contains(c))
    })
}

/// Modules and crates whose name means nothing.
pub fn check_names(path: &str) -> Vec<Finding> {
    if !path.ends_with(".rs") && !path.ends_with("Cargo.toml") {
        return Vec::new();
    }
    let empty = |part: &&str| EMPTY_NAMES.contains(&part.strip_suffix(".rs").unwrap_or(part));
    let found = path.split('/').find(empty);
    found
        .map(|part| format!("{path}: {part:?} says nothing: name it after what it holds"))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_code_is_found_but_not_in_comments() {
        assert_eq!(check_unfinished("a.rs", "fn f() {\n    todo!()\n}\n").len(), 1);
        assert_eq!(check_unfinished("a.rs", "// todo!()\nlet a = \"dbg!(x)\";\n").len(), 0);
    }

    #[test]
    fn paths_of_one_machine_are_found_outside_the_guest() {
        let line = format!("cd {}project", OF_ONE_MACHINE[0]);
        assert_eq!(check_machine("Makefile", &line).len(), 1);
        assert_eq!(check_machine("tests/guest/build.sh", &line).len(), 0);
        assert_eq!(check_machine("Makefile", &format!("cd $tmp{}project", OF_ONE_MACHINE[1])).len(), 0);
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        assert_eq!(check_names("controller/core/src/utils.rs").len(), 1);
        assert_eq!(check_names("controller/common/Cargo.toml").len(), 1);
        assert_eq!(check_names("controller/core/src/network/mod.rs").len(), 0);
        assert_eq!(check_names("tests/guest/root/usr/common").len(), 0);
    }
}
