use axum::http::{Method, StatusCode};
use serde_json::json;

use super::ComputeCloud;

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_seen_and_switched_off() {
    let cloud = ComputeCloud::start().await;
    let id = cloud.create_active().await;
    let services = cloud.get("/os-services", &cloud.admin, 53).await;
    assert_eq!(
        (services.text("/services/0/binary"), services.text("/services/0/state")),
        ("nova-compute".into(), "up".into())
    );
    let hypervisor = cloud.get("/os-hypervisors/detail?with_servers=true", &cloud.admin, 53).await;
    assert_eq!(hypervisor.json()["hypervisors"][0]["vcpus_used"], 1);
    assert_eq!(hypervisor.text("/hypervisors/0/servers/0/uuid"), id);
    let there = json!({"networks": "none", "availability_zone": "nova:node-1"});
    let there = cloud.post("/servers", &cloud.admin, 96, cloud.new_server(there)).await;
    assert_eq!(there.status, StatusCode::ACCEPTED, "{}", there.json());
    let nowhere = cloud.new_server(json!({"networks": "none", "host": "node-9"}));
    assert_eq!(
        cloud.post("/servers", &cloud.admin, 96, nowhere.clone()).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(cloud.post("/servers", &cloud.member, 96, nowhere).await.status, StatusCode::FORBIDDEN);
    for (path, minor, status) in [
        ("/os-hypervisors/1", 52, StatusCode::OK),
        ("/os-hypervisors/1", 53, StatusCode::BAD_REQUEST),
        ("/os-hypervisors/00000000-0000-0000-0000-000000000000", 53, StatusCode::NOT_FOUND),
        ("/os-hypervisors?limit=1", 53, StatusCode::OK),
        ("/os-hypervisors?limit=x", 33, StatusCode::BAD_REQUEST),
        ("/os-hypervisors?marker=x", 53, StatusCode::BAD_REQUEST),
        ("/os-hypervisors?unheard=1", 52, StatusCode::OK),
        ("/os-hypervisors?unheard=1", 53, StatusCode::BAD_REQUEST),
        ("/os-hypervisors?with_servers=y", 53, StatusCode::BAD_REQUEST),
        ("/os-services?unheard=1", 75, StatusCode::BAD_REQUEST),
        ("/os-server-groups?limit=x", 1, StatusCode::BAD_REQUEST),
        ("/limits?reserved=1", 74, StatusCode::OK),
        ("/limits?reserved=1", 75, StatusCode::BAD_REQUEST),
        ("/os-quota-sets/nowhere", 96, StatusCode::BAD_REQUEST),
        ("/os-keypairs?limit=x", 34, StatusCode::OK),
        ("/os-keypairs?limit=x", 35, StatusCode::BAD_REQUEST),
        ("/os-keypairs?unheard=1", 75, StatusCode::BAD_REQUEST),
        ("/flavors?sort_key=ram", 1, StatusCode::BAD_REQUEST),
        ("/flavors?sort_key=memory_mb&sort_dir=desc", 1, StatusCode::OK),
        ("/flavors?is_public=perhaps", 1, StatusCode::BAD_REQUEST),
        ("/flavors?minRam=-1", 1, StatusCode::OK),
        ("/flavors?minRam=", 1, StatusCode::BAD_REQUEST),
        ("/flavors?unheard=1", 75, StatusCode::BAD_REQUEST),
    ] {
        let reply = cloud.get(path, &cloud.admin, minor).await;
        assert_eq!(reply.status, status, "2.{minor} {path}: {}", reply.json());
    }
    let service = services.text("/services/0/id");
    let disable = json!({"status": "disabled", "disabled_reason": "new disk"});
    let reply = cloud.call(Method::PUT, &format!("/os-services/{service}"), &cloud.admin, 53, disable).await;
    assert_eq!((reply.status, reply.text("/service/status")), (StatusCode::OK, "disabled".into()));
    let refused = cloud.create(json!({"networks": "none"})).await;
    cloud.wait_for(&refused, "ERROR").await;
    let fault = cloud.show(&refused).await.text("/server/fault/message");
    assert_eq!(fault, "No valid host was found. 1 host: disabled by the operator.");
    let zones = cloud.get("/os-availability-zone", &cloud.member, 96).await;
    assert_eq!(zones.text("/availabilityZoneInfo/0/zoneName"), "nova");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_what_differs() {
    let cloud = ComputeCloud::start().await;
    let id = cloud.create_active().await;
    let status = cloud.cloud.get("/host/v1/status", &cloud.admin).await;
    assert_eq!(
        (status.text("/hosts/0/hostname"), status.text("/servers/0/observed")),
        ("node-1".into(), "running".into())
    );
    std::fs::write(cloud.cloud.core.config.images_directory.join("stray"), "x").unwrap();
    cloud.cloud.core.clock.advance(std::time::Duration::from_secs(3600));
    cloud.host.lock().unwrap().problems.push("the disk is full".into());
    // Down until its next report, then with a problem: when the report comes in between two looks, neither was so at both.
    let mut findings = json!([]);
    for _ in 0..10 {
        findings = cloud.cloud.get("/host/v1/doctor", &cloud.admin).await.json();
        if findings.to_string().contains(r#""kind":"host-"#) {
            break;
        }
    }
    let kinds: Vec<&str> =
        findings.as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"image-file"), "{findings}");
    assert!(kinds.contains(&"host-down") || kinds.contains(&"host-problem"), "{findings}");
    assert!(!findings.to_string().contains(&id), "the server itself is well: {findings}");
}
