//! What a host can do with its own credential: nothing but its own work.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use updraft_compute_api::observed::{HostObserved, ServerState};
use updraft_sim::SimulatedHost;

use super::ComputeCloud;
use crate::test_cloud::Reply;

/// A request with a bearer token, as hosts make them.
async fn ask(cloud: &ComputeCloud, method: Method, path: &str, bearer: &str, body: Value) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri(format!("/host/v1{path}"))
        .header("authorization", format!("Bearer {bearer}"))
        .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) });
    cloud.cloud.send(request.unwrap()).await
}

async fn report(cloud: &ComputeCloud, bearer: &str, observed: &HostObserved) -> StatusCode {
    let observed = serde_json::to_value(observed).unwrap();
    ask(cloud, Method::PUT, "/observed", bearer, observed).await.status
}

async fn secret_for(cloud: &ComputeCloud, name: &str) -> String {
    let added = cloud.cloud.post("/host/v1/hosts", &cloud.admin, json!({"name": name})).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.json());
    added.text("/enrolment_secret")
}

/// (what the host shows, what the controller shows to it)
async fn enrol(cloud: &ComputeCloud, name: &str) -> (String, String) {
    let secret = secret_for(cloud, name).await;
    let given = ask(cloud, Method::POST, "/enrolment", &secret, Value::Null).await;
    assert_eq!(given.status, StatusCode::CREATED, "{}", given.json());
    let again = ask(cloud, Method::POST, "/enrolment", &secret, Value::Null).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "once only");
    (given.text("/credential"), given.text("/controller_credential"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_reads_and_writes_nothing_of_another() {
    let cloud = ComputeCloud::start().await;
    let server = cloud.create_active().await;
    let first = cloud.host.lock().unwrap().observed();
    let (bearer, shown) = enrol(&cloud, "node-2").await;

    // It is not the first host, whatever it says.
    assert_eq!(report(&cloud, &bearer, &first).await, StatusCode::FORBIDDEN);
    let plan = ask(&cloud, Method::GET, "/plan", &bearer, Value::Null).await;
    assert_eq!(plan.status, StatusCode::CONFLICT, "it is nobody before its first report");

    // It may say of itself what it likes; that moves nothing of the first host's.
    let second = SimulatedHost::new("node-2");
    let mut lies = HostObserved { host_id: second.id, hostname: "node-2".into(), ..first.clone() };
    for seen in &mut lies.servers {
        seen.state = ServerState::Stopped;
        seen.epoch += 1000;
    }
    for wired in lies.ports.values_mut() {
        *wired = false;
    }
    assert_eq!(report(&cloud, &bearer, &lies).await, StatusCode::NO_CONTENT);
    assert_eq!(report(&cloud, &bearer, &first).await, StatusCode::FORBIDDEN);
    let shown_server = cloud.get(&format!("/servers/{server}"), &cloud.admin, 96).await;
    assert_eq!(shown_server.text("/server/status"), "ACTIVE");
    assert_eq!(shown_server.text("/server/OS-EXT-SRV-ATTR:host"), "node-1");
    let ports = cloud.cloud.get(&format!("/network/v2.0/ports?device_id={server}"), &cloud.member).await;
    assert_eq!(ports.text("/ports/0/status"), "ACTIVE");

    // It reads its own plan, in which there is nothing, and no image's bytes.
    let plan = ask(&cloud, Method::GET, "/plan", &bearer, Value::Null).await;
    assert_eq!(plan.text("/host_id"), second.id.to_string());
    assert_eq!(plan.json()["servers"], json!([]));
    assert_eq!(plan.json().pointer("/network/ports"), Some(&json!([])));
    let image = format!("/images/{}/file", cloud.image_id);
    assert_eq!(ask(&cloud, Method::GET, &image, &bearer, Value::Null).await.status, StatusCode::NOT_FOUND);

    // What the controller shows to it opens no door at the first host.
    let agent = cloud.host.lock().unwrap().agent_url.clone();
    for path in ["/agent/v1/inventory".to_owned(), format!("/agent/v1/servers/{server}/console-log")] {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for credential in [&bearer, &shown] {
            let answer = client.get(format!("{agent}{path}")).bearer_auth(credential).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{path}");
        }
    }
    // Nor is it an operator's.
    for path in ["/status", "/hosts", "/ops", "/audit"] {
        let refused = ask(&cloud, Method::GET, path, &bearer, Value::Null).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_changed_and_revoked() {
    let cloud = ComputeCloud::start().await;
    let (old, _) = enrol(&cloud, "node-2").await;
    let second = SimulatedHost::new("node-2");
    assert_eq!(report(&cloud, &old, &second.observed()).await, StatusCode::NO_CONTENT);

    let given = ask(&cloud, Method::POST, "/credential", &old, Value::Null).await;
    let new = given.text("/credential");
    for bearer in [&old, &new] {
        assert_eq!(report(&cloud, bearer, &second.observed()).await, StatusCode::NO_CONTENT);
    }
    cloud.cloud.core.clock.advance(std::time::Duration::from_secs(601));
    assert_eq!(report(&cloud, &old, &second.observed()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(report(&cloud, &new, &second.observed()).await, StatusCode::NO_CONTENT);

    assert_eq!(
        cloud.cloud.delete("/host/v1/hosts/node-2", &cloud.member).await.status,
        StatusCode::FORBIDDEN
    );
    let admin = cloud.cloud.admin().await;
    assert_eq!(cloud.cloud.delete("/host/v1/hosts/node-2", &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(report(&cloud, &new, &second.observed()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(cloud.cloud.delete("/host/v1/hosts/node-2", &admin).await.status, StatusCode::NOT_FOUND);

    // The same machine may come back by the same name, and by no other.
    let (impostor, _) = enrol(&cloud, "node-3").await;
    assert_eq!(report(&cloud, &impostor, &second.observed()).await, StatusCode::FORBIDDEN);
    let (back, _) = enrol(&cloud, "node-2").await;
    assert_eq!(report(&cloud, &back, &second.observed()).await, StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_enrol_ends() {
    let cloud = ComputeCloud::start().await;
    let secret = secret_for(&cloud, "node-2").await;
    cloud.cloud.core.clock.advance(std::time::Duration::from_secs(3601));
    let late = ask(&cloud, Method::POST, "/enrolment", &secret, Value::Null).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    for name in ["", "../x", "a b", "a/b"] {
        let refused =
            cloud.cloud.post("/host/v1/hosts", &cloud.cloud.admin().await, json!({"name": name})).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{name}");
    }
}
