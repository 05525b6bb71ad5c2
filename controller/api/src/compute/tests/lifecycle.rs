use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::ComputeCloud;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_from_request_to_deletion() {
    let cloud = ComputeCloud::start().await;
    let made = cloud.post("/servers", &cloud.member, 96, cloud.new_server(json!({}))).await;
    assert_eq!(made.status, StatusCode::ACCEPTED);
    let id = made.text("/server/id");
    assert_eq!(made.header("location"), format!("http://cloud.test/compute/v2.1/servers/{id}"));
    assert!(!made.text("/server/adminPass").is_empty());
    let shown = cloud.show(&id).await;
    assert!(["BUILD", "ACTIVE"].contains(&shown.text("/server/status").as_str()));
    cloud.wait_for(&id, "ACTIVE").await;

    let shown = cloud.show(&id).await;
    assert_eq!(shown.text("/server/addresses/private/0/OS-EXT-IPS:type"), "fixed");
    assert_eq!(shown.text("/server/security_groups/0/name"), "default");
    assert_eq!(shown.json()["server"]["OS-EXT-STS:power_state"], 1);
    let interfaces = cloud.get(&format!("/servers/{id}/os-interface"), &cloud.member, 96).await;
    assert_eq!(interfaces.text("/interfaceAttachments/0/port_state"), "ACTIVE");

    for (action, then) in [
        (json!({"os-stop": null}), "SHUTOFF"),
        (json!({"os-start": null}), "ACTIVE"),
        (json!({"reboot": {"type": "SOFT"}}), "ACTIVE"),
        (json!({"reboot": {"type": "HARD"}}), "ACTIVE"),
    ] {
        let reply = cloud.act(&id, action.clone()).await;
        assert_eq!((reply.status, reply.bytes.len()), (StatusCode::ACCEPTED, 0), "{action}");
        cloud.wait_for(&id, then).await;
    }
    let actions = cloud.get(&format!("/servers/{id}/os-instance-actions"), &cloud.member, 96).await.json();
    let names: Vec<&str> = actions["instanceActions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["action"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["reboot", "reboot", "start", "stop", "create"]);

    let path = format!("/servers/{id}");
    let reply = cloud.call(Method::DELETE, &path, &cloud.member, 96, Value::Null).await;
    assert_eq!((reply.status, reply.bytes.len()), (StatusCode::NO_CONTENT, 0));
    cloud.wait_for(&id, "").await;
    let ports = cloud.cloud.get(&format!("/network/v2.0/ports?device_id={id}"), &cloud.member).await.json();
    assert_eq!(ports["ports"], json!([]), "its ports went with it");
    assert!(cloud.host.lock().unwrap().server_ids().is_empty());
    let doctor = cloud.cloud.get("/host/v1/doctor", &cloud.admin).await;
    assert_eq!(doctor.json(), json!([]), "all is well");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_servers_at_once() {
    let cloud = ComputeCloud::start().await;
    let extra = json!({"min_count": 2, "return_reservation_id": true});
    let reply = cloud.post("/servers", &cloud.member, 96, cloud.new_server(extra)).await;
    let reservation = reply.text("/reservation_id");
    let list = cloud
        .get(
            &format!("/servers?reservation_id={reservation}&sort_key=display_name&sort_dir=asc"),
            &cloud.member,
            96,
        )
        .await;
    let list = list.json();
    let names: Vec<&Value> =
        list["servers"].as_array().unwrap().iter().map(|server| &server["name"]).collect();
    assert_eq!(names, ["one-1", "one-2"]);
    for server in list["servers"].as_array().unwrap() {
        cloud.wait_for(server["id"].as_str().unwrap(), "ACTIVE").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_narrowed_and_paged() {
    let cloud = ComputeCloud::start().await;
    for name in ["web-1", "web-2", "db"] {
        cloud.create(json!({"name": name, "networks": "none"})).await;
    }
    let names = async |query: &str| {
        let list = cloud.get(&format!("/servers{query}"), &cloud.member, 96).await.json();
        let servers = list["servers"].as_array().unwrap_or_else(|| panic!("{list}")).clone();
        servers.iter().map(|server| server["name"].as_str().unwrap().to_owned()).collect::<Vec<String>>()
    };
    assert_eq!(names("").await, ["db", "web-2", "web-1"], "the newest first");
    assert_eq!(names("?name=web").await, ["web-2", "web-1"], "a pattern anywhere in the name");
    assert_eq!(names("?name=%5Edb%24").await, ["db"]);
    assert!(names("?status=SHUTOFF").await.is_empty());
    assert_eq!(names("?name=DB").await, ["db"], "patterns have no regard to case");
    assert_eq!(names("?uuid=none").await.len(), 3, "a filter of administrators has no effect for others");
    assert!(names("?hostname=none").await.is_empty(), "this one is for all from 2.90 on");
    assert_eq!(names("?sort_key=display_name").await, ["web-2", "web-1", "db"]);
    assert_eq!(names("?sort_key=image_ref&sort_dir=asc").await, ["web-1", "web-2", "db"], "the oldest first");
    assert_eq!(names("?status=BUILD&status=ACTIVE&status=ERROR").await.len(), 3);
    let page = cloud.get("/servers?limit=2", &cloud.member, 96).await;
    let next = page.text("/servers_links/0/href");
    let query = next.split_once('?').unwrap().1;
    assert_eq!(names(&format!("?{query}")).await, ["web-1"]);
    assert!(cloud.get("/servers?limit=3", &cloud.member, 96).await.json().get("servers_links").is_none());
    for (query, minor, status) in [
        ("?marker=none", 96, StatusCode::BAD_REQUEST),
        ("?unheard=1", 75, StatusCode::BAD_REQUEST),
        ("?unheard=1", 74, StatusCode::OK),
        ("?status=WRONG", 38, StatusCode::BAD_REQUEST),
        ("?status=WRONG", 37, StatusCode::OK),
        ("?all_tenants=1", 96, StatusCode::FORBIDDEN),
        ("?status=PAUSED", 96, StatusCode::OK),
        ("?status=DELETED", 96, StatusCode::FORBIDDEN),
        ("?name=(", 96, StatusCode::BAD_REQUEST),
        ("?name=", 1, StatusCode::BAD_REQUEST),
        ("?limit=", 1, StatusCode::BAD_REQUEST),
        ("?limit=99999999999", 1, StatusCode::OK),
        ("?sort_key=nonsense", 1, StatusCode::BAD_REQUEST),
        ("?sort_key=vcpus", 74, StatusCode::OK),
        ("?sort_key=vcpus", 75, StatusCode::BAD_REQUEST),
        ("?sort_key=locked", 96, StatusCode::OK),
        ("?sort_key=host", 96, StatusCode::FORBIDDEN),
        ("?sort_dir=up", 96, StatusCode::BAD_REQUEST),
        ("?sort_dir=asc&sort_dir=asc", 96, StatusCode::BAD_REQUEST),
        ("?changes-since=2026-01-02&changes-before=2026-01-01", 96, StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(
            cloud.get(&format!("/servers{query}"), &cloud.member, minor).await.status,
            status,
            "{query}"
        );
    }
    let all = cloud.get("/servers?all_tenants=1", &cloud.admin, 96).await.json();
    assert_eq!(all["servers"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_change_at_any_time() {
    let cloud = ComputeCloud::start().await;
    let id = cloud.create(json!({"networks": "none", "metadata": {"a": "1"}, "tags": ["x"]})).await;
    let path = format!("/servers/{id}/metadata");
    let put = |body: Value| cloud.call(Method::PUT, &path, &cloud.member, 96, body);
    let reply = cloud.post(&path, &cloud.member, 96, json!({"metadata": {"b": "2"}})).await;
    assert_eq!(reply.json(), json!({"metadata": {"a": "1", "b": "2"}}));
    assert_eq!(put(json!({"metadata": {"c": "3"}})).await.json(), json!({"metadata": {"c": "3"}}));
    let item = format!("{path}/c");
    assert_eq!(cloud.get(&item, &cloud.member, 96).await.json(), json!({"meta": {"c": "3"}}));
    let delete = || cloud.call(Method::DELETE, &item, &cloud.member, 96, Value::Null);
    assert_eq!(delete().await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete().await.status, StatusCode::NOT_FOUND);

    let tags = format!("/servers/{id}/tags");
    let put = |path: String, minor| {
        cloud.call(Method::PUT, Box::leak(path.into_boxed_str()), &cloud.member, minor, Value::Null)
    };
    assert_eq!(put(format!("{tags}/y"), 26).await.status, StatusCode::CREATED);
    assert_eq!(put(format!("{tags}/y"), 26).await.status, StatusCode::NO_CONTENT);
    assert_eq!(put(format!("{tags}/y"), 25).await.status, StatusCode::NOT_FOUND, "before its time");
    assert_eq!(cloud.get(&tags, &cloud.member, 26).await.json(), json!({"tags": ["x", "y"]}));

    let rename = json!({"server": {"name": "two", "description": "d"}});
    let reply = cloud.call(Method::PUT, &format!("/servers/{id}"), &cloud.member, 96, rename).await;
    assert_eq!((reply.text("/server/name"), reply.text("/server/description")), ("two".into(), "d".into()));
}
