//! Just enough of Rust's syntax: what is code and what is not, where functions and test modules begin and end.

/// A source whose comments and literals are out of the way.
pub struct Source {
    /// The text with comments blanked and the inside of literals replaced by `"`; line and byte positions are kept.
    pub code: String,
    /// The text as written, by line.
    pub lines: Vec<String>,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// First line, counted from 1.
    pub line: usize,
    /// Lines with code from the signature to the closing brace.
    pub code_lines: usize,
}

impl Source {
    pub fn new(text: &str) -> Self {
        Self { code: mask(text), lines: text.lines().map(str::to_owned).collect() }
    }

    /// The number (from 1) of the line that holds a byte of the text.
    pub fn line_of(&self, position: usize) -> usize {
        self.code[..position].matches('\n').count() + 1
    }

    /// Lines from `first` to `last` (from 1, both included) that hold code.
    pub fn code_lines(&self, first: usize, last: usize) -> usize {
        let lines = self.code.lines().skip(first - 1).take(last + 1 - first);
        lines.filter(|line| !line.trim().is_empty()).count()
    }

    /// Positions of a keyword or name, as a word of its own.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.code.match_indices(word).map(|(position, _)| position).filter(move |position| {
            let before = self.code[..*position].chars().next_back();
            let after = self.code[position + word.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
    }

    /// The position after the brace that closes the one at `open`, or the end of the text.
    pub fn closing(&self, open: usize) -> usize {
        let mut depth = 0;
        for (offset, byte) in self.code.bytes().enumerate().skip(open) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return offset + 1;
            }
        }
        self.code.len()
    }

    /// Every function that has a body.
    pub fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for position in self.words("fn") {
            let rest = self.code[position + 2..].trim_start();
            let name: String = rest.chars().take_while(|character| is_word(*character)).collect();
            if name.is_empty() {
                continue; // a type: fn(u8)
            }
            if let Some(open) = self.body(position) {
                let (first, last) = (self.line_of(position), self.line_of(self.closing(open) - 1));
                functions.push(Function { name, line: first, code_lines: self.code_lines(first, last) });
            }
        }
        functions
    }

    /// The opening brace of the item at `position`, unless it ends with a semicolon before.
    fn body(&self, position: usize) -> Option<usize> {
        let mut depth = 0;
        for (offset, byte) in self.code.bytes().enumerate().skip(position) {
            match byte {
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth -= 1,
                b'{' if depth == 0 => return Some(offset),
                b';' if depth == 0 => return None,
                _ => {}
            }
        }
        None
    }

    /// First and last line of each `#[cfg(test)] mod name { … }`.
    pub fn test_modules(&self) -> Vec<(usize, usize)> {
        let mut modules = Vec::new();
        for (position, attribute) in self.code.match_indices("#[cfg(test)]") {
            let rest = &self.code[position + attribute.len()..];
            if !rest.trim_start().trim_start_matches("pub ").starts_with("mod ") {
                continue;
            }
            if let Some(open) = self.body(position + attribute.len()) {
                modules.push((self.line_of(position), self.line_of(self.closing(open) - 1)));
            }
        }
        modules
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Blanks comments, fills literals; every other byte stays where it is.
fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut masked = Vec::with_capacity(bytes.len());
    while masked.len() < bytes.len() {
        let at = masked.len();
        let rest = &bytes[at..];
        let (length, fill) = if rest.starts_with(b"//") {
            (rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()), b' ')
        } else if rest.starts_with(b"/*") {
            (block_comment(rest), b' ')
        } else {
            (literal(rest, at.checked_sub(1).map(|before| bytes[before])), b'"')
        };
        if length == 0 {
            masked.push(rest[0]);
        }
        for byte in &rest[..length] {
            masked.push(if *byte == b'\n' { b'\n' } else { fill });
        }
    }
    String::from_utf8_lossy(&masked).into_owned()
}

fn block_comment(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of the string or character literal at the start of `text`; 0 when there is none.
fn literal(text: &[u8], before: Option<u8>) -> usize {
    let after_word = before.is_some_and(|byte| is_word(byte as char));
    match text[0] {
        b'"' => quoted(text, b'"'),
        b'\'' => character(text),
        b'r' | b'b' | b'c' if !after_word => {
            let prefix = text.iter().take_while(|byte| matches!(byte, b'r' | b'b' | b'c')).count();
            prefixed(text, prefix)
        }
        _ => 0,
    }
}

/// `b"…"`, `r#"…"#`, `br"…"`, `b'…'` and their like.
fn prefixed(text: &[u8], prefix: usize) -> usize {
    let hashes = text[prefix..].iter().take_while(|byte| **byte == b'#').count();
    let open = prefix + hashes;
    match text.get(open) {
        Some(b'"') if text[..prefix].contains(&b'r') => {
            let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
            let inside = &text[open + 1..];
            let length = inside.windows(end.len()).position(|window| window == end);
            length.map_or(text.len(), |length| open + 1 + length + end.len())
        }
        Some(b'"') if hashes == 0 => prefix + quoted(&text[prefix..], b'"'),
        Some(b'\'') if hashes == 0 && &text[..prefix] == b"b" => prefix + quoted(&text[prefix..], b'\''),
        _ => 0,
    }
}

fn quoted(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// `'a'` and `'\n'` are literals, `'a` in `&'a str` is a lifetime.
fn character(text: &[u8]) -> usize {
    if text.get(1) == Some(&b'\\') {
        return quoted(text, b'\'');
    }
    let rest = String::from_utf8_lossy(&text[1..text.len().min(6)]).into_owned();
    let mut characters = rest.chars();
    match (characters.next(), characters.next()) {
        (Some(inside), Some('\'')) => 2 + inside.len_utf8(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "let a = \"unsafe { // \\\" }\"; // unsafe {\n/* a /* b */ { */ let b = r#\"{\"#;\nlet c: &'static str = f('{', b'\\'', '\\n');\n";
        let source = Source::new(text);
        assert_eq!(source.code.len(), text.len());
        assert!(!source.code.contains('{'), "{}", source.code);
        assert!(!source.code.contains("unsafe"));
        assert!(source.code.contains("let b ="));
        assert!(source.code.contains("'static str"));
    }

    #[test]
    fn functions_are_measured_without_comments() {
        let text = "fn declared(a: [u8; 2]);\n\nfn first(f: fn(u8) -> u8)\nwhere\n    F: Fn(),\n{\n    // why\n\n    if a { b }\n}\nfn second() {}\n";
        let functions = Source::new(text).functions();
        let found: Vec<_> = functions.iter().map(|f| (f.name.as_str(), f.line, f.code_lines)).collect();
        assert_eq!(found, [("first", 3, 6), ("second", 11, 1)]);
    }

    #[test]
    fn test_modules_are_found() {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n#[cfg(test)]\nmod other;\nfn c() {}\n";
        assert_eq!(Source::new(text).test_modules(), [(2, 5)]);
    }

    #[test]
    fn words_stand_alone() {
        let source = Source::new("unsafe_code unsafe { nounsafe }");
        assert_eq!(source.words("unsafe").collect::<Vec<_>>(), [12]);
    }
}
