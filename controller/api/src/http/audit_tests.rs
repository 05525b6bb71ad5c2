//! That nothing changes, and nothing is refused, without leaving an event. What every change leaves is asserted for all
//! tests at once, in [`TestCloud::send`].

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use updraft_model::audit::AuditQuery;

use crate::test_cloud::{ADMIN_PASSWORD, Reply, TestCloud, project};

async fn only_event(cloud: &TestCloud, reply: &Reply) -> Value {
    let events = cloud.audit_events(reply.header("x-openstack-request-id")).await;
    assert_eq!(events.len(), 1, "{events:?}");
    events[0].document.clone()
}

#[tokio::test]
async fn a_change_says_who_made_what() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let made = cloud.post("/v3/projects", &admin, json!({"project": {"name": "red"}})).await;
    let event = only_event(&cloud, &made).await;
    assert_eq!(event["typeURI"], "http://schemas.dmtf.org/cloud/audit/1.0/event");
    assert_eq!((&event["action"], &event["outcome"]), (&json!("create"), &json!("success")));
    assert_eq!(event["initiator"]["name"], "admin");
    assert_eq!(event["initiator"]["request_id"], made.header("x-openstack-request-id"));
    assert_eq!(
        event["target"],
        json!({"id": made.text("/project/id"), "typeURI": "service/security/projects"})
    );
    assert_eq!(event["requestPath"], "/v3/projects");
    // It is found by what it made, too.
    let subject = Some(made.text("/project/id"));
    let wanted = AuditQuery { subject, ..AuditQuery::default() };
    let found = updraft_store::audit::list(&mut cloud.core.read().await.unwrap(), &wanted).await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_refusal_says_why_and_who_was_refused() {
    let cloud = TestCloud::start().await;
    let (_, user_id, member) = cloud.tenant("red", "member").await;
    let refused = cloud.post("/v3/projects", &member, json!({"project": {"name": "blue"}})).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let event = only_event(&cloud, &refused).await;
    assert_eq!((&event["outcome"], &event["initiator"]["id"]), (&json!("failure"), &json!(user_id)));
    assert_eq!(event["reason"], json!({"reasonType": "HTTP", "reasonCode": "403"}));

    let anonymous = cloud.delete("/compute/v2.1/servers/7", "").await;
    assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED);
    let event = only_event(&cloud, &anonymous).await;
    assert_eq!(event["initiator"]["id"], "unknown");
    assert_eq!(event["target"]["id"], "7");

    let missing = cloud.delete("/network/v2.0/networks/8", &member).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(only_event(&cloud, &missing).await["reason"]["reasonCode"], "404");
}

#[tokio::test]
async fn logins_leave_events_without_secrets() {
    let cloud = TestCloud::start().await;
    let good = cloud.login("admin", ADMIN_PASSWORD, project("admin")).await;
    let event = only_event(&cloud, &good).await;
    assert_eq!((&event["action"], &event["outcome"]), (&json!("authenticate"), &json!("success")));
    assert_eq!(event["initiator"]["name"], "admin");

    let bad = cloud.login("admin", "hunter2-wrong", project("admin")).await;
    assert_eq!(bad.status, StatusCode::UNAUTHORIZED);
    let event = only_event(&cloud, &bad).await;
    assert_eq!((&event["outcome"], &event["initiator"]["name"]), (&json!("failure"), &json!("admin")));

    // Somebody typed the password where the name goes.
    let unknown = cloud.login("hunter2-wrong", "x", Value::Null).await;
    let odd = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": "hunter2-wrong"}}}});
    let malformed = cloud.post("/v3/auth/tokens", "", odd).await;
    assert_eq!(malformed.status, StatusCode::BAD_REQUEST);
    for reply in [&good, &bad, &unknown, &malformed] {
        let text = only_event(&cloud, reply).await.to_string();
        for secret in ["hunter2-wrong", ADMIN_PASSWORD, good.header("x-subject-token")] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn reading_leaves_none_and_an_unknown_path_neither() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    for (method, path) in [
        (Method::GET, "/v3/projects"),
        (Method::POST, "/v3/nothing-is-here"),
        (Method::DELETE, "/compute/v2.1/limits"),
    ] {
        let reply = cloud.call(method, path, &admin, Value::Null).await;
        let events = cloud.audit_events(reply.header("x-openstack-request-id")).await;
        assert!(events.is_empty(), "{path}: {events:?}");
    }
}

#[tokio::test]
async fn a_flood_of_strangers_is_counted_not_listed() {
    let cloud = TestCloud::start().await;
    for _ in 0..400 {
        cloud.delete("/v3/projects/x", "").await;
    }
    // A second later the count of the rest is written.
    cloud.core.clock.advance(std::time::Duration::from_secs(2));
    cloud.core.audit.flush(&cloud.core).await;
    let wanted = AuditQuery { failed_only: true, ..AuditQuery::default() };
    let events = updraft_store::audit::list(&mut cloud.core.read().await.unwrap(), &wanted).await.unwrap();
    let counted: u64 = events
        .iter()
        .filter_map(|event| {
            event.document.pointer("/attachments/0/content")?.as_str()?.split(' ').next()?.parse::<u64>().ok()
        })
        .sum::<u64>();
    let listed = events.iter().filter(|event| !event.request_id.is_empty()).count() as u64;
    assert!(counted > 0 && listed < 400, "{listed} listed, {counted} counted");
    assert_eq!(listed + counted, 400);
}
