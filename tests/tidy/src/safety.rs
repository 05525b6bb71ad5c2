//! `unsafe` stays inside the walls, and says there why it is sound.

use crate::Finding;
use crate::exceptions::{Exceptions, verdict};
use crate::rust::Source;

/// Folders that may hold `unsafe`.
pub const WALLS: &[&str] = &[
    "dataplane/uring/",
    "dataplane/virtio/",
    "dataplane/vhost/",
    "dataplane/xdp/",
    "dataplane/flow/",
    "ebpf/",
];

/// Checks one source: place and comment of every `unsafe` block and implementation.
pub fn check(path: &str, text: &str, exceptions: &Exceptions) -> Vec<Finding> {
    let source = Source::new(text);
    let uses: Vec<usize> =
        source.words("unsafe").filter(|position| opens_or_implements(&source, *position)).collect();
    let mut findings = Vec::new();
    if !WALLS.iter().any(|wall| path.starts_with(wall)) {
        let granted =
            exceptions.outside_walls.iter().find(|entry| entry.path == path).map(|entry| entry.count);
        let what = format!("{path}: unsafe outside the walls ({})", WALLS.join(" "));
        findings.extend(verdict(&what, uses.len(), 0, granted));
    }
    for position in uses {
        let line = source.line_of(position);
        if !explained(&source.lines, line) {
            findings.push(format!(
                "{path}:{line}: unsafe without a `// SAFETY:` comment above: name the contract and why it holds"
            ));
        }
    }
    findings
}

/// Entries of the list whose file is not there any more.
pub fn stale(sources: &[(String, String)], exceptions: &Exceptions) -> Vec<Finding> {
    let gone =
        exceptions.outside_walls.iter().filter(|entry| !sources.iter().any(|(path, _)| *path == entry.path));
    gone.map(|entry| format!("tests/tidy/exceptions.toml: there is no {}: remove its entry", entry.path))
        .collect()
}

/// `unsafe {` and `unsafe impl` need an argument; `unsafe fn`, `unsafe extern` and `#[unsafe(…)]` state a contract.
fn opens_or_implements(source: &Source, position: usize) -> bool {
    let rest = source.code[position + "unsafe".len()..].trim_start();
    rest.starts_with('{') || rest.starts_with("impl ") || rest.starts_with("impl<")
}

/// Whether the statement that holds line `line` (from 1), or that line itself, has a SAFETY comment before it.
fn explained(lines: &[String], line: usize) -> bool {
    let is_comment = |text: &str| text.starts_with("//");
    if lines[line - 1].contains("// SAFETY:") {
        return true;
    }
    for text in lines[..line - 1].iter().rev().map(|text| text.trim()) {
        if is_comment(text) {
            if text.contains("SAFETY:") {
                return true;
            }
            continue;
        }
        // The statement goes back over lines that neither end nor begin one, and over attributes.
        let boundary = text.is_empty() || text.ends_with(';') || text.ends_with('}') || text.ends_with('{');
        if boundary && !text.starts_with("#[") {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exceptions::OutsideWalls;

    const WALL: &str = "dataplane/uring/src/ring.rs";

    fn findings(path: &str, text: &str) -> usize {
        check(path, text, &Exceptions::default()).len()
    }

    #[test]
    fn a_block_with_its_reason_passes_inside_a_wall_only() {
        let text =
            "fn f() {\n    // SAFETY: the file lives as long as the ring.\n    unsafe { submit() };\n}\n";
        assert_eq!(findings(WALL, text), 0);
        assert_eq!(findings("controller/core/src/lib.rs", text), 1);
    }

    #[test]
    fn a_reason_belongs_to_its_own_statement() {
        let split = "// SAFETY: checked above.\nlet value = start\n    .map(|p| unsafe { p.read() });\n";
        assert_eq!(findings(WALL, split), 0);
        assert_eq!(findings(WALL, "// SAFETY: for another.\nlet a = 1;\nunsafe { f() };\n"), 1);
        assert_eq!(findings(WALL, "// SAFETY: for another.\n\nunsafe impl Send for A {}\n"), 1);
        assert_eq!(
            findings(WALL, "// SAFETY: no shared state.\n#[cfg(unix)]\nunsafe impl Send for A {}\n"),
            0
        );
    }

    #[test]
    fn contracts_and_words_need_no_reason() {
        let text = "#![deny(unsafe_code)]\n// unsafe { }\nunsafe extern \"C\" { }\npub unsafe fn f() {}\n#[unsafe(no_mangle)]\nfn g() {}\n";
        assert_eq!(findings(WALL, text), 0);
    }

    #[test]
    fn an_exception_counts() {
        let path = "bench/src/main.rs";
        let entry = OutsideWalls { path: path.to_owned(), count: 1, why: "measures".to_owned() };
        let list = Exceptions { outside_walls: vec![entry], ..Exceptions::default() };
        let one = "// SAFETY: fine.\nunsafe { a() };\n";
        assert_eq!(check(path, one, &list).len(), 0);
        assert_eq!(check(path, &one.repeat(2), &list).len(), 1);
        assert_eq!(check(path, "", &list).len(), 1);
        assert_eq!(stale(&[], &list).len(), 1);
    }
}
