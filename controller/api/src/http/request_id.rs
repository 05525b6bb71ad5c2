use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

const OPENSTACK: HeaderName = HeaderName::from_static("x-openstack-request-id");
const COMPUTE: HeaderName = HeaderName::from_static("x-compute-request-id");
const PREFIX: &str = "req-";

/// `req-<uuid>`: joins a request, its answer, the log and the tasks that it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId {
    own: String,
    /// What the client sent, to join the calls of one operation over several services.
    global: Option<String>,
}

impl RequestId {
    /// A fresh id; the client's own is carried along when it has the form of one.
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let given = headers.get(OPENSTACK).and_then(|value| value.to_str().ok());
        let is_id = |id: &&str| id.strip_prefix(PREFIX).is_some_and(|uuid| Uuid::try_parse(uuid).is_ok());
        Self { own: format!("{PREFIX}{}", Uuid::new_v4()), global: given.filter(is_id).map(Into::into) }
    }

    /// The id of the request that these extensions belong to.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_else(|| Self::new(&HeaderMap::new()))
    }

    pub fn as_str(&self) -> &str {
        &self.own
    }

    /// The client's id for the whole operation, if it sent one.
    pub fn global(&self) -> Option<&str> {
        self.global.as_deref()
    }

    pub(super) fn write_to(&self, headers: &mut HeaderMap, is_compute: bool) {
        let Ok(value) = HeaderValue::from_str(&self.own) else { return };
        if is_compute {
            headers.insert(COMPUTE, value.clone());
        }
        headers.insert(OPENSTACK, value);
    }
}
