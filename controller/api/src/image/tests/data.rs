//! Data that goes in and out: what is asked of it, and what happens around it meanwhile.

use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::sync::oneshot;

use super::{chunked, create, files, qcow2_with_backing_file, queued, upload};
use crate::test_cloud::TestCloud;

async fn put(cloud: &TestCloud, token: &str, path: &str, media: &str, body: Body) -> StatusCode {
    let request = Request::put(path).header("x-auth-token", token).header("content-type", media);
    cloud.send(request.body(body).unwrap()).await.status
}

#[tokio::test]
async fn an_image_that_is_deleted_during_its_upload_is_gone_and_leaves_nothing() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "raw").await;
    let path = format!("/image/v2/images/{id}");
    let (goes_on, waits) = oneshot::channel::<()>();
    let rest = stream::once(async move {
        let _ = waits.await;
        Ok::<_, std::convert::Infallible>(Bytes::from(vec![2; 4096]))
    });
    let body = stream::iter([Ok(Bytes::from(vec![1; 4096]))]).chain(rest);
    let uploading = upload(&cloud, &token, &id, Body::from_stream(Box::pin(body)));
    let deleting = async {
        while cloud.get(&path, &token).await.text("/status") != "saving" {
            tokio::task::yield_now().await;
        }
        assert_eq!(upload(&cloud, &token, &id, Body::from("x")).await.status, StatusCode::CONFLICT);
        assert_eq!(cloud.delete(&path, &token).await.status, StatusCode::NO_CONTENT);
        goes_on.send(()).unwrap();
    };
    let (uploaded, ()) = tokio::join!(uploading, deleting);
    assert_eq!(uploaded.status, StatusCode::GONE);
    let told = String::from_utf8(uploaded.bytes).unwrap();
    assert!(told.contains("could not be found after upload"), "{told}");
    assert!(files(&cloud).is_empty(), "{:?}", files(&cloud));
}

/// All files in a directory and below it.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Neither what is in the file that an image names nor whether it is there.
#[tokio::test]
async fn row_10_nothing_is_told_or_kept_of_a_backing_file() {
    const SECRET: &[u8] = b"zq8c1f5e-for-nobody-to-read-e5f1c8qz";
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let named = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(named.path(), SECRET.repeat(4096)).unwrap();
    let mut told = Vec::new();
    for name in [named.path().to_str().unwrap(), "/nowhere/backing-file"] {
        for declared in ["qcow2", "raw"] {
            let id = queued(&cloud, &token, declared).await;
            let refused = upload(&cloud, &token, &id, chunked(&qcow2_with_backing_file(name))).await;
            assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{name} as {declared}");
            for (header, value) in &refused.headers {
                assert!(!holds(value.as_bytes(), SECRET), "{name} as {declared}: {header}");
            }
            assert!(!holds(&refused.bytes, SECRET), "{name} as {declared}");
            told.push(refused.bytes);
        }
    }
    assert!(told.iter().all(|body| *body == told[0]), "the answer depends on the file that is named");
    assert!(files(&cloud).is_empty(), "{:?}", files(&cloud));
    let directory = cloud.close().await;
    let kept = files_below(directory.path());
    assert!(!kept.is_empty(), "a cloud keeps its keys there at least");
    let leaks: Vec<_> = kept.iter().filter(|file| holds(&std::fs::read(file).unwrap(), SECRET)).collect();
    assert!(leaks.is_empty(), "{leaks:?}");
}

#[tokio::test]
async fn what_is_in_an_archive_is_kept_as_it_is_and_boots_nothing() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let flavor = json!({"flavor": {"name": "small", "id": "1", "vcpus": 1, "ram": 64, "disk": 1}});
    let made = cloud.post("/compute/v2.1/flavors", &cloud.admin().await, flavor).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.json());
    for container in ["ova", "ovf", "docker", "compressed"] {
        let fields = json!({"name": container, "disk_format": "vmdk", "container_format": container});
        let id = create(&cloud, &token, fields).await;
        let data = b"an archive of some kind".to_vec();
        assert_eq!(
            upload(&cloud, &token, &id, Body::from(data.clone())).await.status,
            StatusCode::NO_CONTENT
        );
        let shown = cloud.get(&format!("/image/v2/images/{id}"), &token).await.json();
        assert_eq!((&shown["status"], &shown["virtual_size"]), (&json!("active"), &json!(null)));
        assert_eq!(cloud.get(&format!("/image/v2/images/{id}/file"), &token).await.bytes, data);
        let server = json!({"name": "s", "imageRef": id, "flavorRef": "1", "networks": "none"});
        let request = Request::post("/compute/v2.1/servers")
            .header("x-auth-token", &token)
            .header("openstack-api-version", "compute 2.37")
            .header("content-type", "application/json")
            .body(Body::from(json!({"server": server}).to_string()));
        let refused = cloud.send(request.unwrap()).await;
        let told = String::from_utf8_lossy(&refused.bytes).into_owned();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{told}");
        assert!(told.contains(&format!("container format {container}")), "{told}");
    }
}

#[tokio::test]
async fn a_partition_table_is_a_format_of_its_own_and_a_raw_disk() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let mut disk = vec![0; 4096];
    disk[510..520].copy_from_slice(b"\x55\xaaEFI PART");
    for (declared, data, expected) in [
        ("gpt", disk.clone(), StatusCode::NO_CONTENT),
        ("raw", disk, StatusCode::NO_CONTENT),
        ("gpt", vec![0; 4096], StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let id = queued(&cloud, &token, declared).await;
        assert_eq!(upload(&cloud, &token, &id, Body::from(data)).await.status, expected, "{declared}");
    }
}

#[tokio::test]
async fn media_types_sizes_and_stores_are_looked_at_first() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "raw").await;
    let file = format!("/image/v2/images/{id}/file");
    for media in ["application/json", "text/plain", ""] {
        let status = put(&cloud, &token, &file, media, Body::from("x")).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{media}");
    }
    let with = async |name: &str, value: &str| {
        let request = Request::put(&file).header("x-auth-token", &token).header(name, value);
        let request = request.header("content-type", "application/octet-stream").body(Body::from("x"));
        cloud.send(request.unwrap()).await.status
    };
    assert_eq!(with("x-image-meta-store", "fast").await, StatusCode::BAD_REQUEST);
    assert_eq!(with("x-openstack-image-size", "many").await, StatusCode::BAD_REQUEST);
    assert_eq!(with("x-openstack-image-size", &u64::MAX.to_string()).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(with("x-image-meta-store", "local").await, StatusCode::NO_CONTENT);
    let other = queued(&cloud, &token, "raw").await;
    let file = format!("/image/v2/images/{other}/file");
    let media = "application/octet-stream; charset=binary";
    assert_eq!(put(&cloud, &token, &file, media, Body::from("x")).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn ranges_are_as_glance_has_them() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "raw").await;
    upload(&cloud, &token, &id, Body::from((0..100_u8).collect::<Vec<_>>())).await;
    let md5 = cloud.get(&format!("/image/v2/images/{id}"), &token).await.text("/checksum");
    for (name, value, expected, range, length) in [
        ("range", "bytes=0-9", 206, "bytes 0-9/100", 10),
        ("range", "bytes=90-", 206, "bytes 90-99/100", 10),
        ("range", "bytes=-5", 206, "bytes 95-99/100", 5),
        ("content-range", "bytes 0-9/*", 206, "bytes 0-9/100", 10),
        ("range", "bytes=0-1,5-6", 400, "", 0),
        ("range", "bytes=100-", 416, "", 0),
        ("range", "octets", 416, "", 0),
        ("content-range", "bytes 90-100/*", 416, "", 0),
    ] {
        let request = Request::get(format!("/image/v2/images/{id}/file")).header("x-auth-token", &token);
        let reply = cloud.send(request.header(name, value).body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status.as_u16(), expected, "{value}");
        assert_eq!(reply.header("content-range"), range, "{value}");
        if expected == 206 {
            assert_eq!((reply.bytes.len(), reply.header("content-md5")), (length, md5.as_str()), "{value}");
        }
    }
}

#[tokio::test]
async fn a_patch_of_another_media_type_is_told_which_there_are() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "raw").await;
    let path = format!("/image/v2/images/{id}");
    let refused = cloud.call(Method::PATCH, &path, &token, json!([])).await;
    assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let told = "application/openstack-images-v2.0-json-patch, application/openstack-images-v2.1-json-patch";
    assert_eq!(refused.header("accept-patch"), told);
    assert!(String::from_utf8(refused.bytes).unwrap().contains(told));
}
