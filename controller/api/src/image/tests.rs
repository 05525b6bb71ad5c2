mod data;
mod imports;
mod manners;
mod metadefs;
mod quotas;
mod remote;
mod rules;

use std::convert::Infallible;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use updraft_core::{Config, image};

use crate::test_cloud::{Reply, TestCloud};

const QCOW2_MAGIC: &[u8] = b"QFI\xfb";
const CLUSTER: usize = 65_536;
const VIRTUAL_SIZE: u64 = 1 << 30;

/// An empty qcow2, version 3: header, one cluster each of first-level table and of reference counts.
pub(crate) fn qcow2(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = vec![0; 4 * CLUSTER];
    let mut put = |offset: usize, value: &[u8]| bytes[offset..offset + value.len()].copy_from_slice(value);
    put(0, QCOW2_MAGIC);
    put(4, &3_u32.to_be_bytes());
    put(20, &16_u32.to_be_bytes());
    put(24, &VIRTUAL_SIZE.to_be_bytes());
    put(36, &2_u32.to_be_bytes());
    put(40, &(3 * CLUSTER as u64).to_be_bytes());
    put(48, &(CLUSTER as u64).to_be_bytes());
    put(56, &1_u32.to_be_bytes());
    put(96, &4_u32.to_be_bytes());
    put(100, &104_u32.to_be_bytes());
    put(CLUSTER, &(2 * CLUSTER as u64).to_be_bytes());
    for cluster in 0..4 {
        put(2 * CLUSTER + 2 * cluster, &1_u16.to_be_bytes());
    }
    change(&mut bytes);
    bytes
}

/// The same with the name of another file in it.
fn qcow2_with_backing_file(name: &str) -> Vec<u8> {
    qcow2(|bytes| {
        bytes[8..16].copy_from_slice(&512_u64.to_be_bytes());
        bytes[16..20].copy_from_slice(&(name.len() as u32).to_be_bytes());
        bytes[512..512 + name.len()].copy_from_slice(name.as_bytes());
    })
}

async fn create(cloud: &TestCloud, token: &str, fields: Value) -> String {
    let reply = cloud.post("/image/v2/images", token, fields).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{:?}", String::from_utf8_lossy(&reply.bytes));
    reply.text("/id")
}

pub(crate) async fn queued(cloud: &TestCloud, token: &str, disk_format: &str) -> String {
    create(cloud, token, json!({"name": "x", "disk_format": disk_format, "container_format": "bare"})).await
}

pub(crate) async fn upload(cloud: &TestCloud, token: &str, id: &str, body: Body) -> Reply {
    let request = Request::put(format!("/image/v2/images/{id}/file")).header("x-auth-token", token);
    cloud.send(request.header("content-type", "application/octet-stream").body(body).unwrap()).await
}

/// A body of unknown length, in pieces.
fn chunked(data: &[u8]) -> Body {
    let pieces: Vec<_> =
        data.chunks(1000).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
    Body::from_stream(stream::iter(pieces))
}

/// The images that have files, or a file's whole name when it is a stranger's.
fn files(cloud: &TestCloud) -> Vec<String> {
    let entries = std::fs::read_dir(cloud.directory.path().join("images")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| if name.len() == 73 { name[..36].to_owned() } else { name }).collect()
}

#[tokio::test]
async fn discovery() {
    let cloud = TestCloud::start().await;
    for (path, status) in [
        ("/image", StatusCode::MULTIPLE_CHOICES),
        ("/image/", StatusCode::MULTIPLE_CHOICES),
        ("/image/versions", StatusCode::OK),
    ] {
        let reply = cloud.get(path, "").await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.text("/versions/0/status"), "CURRENT");
        assert_eq!(reply.text("/versions/0/links/0/href"), "http://cloud.test:5000/image/v2/");
    }
}

#[tokio::test]
async fn an_image_from_record_to_download() {
    let cloud = TestCloud::start().await;
    let (project_id, _, token) = cloud.tenant("alice", "member").await;
    let fields = json!({
        "name": "mini", "disk_format": "qcow2", "container_format": "bare", "min_disk": 1,
        "hw_disk_bus": "virtio", "tags": ["small"],
    });
    let reply = cloud.post("/image/v2/images", &token, fields).await;
    let id = reply.text("/id");
    assert_eq!(reply.header("location"), format!("http://cloud.test:5000/image/v2/images/{id}"));
    let made = reply.json();
    assert_eq!((&made["status"], &made["visibility"]), (&json!("queued"), &json!("shared")));
    assert_eq!(
        (&made["size"], &made["checksum"], &made["hw_disk_bus"]),
        (&Value::Null, &Value::Null, &json!("virtio"))
    );
    assert_eq!(made["owner"], project_id);
    let path = format!("/image/v2/images/{id}");
    assert_eq!(cloud.get(&format!("{path}/file"), &token).await.status, StatusCode::NO_CONTENT);

    let data = qcow2(|_| {});
    assert_eq!(upload(&cloud, &token, &id, chunked(&data)).await.status, StatusCode::NO_CONTENT);
    let shown = cloud.get(&path, &token).await.json();
    assert_eq!((&shown["status"], &shown["size"]), (&json!("active"), &json!(data.len())));
    assert_eq!((&shown["virtual_size"], &shown["os_hash_algo"]), (&json!(VIRTUAL_SIZE), &json!("sha512")));
    assert_eq!(shown["os_hash_value"].as_str().unwrap().len(), 128);
    assert_eq!(upload(&cloud, &token, &id, chunked(&data)).await.status, StatusCode::CONFLICT);

    let whole = cloud.get(&format!("{path}/file"), &token).await;
    assert!(whole.status == StatusCode::OK && whole.bytes == data);
    assert_eq!(whole.header("content-md5"), shown["checksum"]);
    let request =
        Request::get(format!("{path}/file")).header("x-auth-token", &token).header("range", "bytes=0-3");
    let part = cloud.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((part.status, part.bytes.as_slice()), (StatusCode::PARTIAL_CONTENT, QCOW2_MAGIC));
    assert_eq!(part.header("content-range"), format!("bytes 0-3/{}", data.len()));

    assert_eq!(files(&cloud), std::slice::from_ref(&id));
    assert_eq!(cloud.delete(&path, &token).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get(&path, &token).await.status, StatusCode::NOT_FOUND);
    assert!(files(&cloud).is_empty());
}

#[tokio::test]
async fn content_is_judged_not_its_name_and_a_refusal_leaves_nothing() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let raw = vec![7_u8; 4096];
    for (declared, data, expected) in [
        ("raw", qcow2(|_| {}), "declared raw, found qcow2"),
        ("qcow2", raw.clone(), "declared qcow2, found raw"),
        ("qcow2", qcow2_with_backing_file("/etc/shadow"), "backing file"),
        ("raw", qcow2_with_backing_file("/etc/shadow"), "backing file"),
        ("raw", Vec::new(), "empty"),
    ] {
        let id = queued(&cloud, &token, declared).await;
        let refused = upload(&cloud, &token, &id, chunked(&data)).await;
        let body = String::from_utf8(refused.bytes).unwrap();
        assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{body}");
        assert!(body.contains(expected) && body.starts_with("<html>"), "{body}");
        assert!(!body.contains("shadow"), "{body}");
        let shown = cloud.get(&format!("/image/v2/images/{id}"), &token).await;
        assert_eq!((shown.text("/status"), &shown.json()["size"]), ("queued".into(), &Value::Null));
        assert!(files(&cloud).is_empty(), "{:?}", files(&cloud));
        if declared == "raw" {
            let again = upload(&cloud, &token, &id, Body::from(raw.clone())).await;
            assert_eq!(again.status, StatusCode::NO_CONTENT, "a queued image takes the next upload");
            cloud.delete(&format!("/image/v2/images/{id}"), &token).await;
        }
    }
}

#[tokio::test]
async fn an_upload_that_is_cut_off_leaves_nothing() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "raw").await;
    let cut = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let body = Body::from_stream(stream::iter([Ok(Bytes::from_static(b"half")), Err(cut)]));
    assert_eq!(upload(&cloud, &token, &id, body).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(cloud.get(&format!("/image/v2/images/{id}"), &token).await.text("/status"), "queued");
    assert!(files(&cloud).is_empty());
}

/// A client may hang up at any point: before the claim, while it is written, during the data, after it.
#[tokio::test]
async fn a_client_that_hangs_up_never_leaves_an_image_stuck() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    for attempt in 0..30_u64 {
        let id = queued(&cloud, &token, "raw").await;
        let upload = upload(&cloud, &token, &id, chunked(&[1; 4096]));
        let _hung_up = tokio::time::timeout(Duration::from_micros(attempt * 300), upload).await;
        let settled = async {
            while cloud.get(&format!("/image/v2/images/{id}"), &token).await.text("/status") == "saving" {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), settled).await.expect("the image is stuck in 'saving'");
    }
}

#[tokio::test]
async fn a_size_limit_and_a_full_disk_are_413_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let small = directory.path().join("images");
    std::fs::create_dir(&small).unwrap();
    let disk = SmallDisk::mount(&small, "1m");
    let config = Config { max_image_bytes: 4 << 20, ..Config::new(small.clone()) };
    let cloud = TestCloud::start_with(directory, config).await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "raw").await;
    let sizes: &[usize] = if disk.is_some() { &[2 << 20, 5 << 20] } else { &[5 << 20] };
    for size in sizes {
        let full = upload(&cloud, &token, &id, chunked(&vec![1; *size])).await;
        assert_eq!(full.status, StatusCode::PAYLOAD_TOO_LARGE, "{size}");
        assert!(files(&cloud).is_empty());
    }
    assert_eq!(upload(&cloud, &token, &id, Body::from(vec![1; 4096])).await.status, StatusCode::NO_CONTENT);
    drop(disk);
}

/// A small file system in memory, gone when the value is.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// Needs root; `None` without, and then the part of the test that fills a disk is left out.
    fn mount(directory: &'a Path, size: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(directory);
        mount.status().is_ok_and(|status| status.success()).then_some(Self(directory))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily: a file of it may still be open.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_kill_during_an_upload_is_cleaned_up_at_the_next_start() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let (kept, cut) = (queued(&cloud, &token, "raw").await, queued(&cloud, &token, "raw").await);
    assert_eq!(upload(&cloud, &token, &kept, Body::from(vec![1; 4096])).await.status, StatusCode::NO_CONTENT);
    // An upload that never ends stands for the one that a kill cut off.
    let request = Request::put(format!("/image/v2/images/{cut}/file")).header("x-auth-token", &token);
    let endless = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let request = request.header("content-type", "application/octet-stream").body(endless).unwrap();
    let path = format!("/image/v2/images/{cut}");
    tokio::select! {
        _ = cloud.send(request) => panic!("an endless upload ended"),
        () = async { while cloud.get(&path, &token).await.text("/status") != "saving" {} } => {}
    }
    let images = cloud.directory.path().join("images");
    let stray = format!("{}.{}", uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    std::fs::write(images.join(&stray), "x").unwrap();
    std::fs::write(images.join("operator.txt"), "x").unwrap();
    image::clean_up(&cloud.core).await.unwrap();
    assert_eq!(cloud.get(&path, &token).await.text("/status"), "saving", "whoever is heard of is left alone");
    cloud.core.clock.advance(cloud.core.config.image_lease * 2);
    image::clean_up(&cloud.core).await.unwrap();
    assert_eq!(cloud.get(&path, &token).await.text("/status"), "queued");
    let mut left = files(&cloud);
    left.sort();
    let mut expected = vec![kept, "operator.txt".to_owned()];
    expected.sort();
    assert_eq!(left, expected);
}

#[tokio::test]
async fn patches_change_what_may_be_changed() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = create(&cloud, &token, json!({"name": "x", "colour": "red"})).await;
    let patch = async |media: &str, body: Value| {
        let request = Request::patch(format!("/image/v2/images/{id}")).header("x-auth-token", &token);
        cloud.send(request.header("content-type", media).body(Body::from(body.to_string())).unwrap()).await
    };
    const V2_1: &str = "application/openstack-images-v2.1-json-patch";
    let good = json!([
        {"op": "replace", "path": "/name", "value": "y"}, {"op": "remove", "path": "/colour"},
        {"op": "add", "path": "/os_distro", "value": "debian"}, {"op": "add", "path": "/protected", "value": true},
    ]);
    let changed = patch(V2_1, good).await.json();
    assert_eq!(
        (&changed["name"], &changed["os_distro"], &changed["protected"]),
        (&json!("y"), &json!("debian"), &json!(true))
    );
    assert!(changed.get("colour").is_none());
    let replace =
        |name: &str, value: Value| json!([{"op": "replace", "path": format!("/{name}"), "value": value}]);
    for (media, body, expected) in [
        ("application/json", replace("name", json!("z")), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (V2_1, replace("status", json!("active")), StatusCode::FORBIDDEN),
        (V2_1, replace("checksum", json!("0")), StatusCode::FORBIDDEN),
        (
            V2_1,
            replace("locations", json!([{"url": "file:///etc/shadow", "metadata": {}}])),
            StatusCode::FORBIDDEN,
        ),
        (V2_1, replace("locations", json!([{"url": "file:///etc/shadow"}])), StatusCode::BAD_REQUEST),
        (V2_1, replace("visibility", json!("public")), StatusCode::FORBIDDEN),
        (V2_1, replace("owner", json!("somebody")), StatusCode::FORBIDDEN),
        (V2_1, replace("no_such", json!("x")), StatusCode::CONFLICT),
        (V2_1, replace("min_ram", json!(-1)), StatusCode::BAD_REQUEST),
        (V2_1, json!([{"op": "remove", "path": "/name"}]), StatusCode::FORBIDDEN),
        (V2_1, json!([{"op": "add", "path": "/a/b", "value": "x"}]), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(patch(media, body.clone()).await.status, expected, "{body}");
    }
    let path = format!("/image/v2/images/{id}");
    assert_eq!(cloud.delete(&path, &token).await.status, StatusCode::FORBIDDEN, "protected");
    patch(V2_1, replace("protected", json!(false))).await;
    assert_eq!(cloud.delete(&path, &token).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn formats_that_cannot_be_used_are_refused_at_once() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    for fields in [
        json!({"disk_format": "ploop"}),
        json!({"container_format": "floppy"}),
        json!({"name": 5}),
        json!({"id": "../../etc/passwd"}),
        json!({"colour": {"deep": 1}}),
        json!({"name": "x".repeat(256)}),
    ] {
        let reply = cloud.post("/image/v2/images", &token, fields.clone()).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{fields}");
    }
    let id = create(&cloud, &token, json!({"name": "no format"})).await;
    assert_eq!(upload(&cloud, &token, &id, Body::from("x")).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn visibility_decides_who_sees_what() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, _, alice) = cloud.tenant("alice", "member").await;
    let (bob_project, _, bob) = cloud.tenant("bob", "member").await;
    let with = |visibility: &str| json!({"name": visibility, "visibility": visibility});
    let refused = cloud.post("/image/v2/images", &alice, with("public")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let public = create(&cloud, &admin, with("public")).await;
    let mut ids = Vec::new();
    for visibility in ["private", "shared", "community"] {
        ids.push(create(&cloud, &alice, with(visibility)).await);
    }
    let [private, shared, community] = ids.as_slice() else { unreachable!() };
    let names = async |token: &str, query: &str| {
        let list = cloud.get(&format!("/image/v2/images{query}"), token).await.json();
        let images =
            list["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap().to_owned());
        let mut names: Vec<String> = images.collect();
        names.sort();
        names
    };
    assert_eq!(names(&alice, "").await, ["community", "private", "public", "shared"]);
    assert_eq!(names(&bob, "").await, ["public"]);
    assert_eq!(names(&bob, "?visibility=community").await, ["community"]);
    assert_eq!(names(&bob, "?visibility=all").await, ["community", "public"]);
    assert_eq!(names(&alice, "?visibility=shared").await, ["shared"]);
    assert_eq!(
        names(&admin, "").await,
        ["private", "public", "shared"],
        "others' community images are not usual"
    );
    assert_eq!(names(&admin, "?visibility=all").await, ["community", "private", "public", "shared"]);
    let status =
        async |id: &str, token: &str| cloud.get(&format!("/image/v2/images/{id}"), token).await.status;
    for (id, expected) in [(private, 404), (shared, 404), (community, 200), (&public, 200)] {
        assert_eq!(status(id, &bob).await.as_u16(), expected);
        let forbidden = cloud.delete(&format!("/image/v2/images/{id}"), &bob).await.status.as_u16();
        assert_eq!(forbidden, if expected == 200 { 403 } else { 404 });
    }
    let members = format!("/image/v2/images/{shared}/members");
    let offered = cloud.post(&members, &alice, json!({"member": bob_project})).await;
    assert_eq!((offered.status, offered.text("/status")), (StatusCode::OK, "pending".into()));
    assert_eq!(status(shared, &bob).await, StatusCode::OK);
    assert_eq!(names(&bob, "").await, ["public"], "not in lists until accepted");
    let accept = json!({"status": "accepted"});
    let membership = format!("{members}/{bob_project}");
    assert_eq!(
        cloud.call(Method::PUT, &membership, &alice, accept.clone()).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(cloud.call(Method::PUT, &membership, &bob, accept).await.status, StatusCode::OK);
    assert_eq!(names(&bob, "").await, ["public", "shared"]);
    for (body, words) in [
        (json!({}), "Member to be added not specified"),
        (json!({"member": ""}), "Member can&#x27;t be empty"),
        (json!([]), "Expected a member in the form"),
    ] {
        let refused = cloud.post(&members, &alice, body).await;
        let told = String::from_utf8_lossy(&refused.bytes).into_owned();
        assert!(refused.status == StatusCode::BAD_REQUEST && told.contains(words), "{told}");
    }
    for (token, expected) in [(&bob, StatusCode::BAD_REQUEST), (&alice, StatusCode::FORBIDDEN)] {
        let odd = cloud.call(Method::PUT, &membership, token, json!({"status": "maybe"})).await;
        assert_eq!(odd.status, expected);
    }
    assert_eq!(cloud.delete(&membership, &alice).await.status, StatusCode::NO_CONTENT);
    assert_eq!(status(shared, &bob).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    for name in ["a", "b", "c"] {
        create(&cloud, &token, json!({"name": name})).await;
    }
    let mut path = "/v2/images?limit=2&sort=name:asc".to_owned();
    let mut names = Vec::new();
    loop {
        let page = cloud.get(&format!("/image{path}"), &token).await.json();
        names.extend(
            page["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = next.to_owned();
    }
    assert_eq!(names, ["a", "b", "c"]);
    let unknown = cloud.get("/image/v2/images?marker=gone", &token).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
}

/// More images than one look at the database reads, most of which each list leaves out.
#[tokio::test]
async fn a_page_of_rare_images_among_many() {
    let cloud = TestCloud::start().await;
    let token = &cloud.tenant("alice", "member").await.2;
    let mut rare = Vec::new();
    for n in 0..620 {
        let is_rare = [3, 90, 600].contains(&n);
        let fields = match is_rare {
            true => json!({"name": "rare", "tags": ["rare"], "os_distro": "rare"}),
            false => json!({"name": "usual", "tags": ["usual"]}),
        };
        let id = create(&cloud, token, fields).await;
        if is_rare {
            rare.push(id);
        }
    }
    let [oldest, middle, newest] = rare.try_into().unwrap();
    for filter in ["tag=rare", "name=rare", "os_distro=rare"] {
        for (direction, order) in
            [("desc", [&newest, &middle, &oldest]), ("asc", [&oldest, &middle, &newest])]
        {
            let order = order.map(String::as_str);
            let sort = format!("/image/v2/images?{filter}&sort=created_at:{direction},id:{direction}");
            let ids = |reply: &Reply| -> Vec<String> {
                let images = reply.json()["images"].as_array().unwrap().clone();
                images.iter().map(|image| image["id"].as_str().unwrap().to_owned()).collect()
            };
            assert_eq!(ids(&cloud.get(&sort, token).await), order, "{sort}");
            let first = cloud.get(&format!("{sort}&limit=2"), token).await;
            assert_eq!(ids(&first), order[..2], "{sort}");
            let rest = cloud.get(&format!("/image{}", first.text("/next")), token).await;
            assert_eq!(ids(&rest), order[2..], "{sort}");
            assert!(rest.json().get("next").is_none(), "{sort}: nothing follows");
        }
    }
}

#[tokio::test]
async fn readers_read_and_names_are_not_ids() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "reader").await;
    let made = cloud.post("/image/v2/images", &token, json!({"name": "x"})).await;
    assert_eq!(made.status, StatusCode::FORBIDDEN);
    assert_eq!(cloud.get("/image/v2/images/x", &token).await.status, StatusCode::NOT_FOUND);
    assert_eq!(cloud.get("/image/v2/images", "").await.status, StatusCode::UNAUTHORIZED);
    let schema = cloud.get("/image/v2/schemas/image", &token).await;
    assert_eq!((schema.status, schema.text("/name")), (StatusCode::OK, "image".into()));
}
