//! Endpoint filters, policies of endpoints, and options of domains.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::TestCloud;

/// The types of the services in the catalog of a token's project, with the number of their endpoints.
async fn catalog(cloud: &TestCloud, token: &str) -> Vec<(String, usize)> {
    let body = cloud.get("/v3/auth/catalog", token).await.json();
    let services = body["catalog"].as_array().unwrap();
    let of = |service: &Value| {
        (service["type"].as_str().unwrap().to_owned(), service["endpoints"].as_array().unwrap().len())
    };
    let mut found: Vec<_> = services.iter().map(of).collect();
    found.sort();
    found
}

async fn put(cloud: &TestCloud, path: &str, token: &str) -> StatusCode {
    cloud.call(Method::PUT, path, token, Value::Null).await.status
}

#[tokio::test]
async fn a_project_shows_what_is_tied_to_it() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project, _, alice) = cloud.tenant("alice", "member").await;
    let (_, _, bob) = cloud.tenant("bob", "member").await;
    let image = cloud.get("/v3/services?type=image", &admin).await.text("/services/0/id");
    let list = format!("/v3/endpoints?service_id={image}&interface=public");
    let endpoint = cloud.get(&list, &admin).await.text("/endpoints/0/id");
    let tie = format!("/v3/OS-EP-FILTER/projects/{project}/endpoints/{endpoint}");
    assert_eq!(cloud.get(&tie, &admin).await.status, StatusCode::NOT_FOUND);
    assert_eq!(put(&cloud, &tie, &alice).await, StatusCode::FORBIDDEN);
    assert_eq!(put(&cloud, &tie, &admin).await, StatusCode::NO_CONTENT);
    assert_eq!(put(&cloud, &tie, &admin).await, StatusCode::CONFLICT);
    assert_eq!(cloud.get(&tie, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(catalog(&cloud, &alice).await, [("image".to_owned(), 1)]);
    assert_eq!(catalog(&cloud, &bob).await.len(), 4, "others see everything as before");

    let group = json!({"endpoint_group": {"name": "inside", "filters": {"interface": "internal"}}});
    let made = cloud.post("/v3/OS-EP-FILTER/endpoint_groups", &admin, group).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let group = made.text("/endpoint_group/id");
    let path = format!("/v3/OS-EP-FILTER/endpoint_groups/{group}");
    let group_tie = format!("{path}/projects/{project}");
    assert_eq!(put(&cloud, &group_tie, &admin).await, StatusCode::NO_CONTENT);
    assert_eq!(put(&cloud, &group_tie, &admin).await, StatusCode::CONFLICT);
    let shown = cloud.get(&group_tie, &admin).await;
    assert_eq!(shown.text("/project_endpoint_group/project_id"), project);
    let all =
        [("compute", 1), ("identity", 1), ("image", 2), ("network", 1)].map(|(of, n)| (of.to_owned(), n));
    assert_eq!(catalog(&cloud, &alice).await, all);
    for (list, collection, length) in [
        (format!("{path}/endpoints"), "endpoints", 4),
        (format!("{path}/projects"), "projects", 1),
        (format!("/v3/OS-EP-FILTER/projects/{project}/endpoints"), "endpoints", 5),
        (format!("/v3/OS-EP-FILTER/projects/{project}/endpoint_groups"), "endpoint_groups", 1),
        (format!("/v3/OS-EP-FILTER/endpoints/{endpoint}/projects"), "projects", 1),
        ("/v3/OS-EP-FILTER/endpoint_groups?name=inside".to_owned(), "endpoint_groups", 1),
        ("/v3/OS-EP-FILTER/endpoint_groups?name=outside".to_owned(), "endpoint_groups", 0),
    ] {
        let reply = cloud.get(&list, &admin).await;
        let found = reply.json()[collection].as_array().map(Vec::len);
        assert_eq!((reply.status, found), (StatusCode::OK, Some(length)), "{list}");
    }
    assert_eq!(cloud.delete(&group_tie, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.delete(&group_tie, &admin).await.status, StatusCode::NOT_FOUND);
    assert_eq!(cloud.delete(&tie, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.delete(&tie, &admin).await.status, StatusCode::NOT_FOUND);
    assert_eq!(catalog(&cloud, &alice).await.len(), 4, "nothing is tied any more");
}

#[tokio::test]
async fn endpoint_groups_are_changed_and_refused() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let groups = "/v3/OS-EP-FILTER/endpoint_groups";
    for bad in [
        json!({"name": "a"}),
        json!({"name": "a", "filters": {}}),
        json!({"name": "a", "filters": {"nonsense": "x"}}),
        json!({"name": "a", "filters": {"interface": "publicURL"}}),
        json!({"name": "a", "filters": {"interface": "public"}, "extra": 1}),
        json!({"filters": {"interface": "public"}}),
    ] {
        let reply = cloud.post(groups, &admin, json!({"endpoint_group": bad})).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let body =
        json!({"endpoint_group": {"name": "a", "description": "b", "filters": {"region_id": "RegionOne"}}});
    let id = cloud.post(groups, &admin, body).await.text("/endpoint_group/id");
    let path = format!("{groups}/{id}");
    let change = json!({"endpoint_group": {"name": "c", "filters": {"interface": "admin"}}});
    let changed = cloud.call(Method::PATCH, &path, &admin, change).await.json();
    assert_eq!(changed["endpoint_group"]["name"], "c");
    assert_eq!(changed["endpoint_group"]["description"], "b");
    assert_eq!(changed["endpoint_group"]["filters"], json!({"interface": "admin"}));
    let empty = json!({"endpoint_group": {}});
    assert_eq!(cloud.call(Method::PATCH, &path, &admin, empty).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get(&path, &admin).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_nearest_policy_is_that_of_an_endpoint() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let policy = async |blob: &str| {
        let body = json!({"policy": {"type": "application/json", "blob": blob}});
        cloud.post("/v3/policies", &admin, body).await.text("/policy/id")
    };
    let (one, two, three) = (policy("{}").await, policy("[1]").await, policy("[2]").await);
    let service = cloud.get("/v3/services?type=compute", &admin).await.text("/services/0/id");
    let list = format!("/v3/endpoints?service_id={service}&interface=public");
    let endpoint = cloud.get(&list, &admin).await.text("/endpoints/0/id");
    let of_endpoint = format!("/v3/endpoints/{endpoint}/OS-ENDPOINT-POLICY/policy");
    assert_eq!(cloud.get(&of_endpoint, &admin).await.status, StatusCode::NOT_FOUND);
    let places = [
        (&one, format!("/v3/policies/{one}/OS-ENDPOINT-POLICY/services/{service}"), 3),
        (&two, format!("/v3/policies/{two}/OS-ENDPOINT-POLICY/services/{service}/regions/RegionOne"), 3),
        (&three, format!("/v3/policies/{three}/OS-ENDPOINT-POLICY/endpoints/{endpoint}"), 1),
    ];
    for (id, place, endpoints) in &places {
        assert_eq!(cloud.get(place, &admin).await.status, StatusCode::NOT_FOUND, "{place}");
        assert_eq!(put(&cloud, place, &admin).await, StatusCode::NO_CONTENT, "{place}");
        assert_eq!(put(&cloud, place, &admin).await, StatusCode::NO_CONTENT, "{place}");
        assert_eq!(cloud.get(place, &admin).await.status, StatusCode::NO_CONTENT, "{place}");
        assert_eq!(cloud.get(&of_endpoint, &admin).await.text("/policy/id"), **id, "nearer ones come first");
        let list = format!("/v3/policies/{id}/OS-ENDPOINT-POLICY/endpoints");
        let found = cloud.get(&list, &admin).await.json()["endpoints"].as_array().unwrap().len();
        assert_eq!(found, *endpoints, "{place}");
    }
    let (_, last, _) = &places[2];
    assert_eq!(cloud.delete(last, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get(&of_endpoint, &admin).await.text("/policy/id"), two);
    let gone = cloud.delete(&format!("/v3/policies/{two}"), &admin).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get(&of_endpoint, &admin).await.text("/policy/id"), one);
    let missing = format!("/v3/policies/{one}/OS-ENDPOINT-POLICY/services/{one}");
    assert_eq!(put(&cloud, &missing, &admin).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_options_of_a_domain_are_kept_and_their_secrets_sealed() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, _, alice) = cloud.tenant("alice", "manager").await;
    let body = json!({"domain": {"name": "branch"}});
    let domain = cloud.post("/v3/domains", &admin, body).await.text("/domain/id");
    let path = format!("/v3/domains/{domain}/config");
    let config = json!({"ldap": {"url": "ldap://dc", "password": "hunter2"}, "identity": {"driver": "ldap"}});
    assert_eq!(cloud.get(&path, &admin).await.status, StatusCode::NOT_FOUND);
    let send = async |method: Method, path: &str, config: Value| {
        cloud.call(method, path, &admin, json!({"config": config})).await
    };
    let shown = json!({"config": {"ldap": {"url": "ldap://dc"}, "identity": {"driver": "ldap"}}});
    let made = send(Method::PUT, &path, config.clone()).await;
    assert_eq!((made.status, made.json()), (StatusCode::CREATED, shown.clone()), "a secret is never shown");
    assert_eq!(send(Method::PUT, &path, config).await.status, StatusCode::OK);
    assert_eq!(cloud.get(&path, &admin).await.json(), shown);
    assert_eq!(cloud.get(&path, &alice).await.status, StatusCode::FORBIDDEN);
    let secret = format!("{path}/ldap/password");
    assert_eq!(cloud.get(&secret, &admin).await.status, StatusCode::NOT_FOUND);
    let option = format!("{path}/ldap/url");
    assert_eq!(cloud.get(&option, &admin).await.json(), json!({"config": {"url": "ldap://dc"}}));
    let changed = send(Method::PATCH, &option, json!({"url": "ldaps://dc"})).await.json();
    assert_eq!(changed["config"]["ldap"]["url"], "ldaps://dc");
    let group = format!("{path}/ldap");
    let changed = send(Method::PATCH, &group, json!({"ldap": {"user_tree_dn": "OU=a"}})).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.json());
    for (path, bad, expected) in [
        (&path, json!({}), StatusCode::FORBIDDEN),
        (&path, json!({"ldap": {}}), StatusCode::FORBIDDEN),
        (&path, json!({"nonsense": {"a": 1}}), StatusCode::FORBIDDEN),
        (&path, json!({"ldap": {"nonsense": 1}}), StatusCode::FORBIDDEN),
        (&group, json!({"identity": {"driver": "sql"}}), StatusCode::FORBIDDEN),
        (&option, json!({"user": "x"}), StatusCode::FORBIDDEN),
        (&format!("{path}/ldap/suffix"), json!({"suffix": "x"}), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(send(Method::PATCH, path, bad.clone()).await.status, expected, "{path} {bad}");
    }
    assert_eq!(cloud.delete(&option, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.delete(&option, &admin).await.status, StatusCode::NOT_FOUND);
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get(&group, &admin).await.status, StatusCode::NOT_FOUND);
    assert_eq!(cloud.get("/v3/domains/nowhere/config", &admin).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn defaults_of_domains_and_what_passwords_must_be_can_be_read() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, _, alice) = cloud.tenant("alice", "reader").await;
    let all = cloud.get("/v3/domains/config/default", &admin).await.json();
    assert_eq!(all["config"]["identity"]["driver"], "sql");
    for (name, value) in [
        ("url", json!("ldap://localhost")),
        ("user_attribute_ignore", json!(["default_project_id"])),
        ("pool_retry_delay", json!(0.1)),
        ("pool_connection_timeout", json!(-1)),
        ("use_tls", json!(false)),
        ("user_tree_dn", Value::Null),
    ] {
        assert_eq!(all["config"]["ldap"][name], value, "{name}");
    }
    let group = cloud.get("/v3/domains/config/ldap/default", &admin).await.json();
    assert_eq!(group["config"]["ldap"], all["config"]["ldap"]);
    let option = cloud.get("/v3/domains/config/identity/driver/default", &admin).await.json();
    assert_eq!(option, json!({"config": {"driver": "sql"}}));
    let secret = cloud.get("/v3/domains/config/ldap/password/default", &admin).await;
    assert_eq!(secret.status, StatusCode::FORBIDDEN);
    let rules = "/v3/domains/default/config/security_compliance";
    let read = cloud.get(rules, &alice).await.json();
    let none = json!({"password_regex": null, "password_regex_description": null});
    assert_eq!(read, json!({"config": {"security_compliance": none}}));
    let one = cloud.get(&format!("{rules}/password_regex"), &alice).await.json();
    assert_eq!(one, json!({"config": {"password_regex": null}}));
    let other = cloud.get(&format!("{rules}/lockout_duration"), &alice).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
}
