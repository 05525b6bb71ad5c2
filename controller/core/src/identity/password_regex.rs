//! What a password must look like, in a regular expression as Keystone's operators write it.

use regex::{Regex, RegexBuilder};

/// The largest compiled pattern, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// A pattern that a password must match from its first character on. Python's patterns may begin with conditions,
/// `(?=…)` and `(?!…)`; here each is a pattern of its own, so matching takes time that grows with the password's length
/// alone.
#[derive(Clone, Debug)]
pub struct PasswordRegex {
    text: String,
    /// Each with whether it must match, or must not.
    patterns: Vec<(Regex, bool)>,
}

impl PasswordRegex {
    /// `None` for what is no pattern, or has conditions elsewhere than at its beginning.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('^').unwrap_or(text);
        let mut patterns = Vec::new();
        while let Some((condition, must_match, after)) = leading_condition(rest) {
            patterns.push((compiled(condition)?, must_match));
            rest = after;
        }
        patterns.push((compiled(rest)?, true));
        Some(Self { text: text.to_owned(), patterns })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, password: &str) -> bool {
        self.patterns.iter().all(|(pattern, must_match)| pattern.is_match(password) == *must_match)
    }
}

fn compiled(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(&format!("^(?:{pattern})")).size_limit(MAX_BYTES).build().ok()
}

/// The condition that a pattern begins with: what is in it, whether it must match, and what follows it.
fn leading_condition(pattern: &str) -> Option<(&str, bool, &str)> {
    let (inside, must_match) = match (pattern.strip_prefix("(?="), pattern.strip_prefix("(?!")) {
        (Some(inside), _) => (inside, true),
        (None, Some(inside)) => (inside, false),
        (None, None) => return None,
    };
    let mut depth = 1;
    let mut in_class = false;
    let mut letters = inside.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => depth += 1,
            ')' if !in_class => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&inside[..at], must_match, &inside[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::PasswordRegex;

    #[test]
    fn conditions_are_those_of_python() {
        let keystones_example = PasswordRegex::parse(r"^(?=.*\d)(?=.*[a-zA-Z]).{7,}$").unwrap();
        for (password, fits) in [("abcdef1", true), ("abcdefg", false), ("1234567", false), ("abc1", false)] {
            assert_eq!(keystones_example.matches(password), fits, "{password}");
        }
        let without = PasswordRegex::parse(r"(?!.*(?:secret|[)(]))\w{3}").unwrap();
        for (password, fits) in [("abcd", true), ("xsecret", false), ("ab", false), ("abc)", false)] {
            assert_eq!(without.matches(password), fits, "{password}");
        }
        assert_eq!(without.as_str(), r"(?!.*(?:secret|[)(]))\w{3}");
    }

    #[test]
    fn what_cannot_be_matched_in_linear_time_is_refused() {
        for bad in [r"a(?=b)", r"(a)\1", "(", "(?=a"] {
            assert!(PasswordRegex::parse(bad).is_none(), "{bad}");
        }
    }
}
