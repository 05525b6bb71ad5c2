mod assignments;
mod catalog;
mod contract;
mod domains;
mod extensions;
mod forged;
mod grants;
mod groups;
mod inheritance;
mod limits;
mod projects;
mod rbac;
mod revocation;
mod roles;
mod users;

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::{ADMIN_PASSWORD, TestCloud, project};

#[tokio::test]
async fn discovery_leads_to_a_login() {
    let cloud = TestCloud::start().await;
    for path in ["/", "/identity", "/identity/"] {
        let reply = cloud.get(path, "").await;
        assert_eq!(reply.status, StatusCode::MULTIPLE_CHOICES, "{path}");
        assert_eq!(reply.header("vary"), "X-Auth-Token", "{path}");
        assert_eq!(reply.text("/versions/values/0/links/0/href"), "http://cloud.test:5000/identity/v3/");
    }
    for path in ["/v3", "/v3/", "/identity/v3"] {
        let reply = cloud.get(path, "").await;
        assert_eq!(
            (reply.status, reply.text("/version/status")),
            (StatusCode::OK, "stable".into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_project_token_carries_roles_and_catalog() {
    let cloud = TestCloud::start().await;
    let reply = cloud.login("admin", ADMIN_PASSWORD, project("admin")).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert!(reply.header("x-openstack-request-id").starts_with("req-"));
    let json = reply.json();
    let token = &json["token"];
    let roles: Vec<&str> =
        token["roles"].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect();
    assert_eq!(roles, ["admin", "manager", "member", "reader"]);
    assert_eq!(token["methods"], json!(["password"]));
    assert_eq!(token["project"]["domain"], json!({"id": "default", "name": "Default"}));
    assert_eq!(token["user"]["name"], "admin");
    let catalog = token["catalog"].as_array().unwrap();
    let mut kinds: Vec<&str> = catalog.iter().map(|service| service["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["compute", "identity", "image", "network"]);
    for service in catalog {
        assert_eq!(service["endpoints"].as_array().unwrap().len(), 3);
        assert!(service["endpoints"][0]["url"].as_str().unwrap().starts_with("http://cloud.test:5000/"));
        assert_eq!(service["endpoints"][0]["region_id"], "RegionOne");
    }
}

#[tokio::test]
async fn unscoped_and_domain_tokens() {
    let cloud = TestCloud::start().await;
    for scope in [Value::Null, json!("unscoped"), json!({"unscoped": {}})] {
        let reply = cloud.login("admin", ADMIN_PASSWORD, scope).await;
        assert_eq!(reply.status, StatusCode::CREATED);
        let token = reply.json()["token"].clone();
        for absent in ["roles", "catalog", "project", "domain"] {
            assert!(token.get(absent).is_none(), "{absent}");
        }
    }
    let in_domain = cloud.login("admin", ADMIN_PASSWORD, json!({"domain": {"id": "default"}})).await;
    assert_eq!(in_domain.status, StatusCode::UNAUTHORIZED, "no role on the domain yet");
    let admin = cloud.admin().await;
    let user_id = cloud.get("/v3/users?name=admin", &admin).await.text("/users/0/id");
    let role_id = cloud.get("/v3/roles?name=reader", &admin).await.text("/roles/0/id");
    let path = format!("/v3/domains/default/users/{user_id}/roles/{role_id}");
    assert_eq!(cloud.call(Method::PUT, &path, &admin, Value::Null).await.status, StatusCode::NO_CONTENT);
    let in_domain = cloud.login("admin", ADMIN_PASSWORD, json!({"domain": {"name": "default"}})).await;
    assert_eq!(
        in_domain.json()["token"]["domain"]["id"],
        "default",
        "names are found without regard to case"
    );
}

#[tokio::test]
async fn every_failed_login_looks_the_same() {
    let cloud = TestCloud::start().await;
    let mut answers = Vec::new();
    for (user, password, scope) in [
        ("admin", "wrong", Value::Null),
        ("nobody", ADMIN_PASSWORD, Value::Null),
        ("admin", ADMIN_PASSWORD, project("nowhere")),
        ("admin", ADMIN_PASSWORD, json!({"domain": {"id": "default"}})),
    ] {
        let reply = cloud.login(user, password, scope).await;
        assert!(reply.header("www-authenticate").starts_with("Keystone uri=\"http://cloud.test:5000"));
        answers.push((reply.status, reply.json()));
    }
    answers.dedup();
    let [(status, body)] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(*status, StatusCode::UNAUTHORIZED);
    assert_eq!(body["error"]["code"], 401);
    assert_eq!(body["error"]["title"], "Unauthorized");
    let huge = cloud.login("admin", &"x".repeat(129), Value::Null).await;
    assert_eq!(huge.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn exchanging_a_token_never_makes_it_live_longer() {
    let cloud = TestCloud::start().await;
    let first = cloud.login("admin", ADMIN_PASSWORD, json!("unscoped")).await;
    let mut token = first.header("x-subject-token").to_owned();
    for _ in 0..3 {
        cloud.core.clock.advance(Duration::from_secs(3600));
        let identity = json!({"methods": ["token"], "token": {"id": token}});
        let body = json!({"auth": {"identity": identity, "scope": project("admin")}});
        let next = cloud.post("/v3/auth/tokens", "", body).await;
        assert_eq!(next.text("/token/expires_at"), first.text("/token/expires_at"));
        assert_eq!(next.json()["token"]["methods"], json!(["password", "token"]));
        assert_eq!(next.json()["token"]["audit_ids"][1], first.json()["token"]["audit_ids"][0]);
        token = next.header("x-subject-token").to_owned();
    }
    cloud.core.clock.advance(Duration::from_secs(12 * 3600));
    assert_eq!(cloud.get("/v3/auth/projects", &token).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_dies_with_what_it_stands_on() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project_id, user_id, _) = cloud.tenant("alice", "member").await;
    let (user_path, project_path) = (format!("/v3/users/{user_id}"), format!("/v3/projects/{project_id}"));
    let grant_path = cloud.grant_path(&admin, &project_id, &user_id, "member").await;
    let disabled = |what: &str| json!({what: {"enabled": false}});
    let enabled = |what: &str| json!({what: {"enabled": true}});
    let new_password = json!({"user": {"password": "alice"}});
    let revocations = [
        (Method::PATCH, &user_path, disabled("user"), Method::PATCH, enabled("user")),
        (Method::PATCH, &project_path, disabled("project"), Method::PATCH, enabled("project")),
        (Method::PATCH, &user_path, new_password, Method::PATCH, enabled("user")),
        (Method::DELETE, &grant_path, Value::Null, Method::PUT, Value::Null),
    ];
    for (method, path, body, undo, undo_body) in revocations {
        let token =
            cloud.login("alice", "alice", project("alice")).await.header("x-subject-token").to_owned();
        assert_eq!(cloud.get("/v3/auth/catalog", &token).await.status, StatusCode::OK);
        let done = cloud.call(method.clone(), path, &admin, body.clone()).await;
        assert!(done.status.is_success(), "{method} {path}: {}", done.json());
        assert_eq!(cloud.get("/v3/auth/catalog", &token).await.status, StatusCode::UNAUTHORIZED, "{body}");
        assert!(cloud.call(undo, path, &admin, undo_body).await.status.is_success());
        let after = cloud.get("/v3/auth/catalog", &token).await.status;
        assert_eq!(after, StatusCode::UNAUTHORIZED, "a dead token stays dead: {body}");
    }
}

#[tokio::test]
async fn tokens_are_shown_and_revoked() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, user_id, token) = cloud.tenant("alice", "reader").await;
    let (_, _, stranger) = cloud.tenant("bob", "member").await;
    let request = async |method: Method, auth: &str, subject: &str, query: &str| {
        let uri = format!("/v3/auth/tokens{query}");
        let request = axum::http::Request::builder().method(method).uri(uri).header("x-auth-token", auth);
        let request = request.header("x-subject-token", subject).body(axum::body::Body::empty()).unwrap();
        cloud.send(request).await
    };
    for auth in [&admin, &token] {
        let shown = request(Method::GET, auth, &token, "").await;
        assert_eq!((shown.status, shown.text("/token/user/id")), (StatusCode::OK, user_id.clone()));
        assert_eq!(shown.header("x-subject-token"), token);
        assert_eq!(shown.header("vary"), "X-Auth-Token");
        let without = request(Method::GET, auth, &token, "?nocatalog").await;
        assert!(without.json()["token"].get("catalog").is_none());
        let head = request(Method::HEAD, auth, &token, "").await;
        assert_eq!((head.status, head.bytes.len()), (StatusCode::OK, 0));
    }
    assert_eq!(request(Method::GET, &stranger, &token, "").await.status, StatusCode::FORBIDDEN);
    assert_eq!(request(Method::GET, &admin, "nonsense", "").await.status, StatusCode::NOT_FOUND);
    for (auth, expected) in [(&admin, StatusCode::NOT_FOUND), (&stranger, StatusCode::FORBIDDEN)] {
        assert_eq!(cloud.get("/v3/auth/tokens", auth).await.status, expected, "no subject token");
        assert_eq!(cloud.delete("/v3/auth/tokens", auth).await.status, expected, "no subject token");
    }
    assert_eq!(request(Method::DELETE, &token, &token, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(request(Method::GET, &admin, &token, "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(cloud.get("/v3/auth/projects", &token).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_expired_token_is_shown_to_services_that_ask() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    cloud.core.clock.advance(Duration::from_secs(13 * 3600));
    let admin = cloud.admin().await;
    for (query, expected) in [("", StatusCode::NOT_FOUND), ("?allow_expired=1", StatusCode::OK)] {
        let request =
            axum::http::Request::get(format!("/v3/auth/tokens{query}")).header("x-auth-token", &admin);
        let request = request.header("x-subject-token", &token).body(axum::body::Body::empty()).unwrap();
        assert_eq!(cloud.send(request).await.status, expected);
    }
}

#[tokio::test]
async fn tenants_keep_out_of_administration() {
    let cloud = TestCloud::start().await;
    let (project_id, user_id, token) = cloud.tenant("alice", "member").await;
    for path in [
        "/v3/users",
        "/v3/projects",
        "/v3/domains",
        "/v3/roles",
        "/v3/services",
        "/v3/endpoints",
        "/v3/groups",
    ] {
        assert_eq!(cloud.get(path, &token).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(cloud.get(path, "").await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(cloud.get(&format!("/v3/users/{user_id}"), &token).await.status, StatusCode::OK);
    assert_eq!(cloud.get(&format!("/v3/projects/{project_id}"), &token).await.status, StatusCode::OK);
    let own = cloud.get("/v3/auth/projects", &token).await.json();
    assert_eq!(own["projects"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn projects_from_birth_to_death() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let made =
        cloud.post("/v3/projects", &admin, json!({"project": {"name": "Red", "description": "d"}})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let path = format!("/v3/projects/{}", made.text("/project/id"));
    assert_eq!(made.text("/project/links/self"), format!("http://cloud.test:5000/identity{path}"));
    assert_eq!(made.text("/project/parent_id"), "default");
    let twin = cloud.post("/v3/projects", &admin, json!({"project": {"name": "red"}})).await;
    assert_eq!((twin.status, twin.json()["error"]["code"].clone()), (StatusCode::CONFLICT, json!(409)));
    let change = json!({"project": {"name": "Blue", "tags": ["a"]}});
    let changed = cloud.call(Method::PATCH, &path, &admin, change).await;
    assert_eq!(
        (changed.text("/project/name"), changed.text("/project/description")),
        ("Blue".into(), "d".into())
    );
    let found = cloud.get("/v3/projects?name=BLUE", &admin).await.json();
    assert_eq!(found["projects"].as_array().unwrap().len(), 1);
    assert_eq!(found["links"]["next"], Value::Null);
    assert_eq!(cloud.get("/v3/projects/Blue", &admin).await.status, StatusCode::NOT_FOUND, "by id alone");
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::NO_CONTENT);
    let gone = cloud.get(&path, &admin).await;
    assert_eq!((gone.status, gone.text("/error/title")), (StatusCode::NOT_FOUND, "Not Found".into()));
}

#[tokio::test]
async fn users_change_their_own_password() {
    let cloud = TestCloud::start().await;
    let (_, user_id, _) = cloud.tenant("alice", "member").await;
    let path = format!("/v3/users/{user_id}/password");
    let change = |original: &str| json!({"user": {"original_password": original, "password": "new"}});
    assert_eq!(cloud.post(&path, "", change("wrong")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(cloud.post(&path, "", change("alice")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.login("alice", "alice", Value::Null).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(cloud.login("alice", "new", Value::Null).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn groups_give_their_members_roles() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project_id, _, _) = cloud.tenant("alice", "reader").await;
    let (_, bob, _) = cloud.tenant("bob", "reader").await;
    let group = cloud.post("/v3/groups", &admin, json!({"group": {"name": "ops"}})).await.text("/group/id");
    let role = cloud.get("/v3/roles?name=member", &admin).await.text("/roles/0/id");
    let grant = format!("/v3/projects/{project_id}/groups/{group}/roles/{role}");
    assert_eq!(cloud.call(Method::PUT, &grant, &admin, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.login("bob", "bob", project("alice")).await.status, StatusCode::UNAUTHORIZED);
    let membership = format!("/v3/groups/{group}/users/{bob}");
    assert_eq!(
        cloud.call(Method::PUT, &membership, &admin, Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    let login = cloud.login("bob", "bob", project("alice")).await;
    assert_eq!(login.status, StatusCode::CREATED);
    let token = login.header("x-subject-token").to_owned();
    let query =
        format!("/v3/role_assignments?user.id={bob}&scope.project.id={project_id}&effective&include_names");
    let list = cloud.get(&query, &admin).await.json();
    let names: Vec<_> = list["role_assignments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|held| held["role"]["name"].clone())
        .collect();
    assert!(names.contains(&json!("member")) && names.contains(&json!("reader")), "{list}");
    assert_eq!(list["role_assignments"][0]["scope"]["project"]["domain"]["name"], "Default");
    assert_eq!(cloud.delete(&membership, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get("/v3/auth/projects", &token).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_catalog_is_the_administrators_to_change() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let service = json!({"service": {"type": "dns", "name": "designate"}});
    let service_id = cloud.post("/v3/services", &admin, service).await.text("/service/id");
    let endpoint = |url: &str| json!({"endpoint": {"service_id": service_id, "interface": "public", "url": url, "region_id": "RegionOne"}});
    let refused = cloud.post("/v3/endpoints", &admin, endpoint("javascript:alert(1)")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let made = cloud.post("/v3/endpoints", &admin, endpoint("http://dns.test/%(tenant_id)s")).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let catalog = cloud.get("/v3/auth/catalog", &admin).await.json();
    let dns = catalog["catalog"].as_array().unwrap().iter().find(|service| service["type"] == "dns").unwrap();
    let project_id = cloud.get("/v3/projects?name=admin", &admin).await.text("/projects/0/id");
    assert_eq!(dns["endpoints"][0]["url"], format!("http://dns.test/{project_id}"));
    assert_eq!(
        cloud.delete(&format!("/v3/services/{service_id}"), &admin).await.status,
        StatusCode::NO_CONTENT
    );
    let left = cloud.get(&format!("/v3/endpoints?service_id={service_id}"), &admin).await.json();
    assert_eq!(left["endpoints"], json!([]));
}

#[tokio::test]
async fn bad_requests_are_answered_in_keystones_words() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    for body in [json!([]), json!({}), json!({"project": {"name": ""}}), json!({"project": {"name": 5}})] {
        let reply = cloud.post("/v3/projects", &admin, body).await;
        assert_eq!(
            (reply.status, reply.json()["error"]["code"].clone()),
            (StatusCode::BAD_REQUEST, json!(400))
        );
    }
    let request = axum::http::Request::post("/v3/projects").header("x-auth-token", &admin);
    let too_large = cloud.send(request.body(axum::body::Body::from(vec![b' '; 2 << 20])).unwrap()).await;
    assert_eq!(too_large.status, StatusCode::PAYLOAD_TOO_LARGE);
    let nowhere = cloud.get("/v3/no/such/path", &admin).await;
    assert_eq!(
        (nowhere.status, nowhere.json()["error"]["code"].clone()),
        (StatusCode::NOT_FOUND, json!(404))
    );
    let no_method = cloud.delete("/v3/projects", &admin).await;
    assert_eq!(no_method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(no_method.json()["error"]["code"], 405);
}

#[tokio::test]
async fn the_public_endpoint_is_the_proxys_when_there_is_one() {
    let cloud = TestCloud::start().await;
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = axum::http::Request::get("/v3").header("host", "inside:5000");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        cloud.send(request.body(axum::body::Body::empty()).unwrap()).await.text("/version/links/0/href")
    };
    assert_eq!(ask(&[]).await, "http://inside:5000/identity/v3/");
    let proxied = [("x-forwarded-proto", "https"), ("x-forwarded-host", "cloud.example, inner")];
    assert_eq!(ask(&proxied).await, "https://cloud.example/identity/v3/");
    let forged = [("x-forwarded-proto", "javascript"), ("x-forwarded-host", "a/b?c")];
    assert_eq!(ask(&forged).await, "http://inside:5000/identity/v3/");
}
