//! The identity API, v3: the same at `/v3` and at `/identity/v3`.

pub mod discovery;

mod application_credentials;
mod auth;
mod catalog;
mod credentials;
mod domain_configs;
mod domains;
mod endpoint_filters;
mod endpoint_groups;
mod endpoint_policies;
mod endpoints;
mod federation;
mod grants;
mod groups;
mod implied_roles;
mod json_home;
mod limits;
mod list;
mod policies;
mod project_tags;
mod projects;
mod regions;
mod registered_limits;
mod revocations;
mod role_assignments;
mod roles;
mod services;
mod trusts;
mod unsupported;
mod users;

#[cfg(test)]
mod tests;

use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use updraft_core::Error;
use updraft_wire::identity::{ListLinks, SelfLink};

use crate::routes::{Routes, get};

/// What is served below `/` and below `/identity`.
pub fn routes() -> Routes {
    let v3 = Routes::new()
        .merge(application_credentials::routes())
        .merge(auth::routes())
        .merge(credentials::routes())
        .merge(domain_configs::routes())
        .merge(domains::routes())
        .merge(endpoint_filters::routes())
        .merge(endpoint_groups::routes())
        .merge(endpoint_policies::routes())
        .merge(endpoints::routes())
        .merge(federation::routes())
        .merge(grants::routes())
        .merge(groups::routes())
        .merge(implied_roles::routes())
        .merge(limits::routes())
        .merge(project_tags::routes())
        .merge(policies::routes())
        .merge(projects::routes())
        .merge(regions::routes())
        .merge(registered_limits::routes())
        .merge(revocations::routes())
        .merge(role_assignments::routes())
        .merge(roles::routes())
        .merge(services::routes())
        .merge(trusts::routes())
        .merge(unsupported::routes())
        .merge(users::routes());
    let whole = Routes::new().route("/v3", get(discovery::version).public()).nest("/v3", v3);
    whole.wrapped(|router| router.layer(map_response(varied)))
}

/// What is answered depends on whose token asks, and caches between are to know.
async fn varied(mut response: Response) -> Response {
    let by_token = HeaderValue::from_static("X-Auth-Token");
    response.headers_mut().entry(header::VARY).or_insert(by_token);
    response
}

fn self_link(endpoint: &str, path: &str, id: &str) -> SelfLink {
    SelfLink { this: format!("{endpoint}/identity/v3/{path}/{id}") }
}

fn list_links(endpoint: &str, path: &str) -> ListLinks {
    ListLinks::whole(format!("{endpoint}/identity/v3/{path}"))
}

/// 400 when a body that changes something names another id than the path.
fn same_id(given: Option<&str>, id: &str) -> Result<(), Error> {
    match given {
        Some(given) if given != id => Err(Error::bad_request("ValidationError", "Cannot change ID")),
        _ => Ok(()),
    }
}

/// 400 when a body asks for no change.
fn some_change<T: Default + PartialEq>(fields: &T) -> Result<(), Error> {
    match *fields == T::default() {
        true => Err(Error::bad_request("ValidationError", "Invalid input: it has no attributes")),
        false => Ok(()),
    }
}

/// The id in a body whose other attributes are kept as they come.
fn id_of(rest: &serde_json::Map<String, serde_json::Value>) -> Option<&str> {
    rest.get("id").and_then(serde_json::Value::as_str)
}

/// A field that a request must have.
fn required<T>(field: Option<T>, name: &str) -> Result<T, Error> {
    field.ok_or_else(|| Error::bad_request("ValidationError", format!("'{name}' is a required property")))
}
