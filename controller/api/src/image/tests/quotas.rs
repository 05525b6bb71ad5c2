//! Glance's unified limits.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{create, queued};
use crate::test_cloud::TestCloud;

const MIB: usize = 1 << 20;

async fn register(cloud: &TestCloud, admin: &str, name: &str, default: i64) -> String {
    let service_id = cloud.get("/v3/services?type=image", admin).await.text("/services/0/id");
    let limit = json!({"service_id": service_id, "resource_name": name, "default_limit": default});
    let made = cloud.post("/v3/registered_limits", admin, json!({"registered_limits": [limit]})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    service_id
}

async fn put(cloud: &TestCloud, token: &str, id: &str, tail: &str, bytes: usize) -> StatusCode {
    let request = Request::put(format!("/image/v2/images/{id}/{tail}"))
        .header("x-auth-token", token)
        .header("content-type", "application/octet-stream")
        .header("content-length", bytes)
        .body(Body::from(vec![7; bytes]));
    cloud.send(request.unwrap()).await.status
}

async fn usage(cloud: &TestCloud, token: &str) -> Value {
    cloud.get("/image/v2/info/usage", token).await.json()["usage"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_do_not_get_past_the_number_of_images() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project_id, _, token) = cloud.tenant("alice", "member").await;
    create(&cloud, &token, json!({"name": "before there were limits"})).await;
    assert_eq!(usage(&cloud, &token).await, json!({}));
    let service_id = register(&cloud, &admin, "image_count_total", 3).await;
    let many = (0..6).map(|_| cloud.post("/image/v2/images", &token, json!({"name": "x"})));
    let mut statuses: Vec<u16> = join_all(many).await.iter().map(|made| made.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 413, 413, 413, 413]);
    assert_eq!(usage(&cloud, &token).await, json!({"image_count_total": {"limit": 3, "usage": 3}}));
    let own = json!({"service_id": service_id, "project_id": project_id, "resource_name": "image_count_total",
                     "resource_limit": 4});
    let made = cloud.post("/v3/limits", &admin, json!({"limits": [own]})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    create(&cloud, &token, json!({"name": "by a limit of the project's own"})).await;
    let over = cloud.post("/image/v2/images", &token, json!({})).await;
    assert_eq!(over.status, StatusCode::PAYLOAD_TOO_LARGE);
    let words = String::from_utf8_lossy(&over.bytes).into_owned();
    assert!(words.contains("image_count_total is over limit of 4"), "{words}");
    let (_, _, other) = cloud.tenant("bob", "member").await;
    create(&cloud, &other, json!({"name": "another project's"})).await;
}

#[tokio::test]
async fn data_is_counted_when_it_begins_and_when_it_is_there() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    register(&cloud, &admin, "image_size_total", 2).await;
    let (first, second) = (queued(&cloud, &token, "raw").await, queued(&cloud, &token, "raw").await);
    assert_eq!(put(&cloud, &token, &first, "file", 3 * MIB).await, StatusCode::PAYLOAD_TOO_LARGE);
    let path = format!("/image/v2/images/{first}");
    assert_eq!(cloud.get(&path, &token).await.text("/status"), "queued", "nothing stays of a refusal");
    assert_eq!(put(&cloud, &token, &first, "file", 2 * MIB).await, StatusCode::NO_CONTENT);
    assert_eq!(put(&cloud, &token, &second, "file", MIB).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(usage(&cloud, &token).await["image_size_total"], json!({"limit": 2, "usage": 2}));
    assert_eq!(cloud.delete(&path, &token).await.status, StatusCode::NO_CONTENT);
    assert_eq!(put(&cloud, &token, &second, "file", MIB).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_is_staged_has_limits_of_its_own() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    register(&cloud, &admin, "image_stage_total", 2).await;
    register(&cloud, &admin, "image_count_uploading", 1).await;
    let (first, second) = (queued(&cloud, &token, "raw").await, queued(&cloud, &token, "raw").await);
    assert_eq!(put(&cloud, &token, &first, "stage", 3 * MIB).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(put(&cloud, &token, &first, "stage", MIB).await, StatusCode::NO_CONTENT);
    assert_eq!(
        put(&cloud, &token, &second, "stage", MIB).await,
        StatusCode::PAYLOAD_TOO_LARGE,
        "one at a time"
    );
    assert_eq!(put(&cloud, &token, &second, "file", MIB).await, StatusCode::PAYLOAD_TOO_LARGE);
    let used = usage(&cloud, &token).await;
    assert_eq!(used["image_stage_total"], json!({"limit": 2, "usage": 1}));
    assert_eq!(used["image_count_uploading"], json!({"limit": 1, "usage": 1}));
}
