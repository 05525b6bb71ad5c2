use crate::Timestamp;

/// What lets a program log in as a user in one project, with some of the user's roles and a secret of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct ApplicationCredential {
    pub id: String,
    pub user_id: String,
    pub project_id: String,
    /// Unique among the user's.
    pub name: String,
    pub description: Option<String>,
    /// A PHC string (argon2id).
    pub secret_hash: String,
    pub expires_at: Option<Timestamp>,
    /// May make and delete other credentials.
    pub unrestricted: bool,
    /// What it may do at most; what it does is that and what its user still holds.
    pub role_ids: Vec<String>,
    /// The calls that it may make; all when empty.
    pub access_rules: Vec<AccessRule>,
}

/// The hash stays out of logs and panics.
impl std::fmt::Debug for ApplicationCredential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ApplicationCredential").field("id", &self.id).finish_non_exhaustive()
    }
}

/// One kind of call: a service by its type in the catalog, an HTTP method, and a pattern of paths in which
/// `{name}` and `*` stand for one segment and `**` for any number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    pub id: String,
    pub service: String,
    pub method: String,
    pub path: String,
}

impl AccessRule {
    /// Whether the rule lets a call through. Paths are compared byte for byte, as they came in.
    pub fn allows(&self, service: &str, method: &str, path: &str) -> bool {
        self.service == service && self.method == method && path_fits(self.path.as_bytes(), path.as_bytes())
    }
}

/// Walks pattern and path side by side, remembering the last wildcard that could have taken more: linear in
/// their product, so a hostile pattern costs 225 bytes times the path at most.
fn path_fits(pattern: &[u8], path: &[u8]) -> bool {
    let tokens = tokens(pattern);
    // reachable[i]: the tokens read so far can end at byte i of the path.
    let mut reachable = vec![false; path.len() + 1];
    reachable[0] = true;
    for token in tokens {
        let mut next = vec![false; path.len() + 1];
        match token {
            Token::Literal(byte) => {
                for (at, is_here) in path.iter().enumerate() {
                    next[at + 1] = reachable[at] && *is_here == byte;
                }
            }
            Token::Segment => {
                let mut open = false;
                for (at, byte) in path.iter().enumerate() {
                    open = (open || reachable[at]) && *byte != b'/';
                    next[at + 1] = open;
                }
            }
            Token::Anything => {
                let mut open = false;
                for (at, was) in reachable.iter().enumerate() {
                    open |= *was;
                    next[at] = open;
                }
            }
        }
        reachable = next;
    }
    reachable[path.len()]
}

enum Token {
    Literal(u8),
    /// One character or more, none of them a slash.
    Segment,
    Anything,
}

fn tokens(mut pattern: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    while let Some((first, rest)) = pattern.split_first() {
        pattern = match first {
            b'{' => match rest.iter().position(|byte| *byte == b'}') {
                Some(end) => {
                    tokens.push(Token::Segment);
                    &rest[end + 1..]
                }
                None => {
                    tokens.push(Token::Literal(b'{'));
                    rest
                }
            },
            b'*' if rest.first() == Some(&b'*') => {
                tokens.push(Token::Anything);
                &rest[1..]
            }
            b'*' => {
                tokens.push(Token::Segment);
                rest
            }
            byte => {
                tokens.push(Token::Literal(*byte));
                rest
            }
        };
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::path_fits;

    #[test]
    fn patterns_take_the_paths_that_keystonemiddleware_lets_them() {
        for (pattern, path, fits) in [
            ("/v2.1/servers", "/v2.1/servers", true),
            ("/v2.1/servers", "/v2.1/servers/1", false),
            ("/v2.1/servers", "/v2x1/servers", false),
            ("/v2.1/servers/{server_id}", "/v2.1/servers/1", true),
            ("/v2.1/servers/{server_id}", "/v2.1/servers/", false),
            ("/v2.1/servers/{server_id}", "/v2.1/servers/1/ips", false),
            ("/v2.1/servers/*/ips", "/v2.1/servers/1/ips", true),
            ("/v2.1/servers/*/ips", "/v2.1/servers/1/2/ips", false),
            ("/v2.1/**", "/v2.1/servers/1/2/ips", true),
            ("/v2.1/**", "/v2.1/", true),
            ("/v2.1/**", "/v2.1", false),
            ("/**/ips", "/v2.1/servers/1/ips", true),
            ("**", "", true),
            ("/{open", "/{open", true),
            ("/a/{x}-{y}/b", "/a/1-2/b", true),
            ("/.*", "/anything", false),
        ] {
            assert_eq!(path_fits(pattern.as_bytes(), path.as_bytes()), fits, "{pattern} {path}");
        }
    }
}
