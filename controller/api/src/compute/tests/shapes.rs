use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::ComputeCloud;
use crate::test_cloud::TestCloud;

#[tokio::test]
async fn versions_are_found_without_a_token() {
    let cloud = TestCloud::start().await;
    let versions = cloud.get("/compute", "").await;
    assert_eq!(versions.status, StatusCode::OK);
    assert_eq!(versions.text("/versions/0/version"), "2.96");
    assert_eq!(versions.text("/versions/0/links/0/href"), "http://cloud.test:5000/compute/v2.1/");
    for path in ["/compute/v2.1", "/compute/v2.1/"] {
        let version = cloud.get(path, "").await;
        assert_eq!(
            (version.status, version.text("/version/min_version")),
            (StatusCode::OK, "2.1".into()),
            "{path}"
        );
        assert_eq!(version.text("/version/links/1/rel"), "describedby");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn microversions_are_negotiated() {
    let cloud = ComputeCloud::start().await;
    let reply = cloud.get("/servers", &cloud.member, 50).await;
    assert_eq!(reply.header("openstack-api-version"), "compute 2.50");
    assert_eq!(reply.header("x-openstack-nova-api-version"), "2.50");
    assert!(reply.header("vary").contains("OpenStack-API-Version"));
    assert!(reply.header("x-compute-request-id").starts_with("req-"));
    let reply = cloud.get("/servers", &cloud.member, 97).await;
    assert_eq!(reply.status, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(reply.json()["computeFault"]["code"], 406);
    assert!(reply.header("vary").contains("OpenStack-API-Version"));
    let plain = cloud.cloud.get("/compute/v2.1/servers", &cloud.member).await;
    assert_eq!(plain.header("openstack-api-version"), "compute 2.1", "no header means the minimum");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_said_of_a_server_has_novas_defaults() {
    let cloud = ComputeCloud::start().await;
    let mut body = cloud.new_server(json!({}));
    body["server"]["flavorRef"] = json!("http://cloud.test/compute/flavors/1");
    for (minor, description) in [(1, json!("one")), (19, Value::Null)] {
        let made = cloud.post("/servers", &cloud.member, minor, body.clone()).await;
        assert_eq!(made.status, StatusCode::ACCEPTED, "{}", made.json());
        assert_eq!(made.text("/server/OS-DCF:diskConfig"), "MANUAL");
        let shown = cloud.show(&made.text("/server/id")).await.json();
        assert_eq!(shown["server"]["description"], description, "2.{minor}");
    }
    let nameless = cloud.create(json!({"name": "---", "networks": "none"})).await;
    let shown = cloud.show(&nameless).await;
    assert_eq!(shown.text("/server/OS-EXT-SRV-ATTR:hostname"), format!("Server-{nameless}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_no_ids_are_not_found() {
    let cloud = ComputeCloud::start().await;
    for path in ["/servers/one", "/flavors/small", "/os-keypairs/mine", "/servers/%2e%2e%2fetc"] {
        let reply = cloud.get(path, &cloud.member, 96).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(reply.json()["itemNotFound"]["code"], 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_pairs_come_and_go_with_the_right_codes() {
    let cloud = ComputeCloud::start().await;
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKvu7SmW96VZXtsV4SEA8qf5z+0PzVJzelnaovymDS1A me@here";
    let import = json!({"keypair": {"name": "k", "public_key": key}});
    let made = cloud.post("/os-keypairs", &cloud.member, 1, import.clone()).await;
    assert_eq!(made.status, StatusCode::OK);
    assert_eq!(made.text("/keypair/fingerprint"), "57:cc:92:06:05:6e:b4:7c:d7:1f:7c:6a:67:40:c5:a7");
    let again = cloud.post("/os-keypairs", &cloud.member, 10, import).await;
    assert_eq!(again.text("/conflictingRequest/message"), "Key pair 'k' already exists.");
    let generate = json!({"keypair": {"name": "g", "type": "ssh"}});
    let made = cloud.post("/os-keypairs", &cloud.member, 10, generate).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert!(made.text("/keypair/private_key").starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
    let id = cloud.create(json!({"networks": "none", "key_name": "k"})).await;
    assert_eq!(cloud.show(&id).await.text("/server/key_name"), "k");
    let delete =
        |name: &'static str, minor| cloud.call(Method::DELETE, name, &cloud.member, minor, Value::Null);
    assert_eq!(delete("/os-keypairs/k", 1).await.status, StatusCode::ACCEPTED);
    assert_eq!(delete("/os-keypairs/g", 10).await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete("/os-keypairs/g", 10).await.status, StatusCode::NOT_FOUND);
    let bad = json!({"keypair": {"name": "b", "public_key": "not a key"}});
    assert_eq!(cloud.post("/os-keypairs", &cloud.member, 10, bad).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn private_flavors_are_for_those_who_got_them() {
    let cloud = ComputeCloud::start().await;
    let body = json!({"flavor": {"name": "p", "ram": 64, "vcpus": 1, "disk": 1, "id": "p", "os-flavor-access:is_public": false}});
    let made = cloud.post("/flavors", &cloud.admin, 96, body.clone()).await;
    assert_eq!((made.status, &made.json()["flavor"]["swap"]), (StatusCode::OK, &json!(0)));
    assert_eq!(cloud.post("/flavors", &cloud.admin, 96, body).await.status, StatusCode::CONFLICT);
    assert_eq!(cloud.get("/flavors/p", &cloud.member, 96).await.status, StatusCode::NOT_FOUND);
    let project = cloud.cloud.get("/v3/auth/projects", &cloud.member).await.text("/projects/0/id");
    let give = json!({"addTenantAccess": {"tenant": project}});
    let given = cloud.post("/flavors/p/action", &cloud.admin, 96, give.clone()).await;
    assert_eq!(given.json()["flavor_access"], json!([{"flavor_id": "p", "tenant_id": project}]));
    assert_eq!(cloud.post("/flavors/p/action", &cloud.admin, 96, give).await.status, StatusCode::CONFLICT);
    assert_eq!(cloud.get("/flavors/p", &cloud.member, 96).await.status, StatusCode::OK);
    let specs = json!({"extra_specs": {"hw:cpu_policy": "shared"}});
    assert_eq!(cloud.post("/flavors/p/os-extra_specs", &cloud.admin, 96, specs.clone()).await.json(), specs);
    let shown = cloud.get("/flavors/p", &cloud.member, 61).await;
    assert_eq!(shown.json()["flavor"]["extra_specs"], specs["extra_specs"]);
    let gone = cloud.call(Method::DELETE, "/flavors/p", &cloud.admin, 96, Value::Null).await;
    assert_eq!(gone.status, StatusCode::ACCEPTED);
}
