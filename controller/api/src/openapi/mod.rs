//! `/openapi.json`: what all routes take and give, as an OpenAPI 3.1 description made from the routes themselves; the
//! same for one service below its prefix. Nobody needs a token to read it: it says nothing of any cloud.

mod document;

#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use axum::Json;
use serde_json::Value;

use crate::routes::{Methods, Route, Routes, get};

pub use document::document;

/// Where each service's own description starts.
const PREFIXES: [&str; 5] = ["/image", "/compute", "/network", "/host/v1", "/identity"];

/// The description of all of `listed`, and of each service.
pub(crate) fn routes(listed: &[Route]) -> Routes {
    let whole = Routes::new().route("/openapi.json", served(listed.to_vec(), ""));
    PREFIXES.iter().fold(whole, |routes, prefix| {
        // Identity is listed where its API reference has it, and served below a prefix as well.
        let of_service: Vec<Route> = match *prefix {
            "/identity" => listed.iter().filter(|route| route.path.starts_with("/v3")).cloned().collect(),
            prefix => {
                let below = |route: &&Route| route.path.strip_prefix(prefix).is_some_and(is_below);
                listed.iter().filter(below).cloned().collect()
            }
        };
        routes.route(&format!("{prefix}/openapi.json"), served(of_service, prefix))
    })
}

fn is_below(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

/// Made when somebody asks for it first.
fn served(listed: Vec<Route>, prefix: &'static str) -> Methods {
    type Made = Box<dyn FnOnce() -> Value + Send>;
    let make: Made = Box::new(move || document(&listed, prefix));
    let document = Arc::new(LazyLock::new(make));
    get(async move || Json(Value::clone(&document))).public()
}
