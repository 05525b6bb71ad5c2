//! Stage and import, with a worker run by hand or killed in the middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use updraft_core::Config;
use updraft_core::fetch::FetchRules;
use updraft_core::image::import::Worker;
use updraft_core::image::{self, doctor};

use super::{files, qcow2, queued};
use crate::test_cloud::{Reply, TestCloud};

/// A web server on loopback: its answers in turn, the last one for ever. `None` hangs in the middle of the body.
struct Web {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Web {
    async fn start(answers: Vec<Option<Vec<u8>>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::Relaxed);
                let answer = answers[number.min(answers.len() - 1)].clone();
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let length = answer.as_ref().map_or(1 << 20, Vec::len);
                    let head =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                    let _ = stream.write_all(head.as_bytes()).await;
                    match answer {
                        Some(body) => drop(stream.write_all(&body).await),
                        None => {
                            let _ = stream.write_all(b"half").await;
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self { port, asked }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/image", self.port)
    }
}

async fn cloud(ports: &[u16]) -> TestCloud {
    let directory = tempfile::tempdir().unwrap();
    let rules = FetchRules {
        allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ports: ports.to_vec(),
        ..FetchRules::default()
    };
    let config = Config { fetch: rules, ..Config::new(directory.path().join("images")) };
    TestCloud::start_with(directory, config).await
}

async fn stage(cloud: &TestCloud, token: &str, id: &str, data: Vec<u8>) -> Reply {
    let request = Request::put(format!("/image/v2/images/{id}/stage")).header("x-auth-token", token);
    cloud
        .send(request.header("content-type", "application/octet-stream").body(Body::from(data)).unwrap())
        .await
}

async fn import(cloud: &TestCloud, token: &str, id: &str, method: Value) -> StatusCode {
    cloud.post(&format!("/image/v2/images/{id}/import"), token, json!({"method": method})).await.status
}

async fn shown(cloud: &TestCloud, token: &str, id: &str) -> Value {
    cloud.get(&format!("/image/v2/images/{id}"), token).await.json()
}

#[tokio::test]
async fn staged_data_becomes_the_images_by_an_import() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "qcow2").await;
    let direct = json!({"name": "glance-direct"});
    assert_eq!(import(&cloud, &token, &id, direct.clone()).await, StatusCode::CONFLICT, "nothing is staged");
    assert_eq!(stage(&cloud, &token, &id, qcow2(|_| {})).await.status, StatusCode::NO_CONTENT);
    let staged = shown(&cloud, &token, &id).await;
    let size = json!(qcow2(|_| {}).len());
    assert_eq!((&staged["status"], &staged["size"]), (&json!("uploading"), &size));
    assert_eq!((&staged["checksum"], &staged["virtual_size"]), (&Value::Null, &Value::Null));
    let found = cloud.get(&format!("/image/v2/images?size_min={size}"), &token).await;
    assert_eq!(found.text("/images/0/id"), id);
    assert_eq!(stage(&cloud, &token, &id, qcow2(|_| {})).await.status, StatusCode::CONFLICT);
    assert_eq!(import(&cloud, &token, &id, direct.clone()).await, StatusCode::ACCEPTED);
    let importing = shown(&cloud, &token, &id).await;
    assert_eq!(
        (&importing["status"], &importing["os_glance_importing_to_stores"]),
        (&json!("importing"), &json!("local"))
    );
    assert_eq!(importing["size"], size);
    assert_eq!(import(&cloud, &token, &id, direct).await, StatusCode::CONFLICT, "one import at a time");

    assert!(Worker::new(cloud.core.clone()).run_one().await.unwrap());
    let active = shown(&cloud, &token, &id).await;
    assert_eq!((&active["status"], &active["stores"]), (&json!("active"), &json!("local")));
    assert_eq!(
        (&active["os_glance_importing_to_stores"], &active["os_glance_failed_import"]),
        (&json!(""), &json!(""))
    );
    assert!(active.get("os_glance_import_task").is_none());
    let tasks = cloud.get(&format!("/image/v2/images/{id}/tasks"), &token).await.json();
    assert_eq!(
        (&tasks["tasks"][0]["status"], &tasks["tasks"][0]["type"]),
        (&json!("success"), &json!("api_image_import"))
    );
    assert_eq!(files(&cloud), std::slice::from_ref(&id));
    assert_eq!(doctor::examine(&cloud.core).await.unwrap(), []);
}

#[tokio::test]
async fn an_image_that_is_queued_again_has_no_size() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "qcow2").await;
    assert_eq!(stage(&cloud, &token, &id, vec![7; 4096]).await.status, StatusCode::NO_CONTENT);
    assert_eq!(shown(&cloud, &token, &id).await["size"], 4096);
    let direct = json!({"name": "glance-direct"});
    assert_eq!(import(&cloud, &token, &id, direct).await, StatusCode::ACCEPTED);
    assert!(Worker::new(cloud.core.clone()).run_one().await.unwrap());
    let failed = shown(&cloud, &token, &id).await;
    assert_eq!((&failed["status"], &failed["size"]), (&json!("queued"), &Value::Null));
    assert_eq!(doctor::examine(&cloud.core).await.unwrap(), []);
}

#[tokio::test]
async fn a_failed_import_gives_the_image_back_and_says_why() {
    let web = Web::start(vec![Some(vec![7; 4096])]).await;
    let cloud = cloud(&[web.port]).await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "qcow2").await;
    let method = json!({"name": "web-download", "uri": web.url()});
    assert_eq!(import(&cloud, &token, &id, method).await, StatusCode::ACCEPTED);
    assert!(Worker::new(cloud.core.clone()).run_one().await.unwrap());
    let failed = shown(&cloud, &token, &id).await;
    assert_eq!((&failed["status"], &failed["os_glance_failed_import"]), (&json!("queued"), &json!("local")));
    let task = cloud.get(&format!("/image/v2/images/{id}/tasks"), &token).await.json()["tasks"][0].clone();
    assert_eq!(task["status"], "failure");
    assert!(task["message"].as_str().unwrap().contains("declared qcow2, found raw"), "{task}");
    assert!(files(&cloud).is_empty());
    assert_eq!(doctor::examine(&cloud.core).await.unwrap(), []);
}

/// A worker that hangs in its download is dropped, as a kill would; the next one begins anew, and nothing is left over.
#[tokio::test]
async fn an_import_outlives_its_worker() {
    let web = Web::start(vec![None, Some(qcow2(|_| {}))]).await;
    let cloud = cloud(&[web.port]).await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "qcow2").await;
    let method = json!({"name": "web-download", "uri": web.url()});
    assert_eq!(import(&cloud, &token, &id, method).await, StatusCode::ACCEPTED);
    let first = Worker::new(cloud.core.clone());
    let killed = async {
        while web.asked.load(Ordering::Relaxed) == 0 || files(&cloud).is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = first.run_one() => panic!("a download that hangs came to an end"),
        () = killed => {}
    }
    assert!(!Worker::new(cloud.core.clone()).run_one().await.unwrap(), "the lease still holds");
    cloud.core.clock.advance(cloud.core.config.image_lease * 2);
    assert!(Worker::new(cloud.core.clone()).run_one().await.unwrap());
    assert_eq!(shown(&cloud, &token, &id).await["status"], "active");
    image::clean_up(&cloud.core).await.unwrap();
    assert_eq!(files(&cloud), std::slice::from_ref(&id));
    assert_eq!(doctor::examine(&cloud.core).await.unwrap(), []);
}

#[tokio::test]
async fn an_image_that_is_deleted_during_its_import_leaves_nothing() {
    let web = Web::start(vec![Some(qcow2(|_| {}))]).await;
    let cloud = cloud(&[web.port]).await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "qcow2").await;
    import(&cloud, &token, &id, json!({"name": "web-download", "uri": web.url()})).await;
    let worker = Worker::new(cloud.core.clone());
    let path = format!("/image/v2/images/{id}");
    let (ran, deleted) = tokio::join!(worker.run_one(), cloud.delete(&path, &token));
    ran.unwrap();
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    image::clean_up(&cloud.core).await.unwrap();
    assert!(files(&cloud).is_empty(), "{:?}", files(&cloud));
    assert_eq!(doctor::examine(&cloud.core).await.unwrap(), []);
}

#[tokio::test]
async fn imports_that_cannot_be_are_refused() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let (_, _, reader) = cloud.tenant("rita", "reader").await;
    let id = queued(&cloud, &token, "qcow2").await;
    let download = |uri: &str| json!({"name": "web-download", "uri": uri});
    for (method, expected) in [
        (json!({}), StatusCode::BAD_REQUEST),
        (json!({"name": "glance-download"}), StatusCode::BAD_REQUEST),
        (json!({"name": "web-download"}), StatusCode::BAD_REQUEST),
        (download("http://169.254.169.254/latest/meta-data/"), StatusCode::BAD_REQUEST),
        (download("http://2130706433/"), StatusCode::BAD_REQUEST),
        (download("file:///etc/shadow"), StatusCode::BAD_REQUEST),
        (json!({"name": "copy-image"}), StatusCode::CONFLICT),
    ] {
        assert_eq!(import(&cloud, &token, &id, method.clone()).await, expected, "{method}");
    }
    assert_eq!(import(&cloud, &reader, &id, download("http://example.org/")).await, StatusCode::NOT_FOUND);
    let path = format!("/image/v2/images/{id}/import");
    let elsewhere = json!({"method": download("http://example.org/"), "stores": ["elsewhere"]});
    assert_eq!(cloud.post(&path, &token, elsewhere).await.status, StatusCode::CONFLICT);
    assert_eq!(shown(&cloud, &token, &id).await["status"], "queued");
    assert!(shown(&cloud, &token, &id).await.get("os_glance_import_task").is_none());
}

#[tokio::test]
async fn tasks_are_for_administrators() {
    let web = Web::start(vec![Some(qcow2(|_| {}))]).await;
    let cloud = cloud(&[web.port]).await;
    let admin = cloud.admin().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let body = json!({"type": "import", "input": {
        "import_from": web.url(), "import_from_format": "qcow2",
        "image_properties": {"name": "by task", "disk_format": "qcow2", "container_format": "bare"},
    }});
    assert_eq!(cloud.post("/image/v2/tasks", &token, body.clone()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        cloud.post("/image/v2/tasks", &admin, json!({"type": "import"})).await.status,
        StatusCode::BAD_REQUEST
    );
    let made = cloud.post("/image/v2/tasks", &admin, body).await;
    assert_eq!((made.status, made.text("/status")), (StatusCode::CREATED, "pending".into()));
    assert!(Worker::new(cloud.core.clone()).run_one().await.unwrap());
    let path = format!("/image/v2/tasks/{}", made.text("/id"));
    let done = cloud.get(&path, &admin).await;
    assert_eq!(done.text("/status"), "success", "{}", done.json());
    let image = shown(&cloud, &admin, &done.text("/result/image_id")).await;
    assert_eq!((&image["name"], &image["status"]), (&json!("by task"), &json!("active")));
    let list = cloud.get("/image/v2/tasks?status=success&limit=1", &admin).await.json();
    assert_eq!(list["tasks"].as_array().unwrap().len(), 1);
    assert!(list["tasks"][0].get("input").is_none(), "{list}");
    assert_eq!(cloud.get("/image/v2/tasks", &token).await.status, StatusCode::FORBIDDEN);
    assert_eq!(cloud.get("/image/v2/tasks?status=odd", &admin).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::METHOD_NOT_ALLOWED);
}
