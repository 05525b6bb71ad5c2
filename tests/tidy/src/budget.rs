//! Files and functions that a reader can hold in the head.

use crate::Finding;
use crate::exceptions::{Exceptions, verdict};
use crate::rust::Source;

/// Code lines of a file without its inline tests. Blank lines and comments are free.
pub const FILE_LIMIT: usize = 500;
/// Code lines of the inline tests of a file; more go to a file of their own.
pub const INLINE_TESTS_LIMIT: usize = 300;
/// Code lines of a function with its signature.
pub const FUNCTION_LIMIT: usize = 70;

/// Checks one source against the limits and its exceptions.
pub fn check(path: &str, text: &str, exceptions: &Exceptions) -> Vec<Finding> {
    let source = Source::new(text);
    let tests: usize =
        source.test_modules().iter().map(|(first, last)| source.code_lines(*first, *last)).sum();
    let lines = source.code_lines(1, source.lines.len().max(1)) - tests;
    let granted = exceptions.file.iter().find(|entry| entry.path == path).map(|entry| entry.lines);
    let mut findings: Vec<Finding> =
        verdict(&format!("{path}: code lines"), lines, FILE_LIMIT, granted).into_iter().collect();
    if tests > INLINE_TESTS_LIMIT {
        findings.push(format!(
            "{path}: {tests} code lines of inline tests, the limit is {INLINE_TESTS_LIMIT}: move them to a tests.rs beside it"
        ));
    }
    for function in source.functions() {
        let granted = exceptions
            .function
            .iter()
            .find(|entry| entry.path == path && entry.name == function.name)
            .map(|entry| entry.lines);
        let what = format!("{path}:{}: fn {}: code lines", function.line, function.name);
        findings.extend(verdict(&what, function.code_lines, FUNCTION_LIMIT, granted));
    }
    findings
}

/// Entries of the list whose file or function is not there any more.
pub fn stale(sources: &[(String, String)], exceptions: &Exceptions) -> Vec<Finding> {
    let text_of = |path: &str| sources.iter().find(|(known, _)| known == path).map(|(_, text)| text);
    let files = exceptions
        .file
        .iter()
        .filter(|entry| text_of(&entry.path).is_none())
        .map(|entry| format!("tests/tidy/exceptions.toml: there is no {}: remove its entry", entry.path));
    let functions = exceptions
        .function
        .iter()
        .filter(|entry| {
            let named = |text: &String| Source::new(text).functions().iter().any(|f| f.name == entry.name);
            !text_of(&entry.path).is_some_and(named)
        })
        .map(|entry| {
            format!(
                "tests/tidy/exceptions.toml: there is no fn {} in {}: remove its entry",
                entry.name, entry.path
            )
        });
    files.chain(functions).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exceptions::{File, Function};

    fn function_of(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_at_the_limit_passes_and_one_above_does_not() {
        let none = Exceptions::default();
        assert_eq!(check("a.rs", &function_of(FUNCTION_LIMIT), &none), Vec::<Finding>::new());
        assert_eq!(check("a.rs", &function_of(FUNCTION_LIMIT + 1), &none).len(), 1);
    }

    #[test]
    fn inline_tests_have_a_budget_of_their_own() {
        let none = Exceptions::default();
        let code = "const A: u8 = 1;\n".repeat(FILE_LIMIT);
        let tests =
            |lines: usize| format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "const B: u8 = 1;\n".repeat(lines));
        assert_eq!(check("a.rs", &(code.clone() + &tests(200)), &none), Vec::<Finding>::new());
        assert_eq!(check("a.rs", &tests(INLINE_TESTS_LIMIT), &none).len(), 1);
        assert_eq!(check("a.rs", &(code + "const C: u8 = 1;\n"), &none).len(), 1);
    }

    #[test]
    fn an_exception_excuses_exactly_what_it_names() {
        let why = "because".to_owned();
        let list = Exceptions {
            function: vec![Function {
                path: "a.rs".to_owned(),
                name: "long".to_owned(),
                lines: 80,
                why: why.clone(),
            }],
            file: vec![File { path: "gone.rs".to_owned(), lines: 600, why }],
            ..Exceptions::default()
        };
        assert_eq!(check("a.rs", &function_of(80), &list), Vec::<Finding>::new());
        assert_eq!(check("b.rs", &function_of(80), &list).len(), 1);
        let sources = [("a.rs".to_owned(), function_of(80))];
        assert_eq!(stale(&sources, &list).len(), 1, "gone.rs");
        let renamed = [("a.rs".to_owned(), function_of(80).replace("long", "short"))];
        assert_eq!(stale(&renamed, &list).len(), 2, "gone.rs and fn long");
    }
}
