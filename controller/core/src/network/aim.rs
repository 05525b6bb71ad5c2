use updraft_model::network::Standard;

use crate::{Error, ErrorKind, Result};

/// What a change is aimed at: a resource by its id, and the revision that it must still have.
#[derive(Clone, Debug)]
pub struct Aim {
    pub id: String,
    pub revision: Expected,
}

/// A revision that a client has seen and wants to change, and no later one (`If-Match`); `None` is any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected(pub Option<i64>);

impl Expected {
    /// 412 when the resource has changed since.
    pub(super) fn check(self, standard: &Standard) -> Result<()> {
        let Some(expected) = self.0.filter(|expected| *expected != standard.revision) else { return Ok(()) };
        let message = format!("Constrained to {expected}, but current revision is {}", standard.revision);
        Err(Error::new(ErrorKind::PreconditionFailed, "RevisionNumberConstraintFailed", message))
    }
}

impl From<&str> for Aim {
    fn from(id: &str) -> Self {
        Self { id: id.to_owned(), revision: Expected::default() }
    }
}

impl From<&String> for Aim {
    fn from(id: &String) -> Self {
        id.as_str().into()
    }
}
