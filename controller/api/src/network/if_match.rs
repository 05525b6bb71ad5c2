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
        let Some(given) = given.filter(|given| given.contains(REVISION)) else {
            return Ok(Self(Expected::default()));
        };
        let number = given.trim().strip_prefix(REVISION).and_then(|number| number.parse().ok());
        let malformed = || {
            let message =
                "Bad if-match request: Revision number etag must be in the format of revision_number=<int>.";
            Error::bad_request("BadRequest", message)
        };
        Ok(Self(Expected(Some(number.ok_or_else(malformed)?))))
    }
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
