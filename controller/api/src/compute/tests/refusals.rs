use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::ComputeCloud;
use crate::image::tests::{qcow2, queued, upload};

/// What is wrong with a request is said at once, in the API's shape, and leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_leave_nothing_behind() {
    let cloud = ComputeCloud::start().await;
    let tiny = json!({"flavor": {"name": "zero", "ram": 64, "vcpus": 1, "disk": 1, "id": "2"}});
    cloud.post("/flavors", &cloud.admin, 1, tiny).await;
    let nowhere = "00000000-0000-4000-8000-000000000000";
    for (extra, words) in [
        (json!({"flavorRef": "no-such"}), "Flavor no-such could not be found."),
        (json!({"imageRef": nowhere}), "Can not find requested image"),
        (json!({"imageRef": "../../etc/passwd"}), "Can not find requested image"),
        (json!({"networks": [{"uuid": nowhere}]}), "could not be found"),
        (json!({"networks": [{"port": nowhere}]}), "could not be found"),
        (json!({"key_name": "no-such"}), "Invalid key_name provided."),
        (json!({"security_groups": [{"name": "no-such"}]}), "no-such"),
        (json!({"availability_zone": "moon"}), "The requested availability zone is not available"),
        (json!({"user_data": "%"}), "Userdata content cannot be decoded"),
        (json!({"name": ""}), "name"),
        (json!({"description": "a\nb"}), "description"),
        (json!({"metadata": {"a/b": "1"}}), "Invalid metadata"),
        (json!({"accessIPv4": ""}), "accessIPv4"),
        (json!({"networks": [{"uuid": nowhere, "tag": "a,b"}]}), "Invalid tag"),
        (
            json!({"block_device_mapping_v2": [{"source_type": "volume", "uuid": nowhere}]}),
            "Block Device Mapping",
        ),
    ] {
        let reply = cloud.post("/servers", &cloud.member, 96, cloud.new_server(extra.clone())).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{extra}: {}", reply.json());
        assert!(reply.text("/badRequest/message").contains(words), "{extra}: {}", reply.json());
        assert_eq!(reply.json()["badRequest"]["code"], 400);
    }
    let servers = cloud.get("/servers", &cloud.member, 96).await.json();
    assert_eq!(servers["servers"], json!([]));
    let ports = cloud.cloud.get("/network/v2.0/ports?device_owner=compute:nova", &cloud.member).await.json();
    assert_eq!(ports["ports"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_smaller_than_the_image_is_refused() {
    let cloud = ComputeCloud::start().await;
    let path = format!("/image/v2/images/{}", cloud.image_id);
    let patch = axum::http::Request::builder()
        .method("PATCH")
        .uri(path)
        .header("x-auth-token", &cloud.member)
        .header("content-type", "application/openstack-images-v2.1-json-patch")
        .body(json!([{"op": "replace", "path": "/min_disk", "value": 2}]).to_string().into())
        .unwrap();
    assert_eq!(cloud.cloud.send(patch).await.status, StatusCode::OK);
    let reply = cloud.post("/servers", &cloud.member, 96, cloud.new_server(json!({}))).await;
    assert!(reply.text("/badRequest/message").contains("Flavor's disk is smaller than the minimum"));
}

/// An image of an empty qcow2 with a disk of this size in it, in up to 1.5 GiB.
async fn empty_qcow2(cloud: &ComputeCloud, virtual_size_bytes: u64) -> String {
    let id = queued(&cloud.cloud, &cloud.member, "qcow2").await;
    let data = qcow2(|header| {
        header[24..32].copy_from_slice(&virtual_size_bytes.to_be_bytes());
        // Each entry of the first-level table covers 512 MiB.
        header[36..40].copy_from_slice(&3_u32.to_be_bytes());
    });
    let reply = upload(&cloud.cloud, &cloud.member, &id, data.into()).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn row_13_a_disk_smaller_than_the_one_in_the_image_is_refused() {
    let cloud = ComputeCloud::start().await;
    let (fits, exceeds) = (empty_qcow2(&cloud, 1 << 30).await, empty_qcow2(&cloud, (1 << 30) + 512).await);
    let reply =
        cloud.post("/servers", &cloud.member, 96, cloud.new_server(json!({"imageRef": exceeds}))).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.json());
    let words = "Flavor's disk is too small for requested image. Flavor disk is 1073741824 bytes, image is \
                 1073742336 bytes.";
    assert_eq!(reply.text("/badRequest/message"), words);
    let servers = cloud.get("/servers", &cloud.member, 96).await.json();
    assert_eq!(servers["servers"], json!([]));
    cloud.create(json!({"imageRef": fits})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_may() {
    let cloud = ComputeCloud::start().await;
    let id = cloud.create(json!({"networks": "none"})).await;
    let path = format!("/servers/{id}");
    let anonymous = cloud.get(&path, "", 96).await;
    assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED);
    assert_eq!(anonymous.json()["unauthorized"]["code"], 401);
    assert!(anonymous.header("www-authenticate").starts_with("Keystone uri="));

    let (_, _, reader) = cloud.cloud.tenant("watcher", "reader").await;
    let reply = cloud.post("/servers", &reader, 96, cloud.new_server(json!({}))).await;
    assert_eq!(reply.json()["forbidden"]["code"], 403);

    let (_, _, stranger) = cloud.cloud.tenant("stranger", "member").await;
    for reply in [
        cloud.get(&path, &stranger, 96).await,
        cloud.call(axum::http::Method::DELETE, &path, &stranger, 96, Value::Null).await,
        cloud.post(&format!("{path}/action"), &stranger, 96, json!({"os-stop": null})).await,
        cloud.get(&format!("{path}/os-instance-actions"), &stranger, 96).await,
        cloud.get(&format!("{path}/metadata"), &stranger, 96).await,
        cloud
            .post(
                &format!("{path}/remote-consoles"),
                &stranger,
                96,
                json!({"remote_console": {"protocol": "serial", "type": "serial"}}),
            )
            .await,
    ] {
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "somebody else's is not found");
        assert_eq!(reply.text("/itemNotFound/message"), format!("Instance {id} could not be found."));
    }
    for path in ["/os-services", "/os-hypervisors", "/os-availability-zone/detail"] {
        assert_eq!(cloud.get(path, &cloud.member, 96).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let flavor = json!({"flavor": {"name": "mine", "ram": 1, "vcpus": 1, "disk": 0}});
    assert_eq!(cloud.post("/flavors", &cloud.member, 1, flavor).await.status, StatusCode::FORBIDDEN);
    assert_eq!(cloud.cloud.get("/host/v1/doctor", &cloud.member).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_a_403() {
    let cloud = ComputeCloud::start().await;
    let project = cloud.cloud.get("/v3/auth/projects", &cloud.member).await.text("/projects/0/id");
    let quota = json!({"quota_set": {"instances": 1}});
    let path = format!("/os-quota-sets/{project}");
    let reply = cloud.call(axum::http::Method::PUT, &path, &cloud.admin, 96, quota).await;
    assert_eq!(reply.json()["quota_set"]["instances"], 1);
    cloud.create(json!({"networks": "none"})).await;
    let reply = cloud.post("/servers", &cloud.member, 96, cloud.new_server(json!({}))).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    let words = "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances";
    assert_eq!(reply.text("/forbidden/message"), words);
    let limits = cloud.get("/limits", &cloud.member, 96).await.json();
    assert_eq!(limits["limits"]["absolute"]["totalInstancesUsed"], 1);

    let more = json!({"quota_set": {"instances": 3}});
    assert_eq!(
        cloud.call(axum::http::Method::PUT, &path, &cloud.admin, 96, more).await.status,
        StatusCode::OK
    );
    let request = || cloud.new_server(json!({"networks": "none"}));
    let many = (0..5).map(|_| cloud.post("/servers", &cloud.member, 96, request()));
    let made = futures_util::future::join_all(many).await;
    let accepted = made.iter().filter(|reply| reply.status == StatusCode::ACCEPTED).count();
    assert_eq!(accepted, 2, "requests at once do not get past a quota");

    let ports = json!({"quota": {"port": 0, "force": true}});
    let url = format!("/network/v2.0/quotas/{project}");
    assert_eq!(
        cloud.cloud.call(axum::http::Method::PUT, &url, &cloud.admin, ports).await.status,
        StatusCode::OK
    );
    let more = json!({"quota_set": {"instances": 9}});
    cloud.call(axum::http::Method::PUT, &path, &cloud.admin, 96, more).await;
    let reply = cloud.post("/servers", &cloud.member, 96, cloud.new_server(json!({}))).await;
    assert_eq!(
        (reply.status, reply.text("/forbidden/message")),
        (StatusCode::FORBIDDEN, "Maximum number of ports exceeded".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_state_is_a_409_in_novas_words() {
    let cloud = ComputeCloud::start().await;
    let id = cloud.create_active().await;
    let reply = cloud.act(&id, json!({"os-start": null})).await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    let words = format!("Cannot 'start' instance {id} while it is in vm_state active");
    assert_eq!(reply.text("/conflictingRequest/message"), words);

    assert_eq!(cloud.act(&id, json!({"lock": {"locked_reason": "mine"}})).await.status, StatusCode::ACCEPTED);
    assert_eq!(cloud.show(&id).await.text("/server/locked_reason"), "mine");
    let reply = cloud.act(&id, json!({"os-stop": null})).await;
    assert_eq!(reply.text("/conflictingRequest/message"), format!("Instance {id} is locked"));
    let default = json!({"addSecurityGroup": {"name": "default"}});
    assert_eq!(cloud.act(&id, default).await.status, StatusCode::ACCEPTED, "groups and tags are not held");
    let tag = cloud.call(Method::PUT, &format!("/servers/{id}/tags/x"), &cloud.member, 96, Value::Null).await;
    assert_eq!(tag.status, StatusCode::CREATED);
    assert_eq!(cloud.act(&id, json!({"unlock": null})).await.status, StatusCode::ACCEPTED);
    for refused in [
        json!({"reboot": {"type": "sOFT"}}),
        json!({"os-getConsoleOutput": {"length": ""}}),
        json!({"addSecurityGroup": {"name": ""}}),
        json!({"lock": {"locked_reason": null}}),
    ] {
        assert_eq!(cloud.act(&id, refused.clone()).await.status, StatusCode::BAD_REQUEST, "{refused}");
    }
    let bare = cloud.create(json!({"networks": "none"})).await;
    let reply = cloud.act(&bare, json!({"addSecurityGroup": {"name": "default"}})).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND, "it has no port: {}", reply.json());
    let crossed = json!({"os-getVNCConsole": {"type": "serial"}});
    let reply = cloud.post(&format!("/servers/{id}/action"), &cloud.member, 1, crossed).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let groups = cloud.get(&format!("/servers/{id}/os-security-groups"), &cloud.member, 96).await.json();
    let rules = groups["security_groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 2, "{groups}");
    assert_eq!(rules[0]["group"]["name"], "default", "{groups}");
    assert_eq!(rules[0]["ip_range"], json!({}), "{groups}");

    assert_eq!(cloud.act(&id, json!({"pause": null})).await.status, StatusCode::NOT_IMPLEMENTED);
    assert_eq!(cloud.act(&id, json!({"dance": null})).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(cloud.act(&id, json!({})).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        cloud.act(&id, json!({"os-resetState": {"state": "error"}})).await.status,
        StatusCode::FORBIDDEN
    );
    let reset = json!({"os-resetState": {"state": "error"}});
    let path = format!("/servers/{id}/action");
    assert_eq!(cloud.post(&path, &cloud.admin, 96, reset).await.status, StatusCode::ACCEPTED);
    assert_eq!(cloud.show(&id).await.text("/server/fault/message"), "Set to error by an administrator.");
    assert_eq!(cloud.act(&id, json!({"reboot": {"type": "HARD"}})).await.status, StatusCode::ACCEPTED);
    cloud.wait_for(&id, "ACTIVE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_leaves_a_server_in_error_that_goes_without_a_trace() {
    let cloud = ComputeCloud::start().await;
    cloud.host.lock().unwrap().refuses = Some("QEMU is not installed.".into());
    let id = cloud.create(json!({})).await;
    cloud.wait_for(&id, "ERROR").await;
    let shown = cloud.show(&id).await;
    assert_eq!(shown.text("/server/fault/message"), "QEMU is not installed.");
    cloud.call(axum::http::Method::DELETE, &format!("/servers/{id}"), &cloud.member, 96, Value::Null).await;
    cloud.wait_for(&id, "").await;
    let ports = cloud.cloud.get(&format!("/network/v2.0/ports?device_id={id}"), &cloud.member).await.json();
    assert_eq!(ports["ports"], json!([]));
}
