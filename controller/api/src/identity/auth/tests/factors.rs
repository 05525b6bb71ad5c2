//! Users who must prove more than one thing, and their receipts.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::token_of;
use crate::test_cloud::{Reply, TestCloud};

/// "12345678901234567890" in base32: the secret of RFC 6238's examples; its passcode at the time is the RFC's.
const TOTP_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const TIME_S: i64 = 20_000_000_000;
const PASSCODE: &str = "353130";

/// Alice (password: alice) with these rules, at the time of the passcode: (user id, her token of before).
async fn alice(cloud: &TestCloud, options: Value) -> (String, String) {
    let (_, user_id, token) = cloud.tenant("alice", "member").await;
    let blob = json!({"credential": {"user_id": user_id, "type": "totp", "blob": TOTP_SECRET}});
    assert_eq!(cloud.post("/v3/credentials", &token, blob).await.status, StatusCode::CREATED);
    let now = cloud.core.clock.now().0;
    cloud.core.clock.advance(Duration::from_micros(u64::try_from(TIME_S * 1_000_000 - now).unwrap()));
    let change = json!({"user": {"options": options}});
    let changed =
        cloud.call(Method::PATCH, &format!("/v3/users/{user_id}"), &cloud.admin().await, change).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.json());
    (user_id, token)
}

/// A login by these methods, with a receipt unless it is empty.
async fn login(cloud: &TestCloud, user_id: &str, methods: &[&str], receipt: &str) -> Reply {
    let identity = json!({
        "methods": methods,
        "password": {"user": {"id": user_id, "password": "alice"}},
        "totp": {"user": {"id": user_id, "passcode": PASSCODE}},
    });
    let mut request = Request::post("/v3/auth/tokens").header("content-type", "application/json");
    if !receipt.is_empty() {
        request = request.header("openstack-auth-receipt", receipt);
    }
    let body = json!({"auth": {"identity": identity}}).to_string();
    cloud.send(request.body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn what_is_proved_goes_on_from_a_receipt() {
    let cloud = TestCloud::start().await;
    let rules = json!([["password", "totp"], ["password", "nonsense-of-mine"], ["openid"]]);
    let rules = json!({"multi_factor_auth_rules": rules, "multi_factor_auth_enabled": true});
    let (alice, _) =
        alice(&cloud, json!({"multi_factor_auth_rules": [["password", "totp"], ["openid"]]})).await;
    let begun = login(&cloud, &alice, &["password"], "").await;
    assert_eq!(begun.status, StatusCode::UNAUTHORIZED);
    assert!(begun.header("x-subject-token").is_empty());
    let body = begun.json();
    assert_eq!(body["receipt"]["methods"], json!(["password"]));
    assert_eq!(body["receipt"]["user"]["id"], json!(alice));
    assert_eq!(body["receipt"]["user"]["domain"], json!({"id": "default", "name": "Default"}));
    assert_eq!(
        body["required_auth_methods"],
        json!([["password", "totp"]]),
        "the rules that it is a part of"
    );
    assert!(begun.text("/receipt/expires_at") > begun.text("/receipt/issued_at"));
    let receipt = begun.header("openstack-auth-receipt");
    let whole = login(&cloud, &alice, &["totp"], receipt).await;
    assert_eq!(whole.status, StatusCode::CREATED, "{}", whole.json());
    assert_eq!(whole.json()["token"]["methods"], json!(["totp", "password"]));
    // What it was made with stays with the token when it is exchanged.
    let exchange = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token_of(&whole)}}}});
    assert_eq!(cloud.post("/v3/auth/tokens", "", exchange).await.status, StatusCode::CREATED);
    // A rule with a method that is not there counts without it.
    let path = format!("/v3/users/{alice}");
    cloud.call(Method::PATCH, &path, &cloud.admin().await, json!({"user": {"options": rules}})).await;
    token_of(&login(&cloud, &alice, &["password"], "").await);
}

#[tokio::test]
async fn both_proofs_at_once_need_no_receipt_and_rules_can_be_off() {
    let cloud = TestCloud::start().await;
    let (alice, _) = alice(&cloud, json!({"multi_factor_auth_rules": [["password", "totp"]]})).await;
    token_of(&login(&cloud, &alice, &["password", "totp"], "").await);
    for options in [
        json!({"multi_factor_auth_enabled": false}),
        json!({"multi_factor_auth_enabled": null, "multi_factor_auth_rules": [["nonsense"]]}),
        json!({"multi_factor_auth_rules": null}),
    ] {
        let path = format!("/v3/users/{alice}");
        let change = json!({"user": {"options": options}});
        cloud.call(Method::PATCH, &path, &cloud.admin().await, change).await;
        let reply = login(&cloud, &alice, &["password"], "").await;
        assert_eq!(reply.status, StatusCode::CREATED, "{options}");
    }
}

#[tokio::test]
async fn a_receipt_is_its_users_and_ends() {
    let cloud = TestCloud::start().await;
    let (alice, token) = alice(&cloud, json!({"multi_factor_auth_rules": [["password", "totp"]]})).await;
    let (_, bob, _) = cloud.tenant("bob", "member").await;
    let receipt = login(&cloud, &alice, &["password"], "").await.header("openstack-auth-receipt").to_owned();
    // As a token it is nothing, and a token is no receipt.
    assert_eq!(cloud.get("/v3/auth/projects", &receipt).await.status, StatusCode::UNAUTHORIZED);
    for wrong in [token.as_str(), "junk"] {
        let reply = login(&cloud, &alice, &["totp"], wrong).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        assert!(reply.header("openstack-auth-receipt").is_empty(), "{wrong}");
    }
    let bobs = json!({"methods": ["password"], "password": {"user": {"id": bob, "password": "bob"}}});
    let request = Request::post("/v3/auth/tokens")
        .header("content-type", "application/json")
        .header("openstack-auth-receipt", &receipt)
        .body(Body::from(json!({"auth": {"identity": bobs}}).to_string()))
        .unwrap();
    assert_eq!(cloud.send(request).await.status, StatusCode::UNAUTHORIZED, "of somebody else");
    cloud.core.clock.advance(Duration::from_secs(301));
    let late = login(&cloud, &alice, &["password"], &receipt).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    assert!(late.header("openstack-auth-receipt").is_empty(), "a receipt that has ended is a mistake");
    let receipt = login(&cloud, &alice, &["password"], "").await.header("openstack-auth-receipt").to_owned();
    let path = format!("/v3/users/{alice}");
    let change = json!({"user": {"password": "alice"}});
    cloud.call(Method::PATCH, &path, &cloud.admin().await, change).await;
    let old = login(&cloud, &alice, &["password"], &receipt).await;
    assert!(old.header("openstack-auth-receipt").is_empty(), "from before the new password");
}

#[tokio::test]
async fn threat_4_a_receipt_does_not_widen_what_was_proved() {
    let cloud = TestCloud::start().await;
    let rules = json!({"multi_factor_auth_rules": [["application_credential", "totp"], ["token", "totp"]]});
    let (_, user_id, token) = cloud.tenant("carol", "member").await;
    let body = json!({"application_credential": {"name": "a", "secret": "s"}});
    let path = format!("/v3/users/{user_id}/application_credentials");
    let id = cloud.post(&path, &token, body).await.text("/application_credential/id");
    let change = json!({"user": {"options": rules}});
    cloud.call(Method::PATCH, &format!("/v3/users/{user_id}"), &cloud.admin().await, change).await;
    for (method, proof) in
        [("application_credential", json!({"id": id, "secret": "s"})), ("token", json!({"id": token}))]
    {
        let reply = super::login_by(&cloud, method, proof, Value::Null).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{method}");
        assert!(reply.header("openstack-auth-receipt").is_empty(), "{method}");
    }
}
