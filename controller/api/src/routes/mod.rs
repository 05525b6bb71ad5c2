//! The routes of the API, known by name: what builds axum's router (which cannot be listed) keeps a list beside it.
//!
//! A file of handlers says its routes as it would to axum, with [`Routes`] in place of `axum::Router` and the
//! functions of [`methods`] in place of `axum::routing`. What a call takes and gives is read off its handler's
//! signature ([`shape`]); only what a signature cannot say is said beside it. The list is what the OpenAPI description
//! is made of, what the ledger (`tests/api/ledger.toml`) is checked against, and what the sweeps walk.

mod methods;
mod shape;

use axum::Router;
use axum::http::Method;
use updraft_core::Core;

pub use methods::{Methods, any, delete, get, patch, post, put};
pub use shape::{Answers, BYTES, Content, Describe, JSON, Proof, Reads, SchemaOf, Shape};

/// One method of one path.
#[derive(Clone, Debug)]
pub struct Route {
    /// `None`: whatever the method is.
    pub method: Option<Method>,
    /// With parameters in braces, as axum has it: `/v3/projects/{project_id}`.
    pub path: String,
    /// The handler by the path of its module.
    pub handler: &'static str,
    pub shape: Shape,
}

impl Route {
    /// The names in braces, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        let names = self.path.split('{').skip(1);
        names.filter_map(|part| part.split('}').next()).map(|name| name.trim_start_matches('*'))
    }
}

/// An axum router and the list of what is in it.
#[derive(Debug, Default)]
pub struct Routes {
    router: Router<Core>,
    listed: Vec<Route>,
}

impl Routes {
    pub fn new() -> Self {
        Self::default()
    }

    /// As `axum::Router::route`.
    pub fn route(self, path: &str, methods: Methods) -> Self {
        let (router, mut calls) = methods.into_parts();
        for call in &mut calls {
            path.clone_into(&mut call.path);
        }
        let listed = [self.listed, calls].concat();
        Self { router: self.router.route(path, router), listed }
    }

    pub fn merge(self, other: Self) -> Self {
        Self { router: self.router.merge(other.router), listed: [self.listed, other.listed].concat() }
    }

    /// As `axum::Router::nest`: `other` below `prefix`.
    pub fn nest(self, prefix: &str, mut other: Self) -> Self {
        for route in &mut other.listed {
            let below = if route.path == "/" { "" } else { route.path.as_str() };
            route.path = format!("{prefix}{below}");
        }
        Self { router: self.router.nest(prefix, other.router), listed: [self.listed, other.listed].concat() }
    }

    /// What is listed already, at a second place: `other` is served there, and the list stays as it is.
    pub fn alias(self, prefix: &str, other: Self) -> Self {
        Self { router: self.router.nest(prefix, other.router), listed: self.listed }
    }

    /// What axum's router can besides: layers, files.
    pub fn wrapped(self, wrap: impl FnOnce(Router<Core>) -> Router<Core>) -> Self {
        Self { router: wrap(self.router), listed: self.listed }
    }

    /// Every route, by path and method.
    pub fn list(&self) -> Vec<Route> {
        let mut listed = self.listed.clone();
        listed.sort_by_key(|route| (route.path.clone(), route.method.as_ref().map(Method::to_string)));
        listed
    }

    pub fn into_router(self) -> Router<Core> {
        self.router
    }
}
