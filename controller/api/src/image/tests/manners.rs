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

