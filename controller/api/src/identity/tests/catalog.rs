//! Regions inside regions, services, endpoints, and what there is not.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::TestCloud;

#[tokio::test]
async fn regions_nest_and_go_together() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let call = async |method: Method, path: &str, body: Value| cloud.call(method, path, &admin, body).await;
    let made =
        call(Method::PUT, "/v3/regions/eu", json!({"region": {"description": "Europe", "x": 1}})).await;
    assert_eq!((made.status, made.json()["region"]["x"].clone()), (StatusCode::CREATED, json!(1)));
    let other_id = call(Method::PUT, "/v3/regions/a", json!({"region": {"id": "b"}})).await;
    assert_eq!(other_id.status, StatusCode::BAD_REQUEST);
    let child = json!({"region": {"id": "eu-1", "parent_region_id": "eu"}});
    assert_eq!(call(Method::POST, "/v3/regions", child.clone()).await.status, StatusCode::CREATED);
    assert_eq!(call(Method::POST, "/v3/regions", child).await.status, StatusCode::CONFLICT);
    let orphan = json!({"region": {"parent_region_id": "nowhere"}});
    assert_eq!(call(Method::POST, "/v3/regions", orphan).await.status, StatusCode::NOT_FOUND);
    let circle = json!({"region": {"parent_region_id": "eu-1"}});
    assert_eq!(call(Method::PATCH, "/v3/regions/eu", circle).await.status, StatusCode::BAD_REQUEST);
    let found = call(Method::GET, "/v3/regions?parent_region_id=eu", Value::Null).await.json();
    assert_eq!((found["regions"].as_array().unwrap().len(), &found["regions"][0]["id"]), (1, &json!("eu-1")));
    let service = cloud.get("/v3/services?type=image", &admin).await.text("/services/0/id");
    let endpoint = json!({"endpoint": {"service_id": service, "interface": "public", "url": "http://x/", "region_id": "eu-1"}});
    let endpoint = cloud.post("/v3/endpoints", &admin, endpoint).await.text("/endpoint/id");
    assert_eq!(call(Method::DELETE, "/v3/regions/eu", Value::Null).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        cloud.delete(&format!("/v3/endpoints/{endpoint}"), &admin).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(call(Method::DELETE, "/v3/regions/eu", Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(call(Method::GET, "/v3/regions/eu-1", Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn endpoints_are_checked_and_filtered() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let service = json!({"service": {"type": "dns", "name": "designate", "team": "net"}});
    let service = cloud.post("/v3/services", &admin, service).await;
    assert_eq!(service.text("/service/team"), "net");
    let service = service.text("/service/id");
    let make =
        async |endpoint: Value| cloud.post("/v3/endpoints", &admin, json!({"endpoint": endpoint})).await;
    for bad in [
        json!({"service_id": "nothing", "interface": "public", "url": "http://x/"}),
        json!({"service_id": service, "interface": "secret", "url": "http://x/"}),
        json!({"service_id": service, "interface": "public"}),
        json!({"service_id": service, "interface": "public", "url": "http://x/", "region_id": "nowhere"}),
    ] {
        assert_eq!(make(bad.clone()).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let old =
        make(json!({"service_id": service, "interface": "admin", "url": "http://x/", "region": "new"})).await;
    assert_eq!((old.status, old.text("/endpoint/region_id")), (StatusCode::CREATED, "new".into()));
    assert_eq!(cloud.get("/v3/regions/new", &admin).await.status, StatusCode::OK, "made along");
    let found =
        cloud.get(&format!("/v3/endpoints?service_id={service}&interface=admin"), &admin).await.json();
    assert_eq!(found["endpoints"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_there_is_not_says_so() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    for path in [
        "/v3/OS-OAUTH1/consumers",
        "/v3/users/admin/OS-OAUTH1/access_tokens",
        "/v3/auth/OS-FEDERATION/saml2",
        "/v3/OS-FEDERATION/saml2/metadata",
    ] {
        let reply = cloud.get(path, &admin).await;
        assert_eq!(reply.status, StatusCode::NOT_IMPLEMENTED, "{path}");
        assert_eq!(reply.json()["error"]["code"], 501);
        assert_eq!(cloud.get(path, "").await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn json_home_lists_what_there_is() {
    let cloud = TestCloud::start().await;
    for (path, users) in [("/v3", "/users"), ("/", "/v3/users"), ("/identity", "/v3/users")] {
        let request = axum::http::Request::get(path).header("accept", "application/json-home");
        let reply = cloud.send(request.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (StatusCode::OK, "application/json-home"),
            "{path}"
        );
        let relation = "https://docs.openstack.org/api/openstack-identity/3/rel/users";
        assert_eq!(reply.json()["resources"][relation]["href"], users, "{path}");
    }
}
