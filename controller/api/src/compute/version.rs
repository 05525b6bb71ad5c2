//! The microversion of a request, in and out.

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use updraft_core::{Error, ErrorKind};
use updraft_wire::compute::Microversion;

use crate::http::{Fault, microversion};
use crate::routes::{Reads, Shape};

const HEADER: &str = "openstack-api-version";
/// The header of before 2.27.
const LEGACY_HEADER: &str = "x-openstack-nova-api-version";

/// The microversion that a handler answers in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version(pub Microversion);

impl Version {
    /// 404 before 2.`minor`: the call did not exist.
    pub fn since(self, minor: u16) -> Result<Microversion, Fault> {
        if self.0.at_least(minor) { Ok(self.0) } else { Err(Fault::no_such_path()) }
    }

    /// 404 after 2.`minor`: the call is gone.
    pub fn until(self, minor: u16) -> Result<Microversion, Fault> {
        if self.0.0 <= minor { Ok(self.0) } else { Err(Fault::no_such_path()) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Version {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fault> {
        let version = parts.extensions.get::<Self>().copied();
        version.ok_or_else(|| Error::internal("a compute route is outside of the version layer").into())
    }
}

impl Reads for Version {
    fn describe(shape: &mut Shape) {
        shape.headers.push("OpenStack-API-Version");
    }
}

/// Reads the version that the request asks for (406 when it is not offered) and puts it on the answer.
pub(super) async fn negotiate(mut request: Request, next: Next) -> Response {
    let range = (of(Microversion::MIN), of(Microversion::MAX));
    let asked =
        microversion::Microversion::requested(request.headers(), "compute", Some(LEGACY_HEADER), range);
    let version = match asked {
        Ok(version) => Microversion(version.minor),
        Err(error) => {
            let out_of_range = error.kind == ErrorKind::NotAcceptable;
            let response = Fault::from(error).into_response();
            return if out_of_range { varying(response) } else { response };
        }
    };
    request.extensions_mut().insert(Version(version));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&format!("compute {version}")) {
        headers.insert(HEADER, value);
    }
    if let Ok(value) = HeaderValue::from_str(&version.to_string()) {
        headers.insert(LEGACY_HEADER, value);
    }
    varying(response)
}

fn varying(mut response: Response) -> Response {
    let names = HeaderValue::from_static("OpenStack-API-Version, X-OpenStack-Nova-API-Version");
    response.headers_mut().append(header::VARY, names);
    response
}

const fn of(version: Microversion) -> microversion::Microversion {
    microversion::Microversion::new(2, version.0)
}
