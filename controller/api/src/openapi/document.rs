//! One description, of a list of routes.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::http::described_faults;
use crate::routes::{BYTES, Content, Proof, Route, Shape};

/// The description of `routes`, whose paths are told without `prefix`. The same routes give the same text.
pub fn document(routes: &[Route], prefix: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut generator = SchemaGenerator::new(settings);
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut faults = Map::new();
    for route in routes {
        // What no method is said for, and what is refused whatever is asked, is nothing to call.
        let (Some(method), Some(status)) = (&route.method, route.shape.status) else { continue };
        if route.path.contains("{*") {
            continue;
        }
        let service = service(&route.path);
        faults.entry(service).or_insert_with(|| fault(&route.path));
        let below = route.path.strip_prefix(prefix).unwrap_or(&route.path);
        let path = if below.is_empty() { "/" } else { below };
        let item = paths.entry(path.to_owned()).or_default();
        if !item.contains_key("parameters") && route.parameters().next().is_some() {
            item.insert("parameters".to_owned(), route.parameters().map(path_parameter).collect());
        }
        let operation = operation(&mut generator, route, status, service);
        item.insert(method.as_str().to_lowercase(), operation);
    }
    let url = if prefix.is_empty() { "/" } else { prefix };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Updraft",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The APIs of this cloud. They are OpenStack's: their API references say what each call means.",
        },
        "servers": [{"url": url}],
        "paths": paths,
        "components": {
            "responses": faults,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Auth-Token",
                    "description": "As POST /v3/auth/tokens gives it, in X-Subject-Token.",
                },
                "host": {"type": "http", "scheme": "bearer", "description": "The credential of a host."},
            },
        },
    })
}

/// The name of the service that a path belongs to.
pub(crate) fn service(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("image") => "image",
        Some("compute") => "compute",
        Some("network") => "network",
        Some("host") => "host",
        Some("console") => "console",
        Some("v3") => "identity",
        _ => "cloud",
    }
}

fn path_parameter(name: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}})
}

fn operation(generator: &mut SchemaGenerator, route: &Route, status: u16, service: &str) -> Value {
    let Route { method, path, handler, shape } = route;
    let method = method.as_ref().map_or("any", |method| method.as_str());
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let id = words.fold(method.to_lowercase(), |id, word| format!("{id}_{word}"));
    let mut operation = json!({
        "operationId": id,
        "tags": [service],
        "x-handler": handler,
        "security": security(shape),
        "responses": responses(shape, status, service),
    });
    let parameters = parameters(generator, shape);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    match &shape.body {
        Some(Content::Json(media_type, schema)) => {
            let schema = schema.schema(generator);
            operation["requestBody"] =
                json!({"required": true, "content": {*media_type: {"schema": schema}}});
        }
        Some(Content::Bytes) => {
            operation["requestBody"] = json!({"required": true, "content": {BYTES: {"schema": {}}}});
        }
        None => {}
    }
    operation
}

fn security(shape: &Shape) -> Value {
    match (shape.is_public, shape.proof) {
        (true, _) | (_, Proof::Nothing) => json!([]),
        (false, Proof::Token) => json!([{"token": []}]),
        (false, Proof::HostCredential) => json!([{"host": []}]),
    }
}

fn parameters(generator: &mut SchemaGenerator, shape: &Shape) -> Vec<Value> {
    let text = || json!({"type": "string"});
    let parameter = |place: &str, name: &str, schema: Value, required: bool| json!({"name": name, "in": place, "required": required, "schema": schema});
    let mut parameters: Vec<Value> =
        shape.headers.iter().map(|name| parameter("header", name, text(), false)).collect();
    parameters.extend(shape.queries.iter().map(|name| parameter("query", name, text(), false)));
    let schema = shape.query.as_ref().map(|schema| schema.schema(generator)).unwrap_or_default();
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name))
    };
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        parameters.push(parameter("query", name, member.clone(), required(name)));
    }
    parameters
}

/// Each answer has the request's id; each fault the service's own shape.
fn responses(shape: &Shape, status: u16, service: &str) -> Value {
    let id = json!({"x-openstack-request-id": {"required": true, "schema": {"type": "string"}}});
    let mut good = json!({"description": "Done.", "headers": id});
    if let Some(media_type) = shape.answer {
        good["content"] = json!({media_type: {}});
    }
    let fault = json!({"$ref": format!("#/components/responses/{service}")});
    let mut responses = Map::from_iter([(status.to_string(), good)]);
    for other in &shape.other_statuses {
        responses.insert(other.to_string(), json!({"description": "Done."}));
    }
    if security(shape) != json!([]) {
        responses.insert("401".to_owned(), fault.clone());
    }
    responses.insert("4XX".to_owned(), fault.clone());
    responses.insert("5XX".to_owned(), fault);
    responses.into()
}

fn fault(path: &str) -> Value {
    json!({
        "description": "Refused or failed, and why.",
        "headers": {"x-openstack-request-id": {"required": true, "schema": {"type": "string"}}},
        "content": described_faults(path),
    })
}
