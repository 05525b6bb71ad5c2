//! What Glance's clients see of requests that are odd, and of pages that say so.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::{create, queued, upload};
use crate::test_cloud::{Reply, TestCloud};

const V2_1: &str = "application/openstack-images-v2.1-json-patch";
const V2_0: &str = "application/openstack-images-v2.0-json-patch";

async fn send(cloud: &TestCloud, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    cloud.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn patch(cloud: &TestCloud, token: &str, id: &str, media: &str, body: Value) -> StatusCode {
    let headers = [("x-auth-token", token), ("content-type", media)];
    let path = format!("/image/v2/images/{id}");
    send(cloud, Method::PATCH, &path, &headers, &body.to_string()).await.status
}

#[tokio::test]
async fn a_fault_is_a_page_in_the_form_that_the_client_accepts() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let page = async |accept: &str| {
        let headers = [("x-auth-token", token.as_str()), ("accept", accept)];
        let reply = send(&cloud, Method::GET, "/image/v2/images/it's", &headers, "").await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{accept}");
        (reply.header("content-type").to_owned(), String::from_utf8(reply.bytes).unwrap())
    };
    let (media, text) = page("application/json").await;
    assert_eq!(media, "application/json");
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        json!({
            "message": "No image found with ID it's<br /><br />\n\n\n",
            "code": "404 Not Found",
            "title": "Not Found",
        })
    );
    let (media, text) = page("application/octet-stream").await;
    assert_eq!(media, "text/plain; charset=UTF-8");
    assert_eq!(text, "404 Not Found\n\nNo image found with ID it's\n\n   ");
    let (media, text) = page("*/*").await;
    assert_eq!(media, "text/html; charset=UTF-8");
    assert_eq!(
        text,
        "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n  No image \
         found with ID it&#x27;s<br /><br />\n\n\n\n </body>\n</html>"
    );
}

#[tokio::test]
async fn json_is_read_whatever_it_is_called_and_patches_by_their_names_alone() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let token = token.as_str();
    for media in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"] {
        let headers = [("x-auth-token", token), ("content-type", media)];
        let made = send(&cloud, Method::POST, "/image/v2/images", &headers, r#"{"name": "x"}"#).await;
        assert_eq!((made.status, made.text("/name")), (StatusCode::CREATED, "x".into()), "{media}");
    }
    let path = format!("/image/v2/images/{}", create(&cloud, token, json!({"name": "x"})).await);
    for (media, body) in [("text/plain", "[]"), ("application/json", "{"), ("", "")] {
        let headers = [("x-auth-token", token), ("content-type", media)];
        let refused = send(&cloud, Method::PATCH, &path, &headers, body).await;
        assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{media}");
        assert!(refused.header("accept-patch").contains(V2_1), "{media}");
    }
}

#[tokio::test]
async fn a_body_where_none_belongs_is_refused() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "raw").await;
    upload(&cloud, &token, &id, Body::from("data")).await;
    let path = format!("/image/v2/images/{id}");
    for (method, tail) in [
        (Method::POST, "/actions/deactivate"),
        (Method::POST, "/actions/reactivate"),
        (Method::PUT, "/tags/a"),
        (Method::DELETE, "/tags/a"),
        (Method::DELETE, "/members/x"),
        (Method::DELETE, ""),
    ] {
        let headers = [("x-auth-token", token.as_str()), ("content-length", "2")];
        let refused = send(&cloud, method.clone(), &format!("{path}{tail}"), &headers, "{}").await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{method} {tail}");
    }
    let empty = [("x-auth-token", token.as_str()), ("content-length", "0")];
    let tagged = send(&cloud, Method::PUT, &format!("{path}/tags/a"), &empty, "").await;
    assert_eq!(tagged.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get(&path, &token).await.json()["tags"], json!(["a"]));
}

#[tokio::test]
async fn what_nobody_may_write_is_refused_before_it_is_looked_for() {
    let cloud = TestCloud::start().await;
    let (project, _, token) = cloud.tenant("alice", "member").await;
    let id = create(&cloud, &token, json!({})).await;
    for name in ["deleted", "deleted_at", "location", "os_glance_x", "status"] {
        let path = format!("/{name}");
        let today = json!([{"op": "replace", "path": path, "value": "x"}]);
        assert_eq!(patch(&cloud, &token, &id, V2_1, today).await, StatusCode::FORBIDDEN, "{name}");
        let old = json!([{"add": path, "value": "x"}]);
        assert_eq!(patch(&cloud, &token, &id, V2_0, old).await, StatusCode::FORBIDDEN, "{name}");
    }
    let location = json!([{"add": "/locations/-", "value": {"url": "file:///etc/shadow", "metadata": {}}}]);
    assert_eq!(patch(&cloud, &token, &id, V2_0, location).await, StatusCode::FORBIDDEN);
    let owner = |op: &str, value: Value| json!([{"op": op, "path": "/owner", "value": value}]);
    assert_eq!(
        patch(&cloud, &token, &id, V2_1, owner("replace", json!(project))).await,
        StatusCode::FORBIDDEN,
        "not even by itself"
    );
    assert_eq!(patch(&cloud, &token, &id, V2_1, owner("add", json!(project))).await, StatusCode::OK);
    assert_eq!(patch(&cloud, &token, &id, V2_1, owner("add", json!(5))).await, StatusCode::BAD_REQUEST);
    let admin = cloud.admin().await;
    assert_eq!(patch(&cloud, &admin, &id, V2_1, owner("replace", json!("p"))).await, StatusCode::OK);
}

#[tokio::test]
async fn kernel_and_ramdisk_are_images() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let kernel = create(&cloud, &token, json!({"name": "kernel", "ramdisk_id": null})).await;
    let made = cloud.post("/image/v2/images", &token, json!({"kernel_id": kernel})).await;
    assert_eq!((made.status, made.text("/kernel_id")), (StatusCode::CREATED, kernel));
    for name in ["kernel_id", "ramdisk_id"] {
        for value in [json!("x"), json!(""), json!(5)] {
            let refused = cloud.post("/image/v2/images", &token, json!({name: value})).await.status;
            assert_eq!(refused, StatusCode::BAD_REQUEST, "{name}: {value}");
        }
    }
    let id = made.text("/id");
    let none = json!([{"op": "replace", "path": "/kernel_id", "value": null}]);
    assert_eq!(patch(&cloud, &token, &id, V2_1, none).await, StatusCode::OK);
    assert_eq!(cloud.get(&format!("/image/v2/images/{id}"), &token).await.json().get("kernel_id"), None);
}

#[tokio::test]
async fn data_is_as_long_as_it_was_said_to_be() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "raw").await;
    let path = format!("/image/v2/images/{id}");
    let put = async |place: &str, size: &str| {
        let headers = [
            ("x-auth-token", token.as_str()),
            ("content-type", "application/octet-stream"),
            ("x-openstack-image-size", size),
        ];
        send(&cloud, Method::PUT, &format!("{path}/{place}"), &headers, "abc").await.status
    };
    for (place, size) in [("file", "2"), ("file", "5"), ("stage", "2"), ("stage", "5")] {
        assert_eq!(put(place, size).await, StatusCode::BAD_REQUEST, "{place} {size}");
        assert_eq!(cloud.get(&path, &token).await.text("/status"), "queued", "{place} {size}");
    }
    assert_eq!(put("file", "3").await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn stores_of_a_deactivated_image_are_for_administrators() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "raw").await;
    upload(&cloud, &token, &id, Body::from("data")).await;
    let path = format!("/image/v2/images/{id}");
    assert_eq!(cloud.get(&path, &token).await.text("/stores"), "local");
    cloud.post(&format!("{path}/actions/deactivate"), &token, Value::Null).await;
    assert_eq!(cloud.get(&path, &token).await.json().get("stores"), None);
    assert_eq!(cloud.get("/image/v2/images", &token).await.json()["images"][0].get("stores"), None);
    assert_eq!(cloud.get(&path, &admin).await.text("/stores"), "local");
}

#[tokio::test]
async fn stores_of_an_import_are_a_list() {
    let cloud = TestCloud::start().await;
    let (_, _, token) = cloud.tenant("alice", "member").await;
    let id = queued(&cloud, &token, "raw").await;
    let path = format!("/image/v2/images/{id}");
    let headers = [("x-auth-token", token.as_str()), ("content-type", "application/octet-stream")];
    send(&cloud, Method::PUT, &format!("{path}/stage"), &headers, "abc").await;
    let import = json!({"method": {"name": "glance-direct"}, "stores": "local"});
    let refused = cloud.post(&format!("{path}/import"), &token, import).await.status;
    assert_eq!(refused, StatusCode::CONFLICT);
}

#[tokio::test]
async fn tasks_are_sorted_by_any_of_their_fields() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    for key in ["created_at", "updated_at", "expires_at", "id", "type", "status"] {
        let list = cloud.get(&format!("/image/v2/tasks?sort_key={key}&sort_dir=asc"), &admin).await;
        assert_eq!(list.status, StatusCode::OK, "{key}");
    }
    let refused = cloud.get("/image/v2/tasks?sort_key=owner_name", &admin).await.status;
    assert_eq!(refused, StatusCode::BAD_REQUEST);
}
