//! The small print of Keystone's API: bodies that ask for nothing, ids that do not match, headers, what is gone.

use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::{TestCloud, project};

async fn patch(cloud: &TestCloud, path: &str, token: &str, body: Value) -> StatusCode {
    cloud.call(Method::PATCH, path, token, body).await.status
}

#[tokio::test]
async fn a_change_names_what_changes_and_nothing_else_by_id() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, user, _) = cloud.tenant("alice", "member").await;
    let make =
        async |path: &str, body: Value, pointer: &str| cloud.post(path, &admin, body).await.text(pointer);
    let group = make("/v3/groups", json!({"group": {"name": "g"}}), "/group/id").await;
    let role = make("/v3/roles", json!({"role": {"name": "r"}}), "/role/id").await;
    let service = make("/v3/services", json!({"service": {"type": "dns"}}), "/service/id").await;
    let body = json!({"endpoint": {"service_id": service, "interface": "public", "url": "http://dns"}});
    let endpoint = make("/v3/endpoints", body, "/endpoint/id").await;
    let body = json!({"credential": {"user_id": user, "type": "cert", "blob": "secret"}});
    let credential = make("/v3/credentials", body, "/credential/id").await;
    for (path, name, field, value) in [
        (format!("/v3/users/{user}"), "user", "description", "x"),
        (format!("/v3/groups/{group}"), "group", "description", "x"),
        (format!("/v3/roles/{role}"), "role", "description", "x"),
        (format!("/v3/services/{service}"), "service", "description", "x"),
        (format!("/v3/endpoints/{endpoint}"), "endpoint", "url", "http://other"),
        (format!("/v3/credentials/{credential}"), "credential", "blob", "other"),
    ] {
        let id = path.rsplit('/').next().unwrap();
        assert_eq!(patch(&cloud, &path, &admin, json!({name: {}})).await, StatusCode::BAD_REQUEST, "{path}");
        let other = json!({name: {"id": "other", field: value}});
        assert_eq!(patch(&cloud, &path, &admin, other).await, StatusCode::BAD_REQUEST, "{path}");
        let same = json!({name: {"id": id, field: value}});
        assert_eq!(patch(&cloud, &path, &admin, same).await, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn answers_depend_on_the_token_and_say_so() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    for (path, token) in [("/v3/users", admin.as_str()), ("/v3/users", ""), ("/v3", "")] {
        assert_eq!(cloud.get(path, token).await.header("vary"), "X-Auth-Token", "{path}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_named_is_not_found() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        let reply = cloud.call(method.clone(), "/v3/auth/tokens", &admin, Value::Null).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{method}");
    }
}

#[tokio::test]
async fn a_catalog_is_that_of_a_project() {
    let cloud = TestCloud::start().await;
    for (scope, expected) in [
        (project("admin"), StatusCode::OK),
        (json!("unscoped"), StatusCode::FORBIDDEN),
        (json!({"system": {"all": true}}), StatusCode::FORBIDDEN),
    ] {
        let login = cloud.login("admin", crate::test_cloud::ADMIN_PASSWORD, scope.clone()).await;
        let reply = cloud.get("/v3/auth/catalog", login.header("x-subject-token")).await;
        assert_eq!(reply.status, expected, "{scope}");
    }
    let empty = cloud.login("admin", crate::test_cloud::ADMIN_PASSWORD, json!({})).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST, "a scope is one of the five");
}

#[tokio::test]
async fn pki_is_gone_and_saml_is_not_there() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    for path in ["/v3/OS-SIMPLE-CERT/ca", "/v3/OS-SIMPLE-CERT/certificates", "/v3/auth/tokens/OS-PKI/revoked"]
    {
        let reply = cloud.get(path, "").await;
        assert_eq!(
            (reply.status, reply.json()["error"]["title"].clone()),
            (StatusCode::GONE, json!("Gone")),
            "{path}"
        );
    }
    for path in ["/v3/auth/OS-FEDERATION/saml2", "/v3/OS-OAUTH1/consumers"] {
        assert_eq!(cloud.post(path, &admin, json!({})).await.status, StatusCode::NOT_IMPLEMENTED, "{path}");
    }
}

#[tokio::test]
async fn a_token_with_access_rules_is_for_those_who_heed_them() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, user, alice) = cloud.tenant("alice", "member").await;
    let rules = json!([{"service": "identity", "method": "GET", "path": "/v3/users"}]);
    let body = json!({"application_credential": {"name": "a", "secret": "s", "access_rules": rules}});
    let path = format!("/v3/users/{user}/application_credentials");
    let id = cloud.post(&path, &alice, body).await.text("/application_credential/id");
    let identity =
        json!({"methods": ["application_credential"], "application_credential": {"id": id, "secret": "s"}});
    let login = cloud.post("/v3/auth/tokens", "", json!({"auth": {"identity": identity}})).await;
    let subject = login.header("x-subject-token").to_owned();
    for (version, expected) in [
        (None, StatusCode::NOT_FOUND),
        (Some("0.9"), StatusCode::NOT_FOUND),
        (Some("nonsense"), StatusCode::NOT_FOUND),
        (Some("1.0"), StatusCode::OK),
    ] {
        let mut request = Request::get("/v3/auth/tokens")
            .header("x-auth-token", &admin)
            .header("x-subject-token", &subject);
        if let Some(version) = version {
            request = request.header("openstack-identity-access-rules", version);
        }
        let reply = cloud.send(request.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(reply.status, expected, "{version:?}");
    }
}

#[tokio::test]
async fn lists_of_every_kind_take_pages_and_inexact_filters() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, user, _) = cloud.tenant("alice", "member").await;
    for kind in ["cert", "certificate", "note"] {
        let body = json!({"credential": {"user_id": user, "type": kind, "blob": "secret"}});
        assert_eq!(cloud.post("/v3/credentials", &admin, body).await.status, StatusCode::CREATED);
    }
    let count = async |query: &str| {
        cloud.get(&format!("/v3/credentials{query}"), &admin).await.json()["credentials"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count("").await, 3);
    assert_eq!(count("?type=cert").await, 1);
    assert_eq!(count("?type__startswith=cert").await, 2);
    let page = cloud.get("/v3/credentials?limit=2", &admin).await.json();
    assert_eq!((page["credentials"].as_array().unwrap().len(), &page["truncated"]), (2, &json!(true)));
    assert!(page["links"]["next"].as_str().unwrap().contains("marker="), "{page}");
    let put = async |path: &str, body: Value| cloud.call(Method::PUT, path, &admin, body).await.status;
    let closed = json!({"identity_provider": {"nonsense": 1}});
    assert_eq!(put("/v3/OS-FEDERATION/identity_providers/a", closed).await, StatusCode::BAD_REQUEST);
    for id in ["a", "b"] {
        let path = format!("/v3/OS-FEDERATION/identity_providers/{id}");
        assert_eq!(put(&path, json!({"identity_provider": {}})).await, StatusCode::CREATED);
    }
    let page = cloud.get("/v3/OS-FEDERATION/identity_providers?limit=1", &admin).await.json();
    assert_eq!(page["identity_providers"][0]["id"], "a");
    assert_eq!(page["truncated"], true);
}

#[tokio::test]
async fn what_is_deleted_leaves_nothing_behind() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let body = json!({"domain": {"name": "branch"}});
    let domain = cloud.post("/v3/domains", &admin, body).await.text("/domain/id");
    let idp = "/v3/OS-FEDERATION/identity_providers/branch-idp";
    let body = json!({"identity_provider": {"domain_id": domain, "remote_ids": ["https://idp"]}});
    assert_eq!(cloud.call(Method::PUT, idp, &admin, body).await.status, StatusCode::CREATED);
    let body = json!({"project": {"name": "p", "domain_id": domain}});
    let in_domain = cloud.post("/v3/projects", &admin, body).await.text("/project/id");
    let body = json!({"user": {"name": "u", "password": "u", "default_project_id": in_domain}});
    let user = cloud.post("/v3/users", &admin, body).await.text("/user/id");
    let service =
        cloud.post("/v3/services", &admin, json!({"service": {"type": "dns"}})).await.text("/service/id");
    let registered = json!([{"service_id": service, "resource_name": "zones", "default_limit": 5}]);
    let made = cloud.post("/v3/registered_limits", &admin, json!({"registered_limits": registered})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let limit = json!([{"service_id": service, "resource_name": "zones", "resource_limit": 9, "project_id": in_domain}]);
    assert_eq!(cloud.post("/v3/limits", &admin, json!({"limits": limit})).await.status, StatusCode::CREATED);
    let off = json!({"domain": {"enabled": false}});
    assert_eq!(patch(&cloud, &format!("/v3/domains/{domain}"), &admin, off).await, StatusCode::OK);
    let gone = cloud.delete(&format!("/v3/domains/{domain}"), &admin).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.json());
    assert_eq!(cloud.get(idp, &admin).await.status, StatusCode::NOT_FOUND);
    let left = cloud.get(&format!("/v3/users/{user}"), &admin).await.json();
    assert!(left["user"].get("default_project_id").is_none(), "{left}");
    assert_eq!(cloud.get("/v3/limits", &admin).await.json()["limits"], json!([]));
    let gone = cloud.delete(&format!("/v3/services/{service}"), &admin).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.json());
    assert_eq!(cloud.get("/v3/registered_limits", &admin).await.json()["registered_limits"], json!([]));
}

/// Many at once: one of them does it, the others are told that it is done; nothing is left half.
#[tokio::test]
async fn of_many_that_make_or_delete_the_same_one_does() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let bodies = [
        ("/v3/projects", json!({"project": {"name": "same"}}), "project"),
        ("/v3/users", json!({"user": {"name": "same"}}), "user"),
        ("/v3/groups", json!({"group": {"name": "same"}}), "group"),
        ("/v3/roles", json!({"role": {"name": "same"}}), "role"),
    ];
    for (path, body, name) in bodies {
        let make = || cloud.post(path, &admin, body.clone());
        let replies = futures_join([make(), make(), make(), make()]).await;
        let mut made = replies.iter().filter(|reply| reply.status == StatusCode::CREATED);
        let id = made.next().expect("one is made").text(&format!("/{name}/id"));
        assert!(made.next().is_none(), "{path}");
        assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::CONFLICT).count(), 3, "{path}");
        let one = format!("{path}/{id}");
        let delete = || cloud.delete(&one, &admin);
        let replies = futures_join([delete(), delete(), delete(), delete()]).await;
        assert_eq!(
            replies.iter().filter(|reply| reply.status == StatusCode::NO_CONTENT).count(),
            1,
            "{path}"
        );
        assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::NOT_FOUND).count(), 3, "{path}");
    }
}

async fn futures_join<F: Future>([one, two, three, four]: [F; 4]) -> [F::Output; 4] {
    tokio::join!(one, two, three, four).into()
}

#[tokio::test]
async fn what_keystone_refuses_in_a_body_is_refused() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project_id, user_id, alice) = cloud.tenant("alice", "member").await;
    let trust = json!({
        "trustor_user_id": user_id, "trustee_user_id": user_id, "project_id": project_id, "impersonation": true,
        "roles": [{"name": "member"}], "redelegation_count": -1,
    });
    let credentials = format!("/v3/users/{user_id}/application_credentials");
    for (path, token, body) in [
        ("/v3/domains", &admin, json!({"domain": {"name": "d"}, "more": 1})),
        ("/v3/projects", &admin, json!({"project": {"name": "p"}, "more": 1})),
        ("/v3/groups", &admin, json!({"group": {"name": "g"}, "more": 1})),
        ("/v3/roles", &admin, json!({"role": {"name": "r"}, "more": 1})),
        ("/v3/groups", &admin, json!({"group": {"name": "g", "domain_id": null}})),
        ("/v3/users", &admin, json!({"user": {"name": "u", "domain_id": null}})),
        ("/v3/services", &admin, json!({"service": {"type": ""}})),
        ("/v3/services", &admin, json!({"service": {"type": "x".repeat(256)}})),
        ("/v3/services", &admin, json!({"service": {"type": "t", "name": ""}})),
        ("/v3/OS-TRUST/trusts", &alice, json!({"trust": trust})),
        (credentials.as_str(), &alice, json!({"application_credential": {"name": "a"}, "more": 1})),
        (credentials.as_str(), &alice, json!({"application_credential": {"name": "a", "user_id": user_id}})),
        (
            credentials.as_str(),
            &alice,
            json!({"application_credential": {"name": "a", "access_rules": null}}),
        ),
    ] {
        let refused = cloud.post(path, token, body.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path} {body}: {}", refused.json());
    }
    let region = cloud.post("/v3/regions", &admin, json!({"region": {"id": "r"}})).await;
    assert_eq!(region.status, StatusCode::CREATED);
    assert_eq!(patch(&cloud, "/v3/regions/r", &admin, json!({"region": {}})).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn filters_that_cannot_be_are_refused() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    for path in [
        "/v3/domains?enabled=maybe",
        "/v3/domains?name=",
        "/v3/projects?is_domain=maybe",
        "/v3/projects?parent_id=",
        "/v3/users?enabled=maybe",
        "/v3/users?domain_id=",
        "/v3/groups?name=",
        "/v3/roles?domain_id=",
        "/v3/registered_limits?resource_name=",
    ] {
        assert_eq!(cloud.get(path, &admin).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    for path in ["/v3/users?enabled", "/v3/users?enabled=no", "/v3/services?name="] {
        assert_eq!(cloud.get(path, &admin).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn an_option_that_is_null_is_not_set() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    for (path, name, option) in [
        ("/v3/domains", "domain", "immutable"),
        ("/v3/projects", "project", "immutable"),
        ("/v3/roles", "role", "immutable"),
        ("/v3/users", "user", "lock_password"),
    ] {
        let made = cloud.post(path, &admin, json!({name: {"name": "new", "options": {option: null}}})).await;
        assert_eq!(made.json()[name]["options"], json!({}), "{path}");
    }
}
