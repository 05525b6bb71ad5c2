//! What operators read: what was done, when, how long it took, who asked for it.

use axum::http::StatusCode;
use serde_json::json;

use crate::test_cloud::TestCloud;

#[tokio::test]
async fn the_journal_is_for_administrators() {
    let cloud = TestCloud::start().await;
    let (_, _, member) = cloud.tenant("red", "member").await;
    let admin = cloud.admin().await;
    for path in ["/host/v1/ops", "/host/v1/why/req-1", "/host/v1/audit"] {
        assert_eq!(cloud.get(path, &member).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(cloud.get(path, "").await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(cloud.get("/host/v1/ops?failed=1", &admin).await.json(), json!([]));
    assert_eq!(cloud.get("/host/v1/ops?since=yesterday", &admin).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(cloud.get("/host/v1/why/nobody", &admin).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_story_of_a_project_is_who_made_and_who_deleted_it() {
    let cloud = TestCloud::start().await;
    let (_, _, member) = cloud.tenant("red", "member").await;
    let admin = cloud.admin().await;
    let made = cloud.post("/v3/projects", &admin, json!({"project": {"name": "blue"}})).await;
    let path = format!("/v3/projects/{}", made.text("/project/id"));
    let refused = cloud.delete(&path, &member).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::NO_CONTENT);

    let story = cloud.get(&format!("/host/v1/why/{}", made.text("/project/id")), &admin).await.json();
    let told: Vec<(String, String)> = story["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| {
            let event = &request["audit"][0];
            (event["action"].as_str().unwrap().into(), event["outcome"].as_str().unwrap().into())
        })
        .collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(told, [("create", "success"), ("delete", "failure"), ("delete", "success")]);
    // The same by the request's own id.
    let id = refused.header("x-openstack-request-id");
    let story = cloud.get(&format!("/host/v1/why/{id}"), &admin).await.json();
    assert_eq!(story["requests"][0]["audit"][0]["reason"]["reasonCode"], "403");
    let failed = cloud.get("/host/v1/audit?failed=1", &admin).await.json();
    assert!(failed["events"].as_array().unwrap().iter().all(|event| event["outcome"] == "failure"));
}
