//! What clients of the newer versions rely on, and the rows of the threat list about images.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::{create, queued, upload};
use crate::test_cloud::TestCloud;

const V2_1: &str = "application/openstack-images-v2.1-json-patch";
const V2_0: &str = "application/openstack-images-v2.0-json-patch";

async fn patch(cloud: &TestCloud, token: &str, id: &str, media: &str, body: Value) -> StatusCode {
    let request = Request::patch(format!("/image/v2/images/{id}")).header("x-auth-token", token);
    cloud.send(request.header("content-type", media).body(Body::from(body.to_string())).unwrap()).await.status
}

#[tokio::test]
async fn row_15_no_location_is_ever_taken_over() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "raw").await;
    let locations = format!("/image/v2/images/{id}/locations");
    for url in ["file:///etc/shadow", "http://127.0.0.1/", "updraft://local/x"] {
        let body = json!({"url": url});
        assert_eq!(cloud.post(&locations, &token, body.clone()).await.status, StatusCode::FORBIDDEN, "{url}");
        assert_eq!(cloud.post(&locations, &admin, body).await.status, StatusCode::BAD_REQUEST, "{url}");
        let location = json!({"url": url, "metadata": {}});
        for change in [
            json!([{"op": "add", "path": "/locations/-", "value": location}]),
            json!([{"op": "replace", "path": "/locations", "value": [location]}]),
            json!([{"op": "remove", "path": "/locations/0"}]),
        ] {
            assert_eq!(
                patch(&cloud, &admin, &id, V2_1, change.clone()).await,
                StatusCode::FORBIDDEN,
                "{change}"
            );
        }
    }
    assert_eq!(cloud.post(&locations, &token, json!({})).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(cloud.get(&locations, &token).await.status, StatusCode::FORBIDDEN);
    assert_eq!(cloud.get(&locations, &admin).await.json(), json!([]));
    for id in ["..%2f..%2fetc%2fpasswd", "%2e%2e", "..", "x.y"] {
        let path = format!("/image/v2/images/{id}/file");
        assert_eq!(cloud.get(&path, &admin).await.status, StatusCode::NOT_FOUND, "{id}");
    }
}

#[tokio::test]
async fn row_16_what_was_accepted_stays_what_it_is() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "raw").await;
    let sent = upload(&cloud, &token, &id, Body::from(vec![1; 600_000])).await;
    assert_eq!(sent.status, StatusCode::NO_CONTENT);
    for name in [
        "status",
        "checksum",
        "os_hash_value",
        "os_hash_algo",
        "size",
        "virtual_size",
        "id",
        "stores",
        "file",
        "location",
        "deleted",
        "os_glance_import_task",
        "os_glance_anything",
    ] {
        let change = json!([{"op": "add", "path": format!("/{name}"), "value": "queued"}]);
        assert_eq!(patch(&cloud, &admin, &id, V2_1, change).await, StatusCode::FORBIDDEN, "{name}");
        let body = json!({name: "queued"});
        if name != "id" {
            assert_eq!(
                cloud.post("/image/v2/images", &admin, body).await.status,
                StatusCode::FORBIDDEN,
                "{name}"
            );
        }
    }
    let raw = json!([{"op": "replace", "path": "/disk_format", "value": "qcow2"}]);
    assert_eq!(patch(&cloud, &token, &id, V2_1, raw).await, StatusCode::FORBIDDEN);
    assert_eq!(upload(&cloud, &token, &id, Body::from("other")).await.status, StatusCode::CONFLICT);

    // Swapped on the disk, with the length kept: the hash tells before the last piece goes out.
    let directory = cloud.directory.path().join("images");
    let file = std::fs::read_dir(&directory).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&file, vec![2; 600_000]).unwrap();
    let request = Request::get(format!("/image/v2/images/{id}/file")).header("x-auth-token", &token);
    let response = cloud.raw(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(
        axum::body::to_bytes(response.into_body(), usize::MAX).await.is_err(),
        "damaged data arrived whole"
    );
}

#[tokio::test]
async fn row_17_policy_comes_before_any_copy() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let (_, _, reader) = cloud.tenant("rita", "reader").await;
    let id = create(
        &cloud,
        &admin,
        json!({"visibility": "public", "disk_format": "raw", "container_format": "bare"}),
    )
    .await;
    upload(&cloud, &admin, &id, Body::from("data")).await;
    let path = format!("/image/v2/images/{id}");
    let file = format!("{path}/file");
    assert_eq!(cloud.get(&file, &token).await.status, StatusCode::OK);
    assert_eq!(cloud.get(&file, &reader).await.status, StatusCode::FORBIDDEN, "readers see, members have");
    assert_eq!(cloud.get(&path, &reader).await.status, StatusCode::OK);
    assert_eq!(
        cloud.post(&format!("{path}/actions/deactivate"), &token, Value::Null).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        cloud.post(&format!("{path}/actions/deactivate"), &admin, Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(cloud.get(&file, &token).await.status, StatusCode::FORBIDDEN, "right after it was served");
    assert_eq!(cloud.get(&file, &admin).await.status, StatusCode::OK);
    for (method, path) in [(Method::GET, "/image/v2/cache"), (Method::DELETE, "/image/v2/cache")] {
        assert_eq!(cloud.call(method.clone(), path, &token, Value::Null).await.status, StatusCode::FORBIDDEN);
        assert_eq!(cloud.call(method, path, &admin, Value::Null).await.status, StatusCode::NOT_FOUND);
    }
    let queue = format!("/image/v2/cache/{id}");
    assert_eq!(cloud.call(Method::PUT, &queue, &admin, Value::Null).await.status, StatusCode::NOT_FOUND);
    assert_eq!(cloud.call(Method::PUT, &queue, &token, Value::Null).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_older_patch_adds_only_what_is_new() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = create(&cloud, &token, json!({"colour": "red"})).await;
    let add = |name: &str| json!([{"add": format!("/{name}"), "value": "x"}]);
    assert_eq!(patch(&cloud, &token, &id, V2_0, add("colour")).await, StatusCode::CONFLICT);
    assert_eq!(patch(&cloud, &token, &id, V2_0, add("shape")).await, StatusCode::OK);
    let both = json!([{"add": "/a", "remove": "/shape", "value": "x"}]);
    assert_eq!(patch(&cloud, &token, &id, V2_0, both).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn stores_and_usage_are_told() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let methods = cloud.get("/image/v2/info/import", &token).await.json();
    assert_eq!(methods["import-methods"]["value"], json!(["glance-direct", "web-download", "copy-image"]));
    assert_eq!(cloud.get("/image/v2/info/stores", &token).await.text("/stores/0/id"), "local");
    assert_eq!(cloud.get("/image/v2/info/stores/detail", &token).await.status, StatusCode::FORBIDDEN);
    let detail = cloud.get("/image/v2/info/stores/detail", &admin).await;
    assert_eq!(detail.text("/stores/0/type"), "file");
    assert!(!String::from_utf8_lossy(&detail.bytes).contains(cloud.directory.path().to_str().unwrap()));
    assert_eq!(cloud.get("/image/v2/info/usage", &token).await.json(), json!({"usage": {}}));
    let made = cloud
        .post("/image/v2/images", &token, json!({"disk_format": "raw", "container_format": "bare"}))
        .await;
    assert_eq!(made.header("openstack-image-import-methods"), "glance-direct,web-download,copy-image");
    let id = made.text("/id");
    upload(&cloud, &token, &id, Body::from("data")).await;
    let remove = |store: &str| format!("/image/v2/stores/{store}/{id}");
    assert_eq!(cloud.delete(&remove("elsewhere"), &admin).await.status, StatusCode::CONFLICT);
    assert_eq!(cloud.delete(&remove("local"), &admin).await.status, StatusCode::FORBIDDEN, "the only copy");
    assert_eq!(cloud.get(&format!("/image/v2/images/{id}/file"), &token).await.bytes, b"data");
    let copy = |all: bool| json!({"method": {"name": "copy-image"}, "all_stores": all});
    let import = format!("/image/v2/images/{id}/import");
    assert_eq!(cloud.post(&import, &admin, copy(false)).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(cloud.post(&import, &admin, copy(true)).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn lists_compare_times_and_take_lists() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    for name in ["a", "b", "c,d"] {
        create(&cloud, &token, json!({"name": name, "min_ram": name.len()})).await;
    }
    let count = async |query: &str| {
        let list = cloud.get(&format!("/image/v2/images?{query}"), &token).await;
        assert_eq!(list.status, StatusCode::OK, "{query}");
        list.json()["images"].as_array().unwrap().len()
    };
    assert_eq!(count("created_at=gte:2001-01-01T00:00:00Z").await, 3);
    assert_eq!(count("created_at=lt:2001-01-01T00:00:00Z").await, 0);
    assert_eq!(count("updated_at=neq:2001-01-01T00:00:00Z").await, 3);
    assert_eq!(count("name=in:a,%22c,d%22").await, 2);
    assert_eq!(count("min_ram=3").await, 1);
    assert_eq!(count("os_hidden=true").await, 0);
    assert_eq!(count("checksum=0").await, 0);
}
