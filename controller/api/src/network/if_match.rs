use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use updraft_core::Error;
use updraft_core::network::{Aim, Expected};

use crate::http::Fault;
use crate::routes::{Reads, Shape};

const REVISION: &str = "revision_number=";

/// The header `If-Match: revision_number=N` (the `revision-if-match` extension). What it says in other words is for
/// somebody else.
#[derive(Clone, Copy, Debug)]
pub(super) struct IfMatch(Expected);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fault> {
        let given = parts.headers.get(header::IF_MATCH).and_then(|given| given.to_str().ok());
        Ok(Self(Expected(revision(given.unwrap_or_default())?)))
    }
}

/// The revision among the strong entity tags of a header (RFC 9110, section 13.1.1), which clients leave unquoted, too.
fn revision(given: &str) -> Result<Option<i64>, Error> {
    let refuse = |reason: &str| Error::bad_request("BadRequest", format!("Bad if-match request: {reason}."));
    let tags = given.split(',').map(str::trim);
    let mut revisions = tags.map(|tag| tag.trim_matches('"')).filter(|tag| tag.starts_with(REVISION));
    let Some(first) = revisions.next() else { return Ok(None) };
    if revisions.next().is_some() {
        return Err(refuse("Multiple revision_number etags are not supported"));
    }
    let number = first.strip_prefix(REVISION).and_then(|number| number.parse().ok());
    let malformed = || refuse("Revision number etag must be in the format of revision_number=<int>");
    number.map(Some).ok_or_else(malformed)
}

impl Reads for IfMatch {
    fn describe(shape: &mut Shape) {
        shape.headers.push("If-Match");
    }
}

impl IfMatch {
    pub fn aim(self, id: String) -> Aim {
        Aim { id, revision: self.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::revision;

    #[test]
    fn the_revision_is_found_among_tags() {
        for (given, found) in [
            ("", Some(None)),
            ("*", Some(None)),
            ("\"x\"", Some(None)),
            ("revision_number=5", Some(Some(5))),
            ("\"revision_number=5\"", Some(Some(5))),
            ("\"x\", \"revision_number=3\"", Some(Some(3))),
            ("W/\"revision_number=5\"", Some(None)),
            ("revision_number=", None),
            ("revision_number=x", None),
            ("\"revision_number=1\", \"revision_number=2\"", None),
        ] {
            assert_eq!(revision(given).ok(), found, "{given}");
        }
    }
}
