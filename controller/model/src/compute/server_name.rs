/// The longest DNS label, in bytes (RFC 1035, 2.3.4).
const LABEL_MAX: usize = 63;

/// The host name that a guest should take: a DNS label made of its display name. A name without any usable
/// character becomes `fallback`.
///
/// Nova's rule: spaces and underscores become hyphens, what no host name may hold goes, the rest is lower case.
pub fn hostname_from(display_name: &str, fallback: &str) -> String {
    let label: String = display_name
        .chars()
        .filter_map(|character| match character {
            ' ' | '_' | '.' => Some('-'),
            'a'..='z' | '0'..='9' | '-' => Some(character),
            'A'..='Z' => Some(character.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    let label = label.trim_matches('-');
    let label: String = label.chars().take(LABEL_MAX).collect();
    let label = label.trim_end_matches('-');
    if label.is_empty() { fallback.to_owned() } else { label.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::hostname_from;

    #[test]
    fn a_display_name_becomes_a_dns_label() {
        for (name, label) in [
            ("web-1", "web-1"),
            ("My Server_Name", "my-server-name"),
            ("a.b", "a-b"),
            ("--x--", "x"),
            ("日本", "server-1"),
            ("; rm -rf /\n", "rm--rf"),
        ] {
            assert_eq!(hostname_from(name, "server-1"), label, "{name}");
        }
        assert_eq!(hostname_from(&"x".repeat(200), "f").len(), 63);
    }
}
