//! What programs and people authenticate with, seen from outside. Tests of an attack are named after its row in the
//! list of threats.

mod application_credentials;
mod compliance;
mod credentials;
mod factors;
mod federation;
mod logins;
mod signed;
mod trusts;
mod websso;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::test_cloud::{Reply, TestCloud};

/// `POST /v3/auth/tokens` by one method, with a scope (none when null).
async fn login_by(cloud: &TestCloud, method: &str, proof: Value, scope: Value) -> Reply {
    let mut auth = json!({"identity": {"methods": [method], method: proof}});
    if !scope.is_null() {
        auth["scope"] = scope;
    }
    cloud.post("/v3/auth/tokens", "", json!({"auth": auth})).await
}

/// The token of a login that succeeded.
fn token_of(reply: &Reply) -> String {
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.json());
    reply.header("x-subject-token").to_owned()
}

/// The names of the roles in a token.
fn roles_of(reply: &Reply) -> Vec<String> {
    let json = reply.json();
    let roles = json["token"]["roles"].as_array().cloned().unwrap_or_default();
    roles.iter().map(|role| role["name"].as_str().unwrap().to_owned()).collect()
}

/// A user of the domain `default` without any role (password: the name), by id.
async fn user(cloud: &TestCloud, name: &str) -> String {
    let admin = cloud.admin().await;
    let body = json!({"user": {"name": name, "password": name}});
    cloud.post("/v3/users", &admin, body).await.text("/user/id")
}
