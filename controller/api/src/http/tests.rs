//! The manners through the whole router.

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;
use updraft_core::{Config, RateLimits};

use crate::test_cloud::{ADMIN_PASSWORD, Reply, TestCloud, project};

async fn cloud_with(change: impl FnOnce(&mut Config)) -> TestCloud {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::new(directory.path().join("images"));
    change(&mut config);
    TestCloud::start_with(directory, config).await
}

/// A request with headers of its own.
async fn send(cloud: &TestCloud, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    cloud.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn bad_bodies_are_refused_in_the_services_own_words() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let token = ("x-auth-token", admin.as_str());
    let json = ("content-type", "application/json");
    for body in ["", "{", "NaN", "{} {}", r#"{"project": {"name": "a", "name": "b"}}"#, &"[".repeat(10_000)] {
        let reply = send(&cloud, Method::POST, "/v3/projects", &[token, json], body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body:.80}");
        assert_eq!(reply.json()["error"]["code"], 400, "{body:.80}");
    }
    let xml = ("content-type", "text/xml");
    for (path, status, key) in [
        ("/v3/projects", StatusCode::BAD_REQUEST, "error"),
        ("/compute/v2.1/flavors", StatusCode::UNSUPPORTED_MEDIA_TYPE, "badMediaType"),
        ("/network/v2.0/networks", StatusCode::UNSUPPORTED_MEDIA_TYPE, "NeutronError"),
    ] {
        let reply = send(&cloud, Method::POST, path, &[token, xml], "{}").await;
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.json()[key].is_object(), "{path}: {}", reply.json());
    }
    let large = " ".repeat(super::manners::MAX_BODY_BYTES + 1);
    let reply = send(&cloud, Method::POST, "/v3/projects", &[token, json], &large).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    for path in ["/v3/projects/%ff", "/compute/v2.1/servers/%ff", "/network/v2.0/ports/%ff"] {
        let reply = send(&cloud, Method::GET, path, &[token], "").await;
        assert!(reply.status.is_client_error() && reply.json().is_object(), "{path}: {}", reply.status);
    }
}

#[tokio::test]
async fn scripts_of_allowed_origins_may_call_and_no_others() {
    let cloud = cloud_with(|config| config.allowed_origins = vec!["https://dashboard.example".into()]).await;
    let preflight = |origin| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "x-auth-token,content-type"),
        ];
        let cloud = &cloud;
        async move { send(cloud, Method::OPTIONS, "/v3/auth/tokens", &headers, "").await }
    };
    let ours = preflight("https://dashboard.example").await;
    assert_eq!(ours.status, StatusCode::OK);
    assert_eq!(ours.header("access-control-allow-origin"), "https://dashboard.example");
    assert!(ours.header("access-control-allow-headers").contains("x-auth-token"));
    assert_eq!(preflight("https://evil.example").await.header("access-control-allow-origin"), "");
    let answer = send(&cloud, Method::GET, "/v3", &[("origin", "https://dashboard.example")], "").await;
    assert!(answer.header("access-control-expose-headers").contains("x-subject-token"));
    let closed = TestCloud::start().await;
    let answer = send(&closed, Method::GET, "/v3", &[("origin", "https://dashboard.example")], "").await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_again() {
    let limits =
        RateLimits { requests_per_user: Some(5), logins_per_address: Some(3), ..RateLimits::default() };
    let cloud = cloud_with(|config| config.rate_limits = limits).await;
    let admin = cloud.admin().await;
    let mut last = None;
    for _ in 0..6 {
        last = Some(cloud.get("/compute/v2.1/flavors", &admin).await);
    }
    let refused = last.unwrap();
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.json()["overLimit"]["code"], 429, "{}", refused.json());
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);

    let login = async |address: &str| {
        let peer: SocketAddr = address.parse().unwrap();
        let user = json!({"name": "admin", "domain": {"id": "default"}, "password": ADMIN_PASSWORD});
        let auth = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}});
        let mut request = Request::post("/v3/auth/tokens").body(Body::from(auth.to_string())).unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        cloud.send(request).await.status
    };
    for _ in 0..3 {
        assert_eq!(login("192.0.2.1:1000").await, StatusCode::CREATED);
    }
    assert_eq!(login("192.0.2.1:2000").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(login("192.0.2.2:1000").await, StatusCode::CREATED);
}

async fn create(cloud: &TestCloud, token: &str, key: &str, path: &str, body: &Value) -> Reply {
    let headers = [("x-auth-token", token), ("content-type", "application/json"), ("idempotency-key", key)];
    send(cloud, Method::POST, path, &headers, &body.to_string()).await
}

#[tokio::test]
async fn a_create_sent_again_with_its_key_happens_once() {
    let cloud = TestCloud::start().await;
    let (_, _, alice) = cloud.tenant("alice", "member").await;
    let (_, _, bob) = cloud.tenant("bob", "member").await;
    for (path, body, list, pointer) in [
        ("/network/v2.0/networks", json!({"network": {"name": "n"}}), "/network/v2.0/networks", "/networks"),
        ("/image/v2/images", json!({"name": "n"}), "/image/v2/images", "/images"),
        (
            "/compute/v2.1/os-keypairs",
            json!({"keypair": {"name": "n"}}),
            "/compute/v2.1/os-keypairs",
            "/keypairs",
        ),
    ] {
        let first = create(&cloud, &alice, "once", path, &body).await;
        assert!(first.status.is_success(), "{path}: {}", first.json());
        let again = create(&cloud, &alice, "once", path, &body).await;
        assert_eq!((again.status, &again.bytes), (first.status, &first.bytes), "{path}");
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_ne!(again.header("x-openstack-request-id"), "");
        let count = cloud.get(list, &alice).await.json().pointer(pointer).unwrap().as_array().unwrap().len();
        assert_eq!(count, 1, "{path}");

        let mut other = body.clone();
        other["more"] = json!(1);
        assert_eq!(create(&cloud, &alice, "once", path, &other).await.status, StatusCode::CONFLICT, "{path}");
        let bobs = create(&cloud, &bob, "once", path, &body).await;
        assert!(bobs.status.is_success() && bobs.bytes != first.bytes, "the key is another's: {path}");
    }
    // The refused change nothing, so they may be sent again.
    let bad = json!({"network": {"name": 5}});
    for _ in 0..2 {
        let refused = create(&cloud, &alice, "bad", "/network/v2.0/networks", &bad).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    }
    let good = json!({"network": {"name": "second"}});
    let made = create(&cloud, &alice, "bad", "/network/v2.0/networks", &good).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(
        create(&cloud, &alice, "", "/network/v2.0/networks", &good).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        create(&cloud, "", "k", "/network/v2.0/networks", &good).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(cloud.login("alice", "alice", project("alice")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn of_many_at_once_one_happens() {
    let cloud = TestCloud::start().await;
    let (_, _, alice) = cloud.tenant("alice", "member").await;
    let body = json!({"network": {"name": "n"}});
    let many = (0..8).map(|_| create(&cloud, &alice, "race", "/network/v2.0/networks", &body));
    let replies = futures_util::future::join_all(many).await;
    assert!(replies.iter().any(|reply| reply.status == StatusCode::CREATED));
    for reply in &replies {
        assert!(matches!(reply.status, StatusCode::CREATED | StatusCode::CONFLICT), "{}", reply.status);
    }
    let networks = cloud.get("/network/v2.0/networks", &alice).await.json();
    assert_eq!(networks["networks"].as_array().unwrap().len(), 1);
}
