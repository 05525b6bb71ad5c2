//! What a client says of itself counts for nothing: who it is, and whose a thing is, come from the token and the
//! database.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Map, Value, json};

use crate::test_cloud::TestCloud;

/// Every path of the JSON Home document, with ids of things that are somebody else's.
async fn paths(cloud: &TestCloud, ids: &[(&str, &str)]) -> Vec<String> {
    let request = Request::get("/v3").header("accept", "application/json-home").body(Body::empty()).unwrap();
    let home = cloud.send(request).await.json();
    let resources = home["resources"].as_object().unwrap();
    assert!(resources.len() > 60, "{} resources", resources.len());
    let hrefs = resources.values().map(|resource| {
        let href = resource.get("href").or_else(|| resource.get("href-template")).unwrap();
        let mut path = href.as_str().unwrap().to_owned();
        for (name, id) in ids {
            path = path.replace(&format!("{{{name}}}"), id);
        }
        // What else is asked for need not be there.
        while let Some((start, end)) = path.find('{').zip(path.find('}')) {
            path.replace_range(start..=end, "none");
        }
        format!("/v3{path}")
    });
    hrefs.collect()
}

/// The keys that policy rules speak of, all of them saying that everything is the client's own.
fn forged(user_id: &str, project_id: &str) -> Map<String, Value> {
    let own = json!({"id": user_id, "domain_id": "default", "user_id": user_id, "project_id": project_id});
    let mut keys = Map::new();
    for name in ["target", "user", "project", "domain", "credential", "trust", "token", "group", "role"] {
        keys.insert(name.to_owned(), own.clone());
    }
    for (name, value) in [
        ("user_id", user_id),
        ("project_id", project_id),
        ("target.user.id", user_id),
        ("target.project.id", project_id),
        ("target.credential.user_id", user_id),
        ("target.trust.trustor_user_id", user_id),
        ("roles", "admin"),
        ("is_admin", "true"),
        ("system_scope", "all"),
    ] {
        keys.insert(name.to_owned(), value.into());
    }
    keys
}

#[tokio::test]
async fn threat_1_what_a_client_says_of_the_target_opens_nothing() {
    let cloud = TestCloud::start().await;
    let (project_id, user_id, token) = cloud.tenant("alice", "member").await;
    let (others_project, other, _) = cloud.tenant("bob", "member").await;
    let ids =
        [("user_id", other.as_str()), ("project_id", others_project.as_str()), ("domain_id", "default")];
    let keys = forged(&user_id, &project_id);
    let pairs = keys.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let mut compared = 0;
    for path in paths(&cloud, &ids).await {
        for method in [Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
            let plain = match method {
                Method::GET | Method::DELETE => Value::Null,
                _ => json!({}),
            };
            let plain = cloud.call(method.clone(), &path, &token, plain).await.status;
            if plain.is_success() || plain == StatusCode::METHOD_NOT_ALLOWED {
                continue;
            }
            let body = if method == Method::GET { Value::Null } else { keys.clone().into() };
            let asked = cloud.call(method.clone(), &format!("{path}?{query}"), &token, body).await;
            assert!(!asked.status.is_success(), "{method} {path}: {plain}, then {}", asked.status);
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared} calls were refused");
}

#[tokio::test]
async fn threat_7_headers_make_nobody() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    for token in [token.as_str(), ""] {
        let mut request = Request::get("/v3/users");
        if !token.is_empty() {
            request = request.header("x-auth-token", token);
        }
        for (name, value) in [
            ("x-roles", "admin"),
            ("x-role", "admin"),
            ("x-user-id", "admin"),
            ("x-user-name", "admin"),
            ("x-project-name", "admin"),
            ("x-is-admin-project", "True"),
            ("x-identity-status", "Confirmed"),
            ("openstack-system-scope", "all"),
        ] {
            request = request.header(name, value);
        }
        let reply = cloud.send(request.body(Body::empty()).unwrap()).await;
        let expected = if token.is_empty() { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN };
        assert_eq!(reply.status, expected);
    }
}
