//! `glance-download`, between two controllers with databases of their own and one identity: the same keys, the same users.

use std::future::IntoFuture;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use updraft_core::Config;
use updraft_core::fetch::FetchRules;
use updraft_core::image::doctor;
use updraft_core::image::import::Worker;
use updraft_store::identity::{project, user};

use super::{create, files, qcow2, queued, upload};
use crate::test_cloud::TestCloud;

struct Regions {
    here: TestCloud,
    there: TestCloud,
    user_id: String,
    token: String,
}

/// A region `two` beside the first one, both known to alice, who has a token of the first.
async fn regions() -> Regions {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let rules = FetchRules {
        allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ports: vec![port],
        ..FetchRules::default()
    };
    let config = Config { fetch: rules, ..Config::new(directory.path().join("images")) };
    let here = TestCloud::start_with(directory, config).await;
    let (project_id, user_id, token) = here.tenant("alice", "member").await;

    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    for key in std::fs::read_dir(here.directory.path().join("keys")).unwrap().map(Result::unwrap) {
        std::fs::copy(key.path(), keys.join(key.file_name())).unwrap();
    }
    let config = Config::new(directory.path().join("images"));
    let there = TestCloud::start_with(directory, config).await;
    let mut conn = here.core.read().await.unwrap();
    let alice = user::get(&mut conn, &user_id).await.unwrap().unwrap();
    let hers = project::get(&mut conn, &project_id).await.unwrap().unwrap();
    drop(conn);
    let copied = there.core.write(move |tx| {
        Box::pin(async move {
            project::insert(tx, &hers).await?;
            Ok(user::insert(tx, &alice).await?)
        })
    });
    copied.await.unwrap();
    there.grant(&there.admin().await, &project_id, &user_id, "member").await;
    tokio::spawn(axum::serve(listener, crate::router(there.core.clone())).into_future());

    let admin = here.admin().await;
    let service_id = here.get("/v3/services?type=image", &admin).await.text("/services/0/id");
    here.post("/v3/regions", &admin, json!({"region": {"id": "two"}})).await;
    let endpoint = json!({
        "interface": "public", "region_id": "two", "service_id": service_id,
        "url": format!("http://127.0.0.1:{port}/image"),
    });
    let made = here.post("/v3/endpoints", &admin, json!({"endpoint": endpoint})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    Regions { here, there, user_id, token }
}

impl Regions {
    /// Imports an image of the other region into a new one here, and works on it: the new image, its task.
    async fn import(&self, image_id: &str, region: &str) -> (Value, Value) {
        let id = queued(&self.here, &self.token, "raw").await;
        let method = json!({"name": "glance-download", "glance_region": region, "glance_image_id": image_id});
        let path = format!("/image/v2/images/{id}");
        let begun = self.here.post(&format!("{path}/import"), &self.token, json!({"method": method})).await;
        assert_eq!(begun.status, StatusCode::ACCEPTED, "{}", String::from_utf8_lossy(&begun.bytes));
        assert!(Worker::new(self.here.core.clone()).run_one().await.unwrap());
        let admin = self.here.admin().await;
        let tasks = self.here.get(&format!("{path}/tasks"), &admin).await.json();
        (self.here.get(&path, &admin).await.json(), tasks["tasks"][0].clone())
    }
}

#[tokio::test]
async fn an_image_of_another_region_comes_with_its_formats_and_what_hosts_need_to_know() {
    let regions = regions().await;
    let fields = json!({
        "name": "theirs", "disk_format": "qcow2", "container_format": "bare", "hw_disk_bus": "virtio",
        "os_distro": "debian", "note": "stays there",
    });
    let source = create(&regions.there, &regions.token, fields).await;
    let uploaded = upload(&regions.there, &regions.token, &source, Body::from(qcow2(|_| {}))).await;
    assert_eq!(uploaded.status, StatusCode::NO_CONTENT);
    let original = regions.there.get(&format!("/image/v2/images/{source}"), &regions.token).await.json();

    let (image, task) = regions.import(&source, "TWO").await;
    assert_eq!((&image["status"], &task["status"]), (&json!("active"), &json!("success")), "{task}");
    for key in
        ["disk_format", "size", "virtual_size", "os_hash_value", "checksum", "hw_disk_bus", "os_distro"]
    {
        assert_eq!(image[key], original[key], "{key}");
    }
    assert_eq!((&image["name"], image.get("note")), (&json!("x"), None));
    assert_eq!(files(&regions.here), [image["id"].as_str().unwrap()]);
    assert_eq!(doctor::examine(&regions.here.core).await.unwrap(), []);
}

#[tokio::test]
async fn what_cannot_be_had_of_another_region_leaves_the_image_as_it_was() {
    let regions = regions().await;
    let empty = queued(&regions.there, &regions.token, "qcow2").await;
    let (_, _, bob) = regions.there.tenant("bob", "member").await;
    let private = json!({"disk_format": "raw", "container_format": "bare", "visibility": "private"});
    let private = create(&regions.there, &bob, private).await;
    for (image_id, region, words) in [
        (&empty, "two", "Source image status should be active instead of queued"),
        (&private, "two", "answers with status 404"),
        (&empty, "three", "No public endpoint of an image service is known in the region three"),
        (&empty, "RegionOne", "is known in the region RegionOne"),
    ] {
        let (image, task) = regions.import(image_id, region).await;
        let message = task["message"].as_str().unwrap();
        assert!(message.contains(words), "{region}: {message}");
        assert_eq!((&image["status"], &image["disk_format"]), (&json!("queued"), &json!("raw")));
        assert_eq!(image["os_glance_failed_import"], "local");
    }
    assert!(files(&regions.here).is_empty());
}

#[tokio::test]
async fn who_lost_the_right_meanwhile_gets_nothing_of_another_region() {
    let regions = regions().await;
    let source = queued(&regions.there, &regions.token, "raw").await;
    upload(&regions.there, &regions.token, &source, Body::from(vec![1; 4096])).await;
    let id = queued(&regions.here, &regions.token, "raw").await;
    let method = json!({"name": "glance-download", "glance_region": "two", "glance_image_id": source});
    let path = format!("/image/v2/images/{id}");
    let begun = regions.here.post(&format!("{path}/import"), &regions.token, json!({"method": method})).await;
    assert_eq!(begun.status, StatusCode::ACCEPTED);
    let admin = regions.here.admin().await;
    let user = format!("/v3/users/{}", regions.user_id);
    let disabled = regions.here.call(Method::PATCH, &user, &admin, json!({"user": {"enabled": false}})).await;
    assert_eq!(disabled.status, StatusCode::OK);
    assert!(Worker::new(regions.here.core.clone()).run_one().await.unwrap());
    let tasks = regions.here.get(&format!("{path}/tasks"), &admin).await.json();
    assert_eq!(tasks["tasks"][0]["message"], "Who began the import has no longer the right to it.");
    assert_eq!(regions.here.get(&path, &admin).await.text("/status"), "queued");
}
