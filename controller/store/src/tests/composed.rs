//! The statements that `Select` puts together, read from the sources: each with all the conditions that it can have.

/// Methods of `Select` that add to its text.
const METHODS: [&str; 8] =
    [".and(", ".and_eq(", ".and_compare(", ".and_in(", ".and_raw(", ".raw(", ".bind(", ".order("];
/// What a literal is called where it stands for several, in a loop: that statement is run, not prepared.
const LOOPED: &str = "sql";

/// The longest statement of each `Select::new(…)…fetch(` in a source (or `…execute(`); where an argument is no literal of
/// the file, an error that says so.
pub(super) fn statements(source: &str) -> Vec<Result<String, String>> {
    let starts: Vec<usize> = source.match_indices("Select::new(").map(|(at, _)| at).collect();
    let chains = starts.iter().map(|&start| {
        let rest = &source[start..];
        let end = [".fetch(", ".execute("].iter().filter_map(|end| rest.find(end)).min();
        &rest[..end.unwrap_or(rest.len())]
    });
    chains
        .filter(|chain| !chain.contains(&format!("({LOOPED},")))
        .map(|chain| compose(source, chain))
        .collect()
}

fn compose(source: &str, chain: &str) -> Result<String, String> {
    let mut sql = text(source, argument(chain, 0))?;
    let mut joiner = " WHERE ";
    let mut at = 0;
    while let Some((found, method)) = next(chain, at) {
        at = found + method.len();
        let first = argument(&chain[found..], 0);
        if method.starts_with(".and") {
            sql.push_str(std::mem::replace(&mut joiner, " AND "));
        }
        match method {
            ".bind(" => sql.push('?'),
            ".order(" => sql.push_str(&format!(" ORDER BY {} LIMIT ?", text(source, first)?)),
            ".and_eq(" => sql.push_str(&format!("{} = ?", text(source, first)?)),
            ".and_in(" => sql.push_str(&format!("{} IN (?, ?)", text(source, first)?)),
            ".and_compare(" => {
                let operator = text(source, argument(&chain[found..], 1))?;
                sql.push_str(&format!("{}{operator}?", text(source, first)?));
            }
            _ => sql.push_str(&text(source, first)?),
        }
    }
    Ok(sql)
}

/// The nearest call of one of [`METHODS`].
fn next(chain: &str, from: usize) -> Option<(usize, &'static str)> {
    let found = METHODS.iter().filter_map(|method| chain[from..].find(method).map(|at| (from + at, *method)));
    found.min_by_key(|(at, _)| *at)
}

/// One argument of the call that the text begins with.
fn argument(call: &str, number: usize) -> &str {
    let start = call.find('(').map_or(0, |open| open + 1);
    let (mut depth, mut quoted, mut seen, mut first) = (0, false, 0, start);
    let mut escaped = false;
    for (at, character) in call.char_indices().skip_while(|(at, _)| *at < start) {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            ',' if depth == 0 && seen < number => (seen, first) = (seen + 1, at + 1),
            ',' | ')' if depth == 0 => return call[first..at].trim(),
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
    }
    call[first..].trim()
}

/// A literal, or the one that is bound to a name in the same file.
fn text(source: &str, argument: &str) -> Result<String, String> {
    if argument.starts_with('"') {
        return Ok(super::statements::literals(argument).remove(0));
    }
    for binding in [format!("const {argument}: &str ="), format!("let {argument} =")] {
        if let Some(at) = source.find(&binding) {
            let rest = source[at + binding.len()..].trim_start();
            if rest.starts_with('"') {
                return Ok(super::statements::literals(rest).remove(0));
            }
        }
    }
    Err(format!("'{argument}' is no literal of this file"))
}

#[test]
fn a_statement_has_all_its_conditions() {
    let source = r#"const ALL: &str = "SELECT a \
        FROM b";
        let mut select = Select::new(ALL).and_eq("c", Some(f(1, 2))).and_compare("d", " > ", x);
        if y { select = select.and_raw("(e = ").bind(y).raw(" OR f)"); }
        select.and_in("g", z).order("h, i", None).fetch(conn)"#;
    let expected =
        "SELECT a FROM b WHERE c = ? AND d > ? AND (e = ? OR f) AND g IN (?, ?) ORDER BY h, i LIMIT ?";
    assert_eq!(statements(source), [Ok(expected.to_owned())]);
    assert!(statements("Select::new(UNKNOWN).fetch(conn)")[0].is_err());
}
