//! Unified limits.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::TestCloud;

#[tokio::test]
async fn a_limit_stands_on_a_default() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project_id, _, tenant) = cloud.tenant("ada", "member").await;
    let (_, _, stranger) = cloud.tenant("bob", "member").await;
    let service = cloud.get("/v3/services?type=image", &admin).await.text("/services/0/id");
    let own = json!({"service_id": service, "resource_name": "gold", "resource_limit": 5, "project_id": project_id});
    let make = async |limit: Value| cloud.post("/v3/limits", &admin, json!({"limits": [limit]})).await;
    assert_eq!(make(own.clone()).await.status, StatusCode::FORBIDDEN, "there is no default yet");

    let default = json!({"service_id": service, "resource_name": "gold", "default_limit": 10});
    let defaults = json!({"registered_limits": [default]});
    let made = cloud.post("/v3/registered_limits", &admin, defaults.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let path = format!("/v3/registered_limits/{}", made.text("/registered_limits/0/id"));
    assert_eq!(cloud.post("/v3/registered_limits", &admin, defaults).await.status, StatusCode::CONFLICT);
    assert_eq!(cloud.get("/v3/registered_limits", &tenant).await.status, StatusCode::OK, "for everybody");

    let limit = make(own.clone()).await;
    assert_eq!(limit.status, StatusCode::CREATED, "{}", limit.json());
    assert_eq!(limit.json()["limits"][0]["domain_id"], Value::Null);
    let limit = format!("/v3/limits/{}", limit.text("/limits/0/id"));
    assert_eq!(make(own.clone()).await.status, StatusCode::CONFLICT);
    for (field, value) in
        [("project_id", json!("nowhere")), ("resource_limit", json!(-2)), ("more", json!(1))]
    {
        let mut bad = own.clone();
        bad[field] = value;
        assert_eq!(make(bad.clone()).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert_eq!(cloud.get(&limit, &tenant).await.status, StatusCode::OK);
    assert_eq!(cloud.get(&limit, &stranger).await.status, StatusCode::FORBIDDEN);
    let count =
        async |token: &str| cloud.get("/v3/limits", token).await.json()["limits"].as_array().unwrap().len();
    assert_eq!((count(&admin).await, count(&tenant).await, count(&stranger).await), (1, 1, 0));

    let change = json!({"limit": {"resource_limit": -1, "description": "no limit"}});
    let changed = cloud.call(Method::PATCH, &limit, &admin, change).await;
    assert_eq!(changed.json()["limit"]["resource_limit"], -1);
    let renamed = json!({"registered_limit": {"resource_name": "silver"}});
    assert_eq!(
        cloud.call(Method::PATCH, &path, &admin, renamed).await.status,
        StatusCode::FORBIDDEN,
        "in use"
    );
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::FORBIDDEN, "in use");
    assert_eq!(cloud.delete(&limit, &tenant).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        cloud.delete(&format!("/v3/projects/{project_id}"), &admin).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(cloud.get(&limit, &admin).await.status, StatusCode::NOT_FOUND, "it went with its project");
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get("/v3/limits/model", &admin).await.text("/model/name"), "flat");
}

#[tokio::test]
async fn relatives_in_a_list_are_shown_with_their_limits() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let me = cloud.get("/v3/users?name=admin", &admin).await.text("/users/0/id");
    let mut line: Vec<String> = Vec::new();
    for name in ["above", "below"] {
        let project = json!({"name": name, "parent_id": line.last()});
        line.push(cloud.post("/v3/projects", &admin, json!({"project": project})).await.text("/project/id"));
    }
    let service = cloud.get("/v3/services?type=image", &admin).await.text("/services/0/id");
    let default = json!({"service_id": service, "resource_name": "gold", "default_limit": 10});
    cloud.post("/v3/registered_limits", &admin, json!({"registered_limits": [default]})).await;
    for id in &line {
        let grant = cloud.grant_path(&admin, id, &me, "reader").await;
        assert_eq!(cloud.call(Method::PUT, &grant, &admin, Value::Null).await.status, StatusCode::NO_CONTENT);
        let limit =
            json!({"service_id": service, "resource_name": "gold", "resource_limit": 5, "project_id": id});
        let made = cloud.post("/v3/limits", &admin, json!({"limits": [limit]})).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    }
    let shown = async |id: &str, query: &str| {
        cloud.get(&format!("/v3/projects/{id}?{query}"), &admin).await.json()["project"].clone()
    };
    let (above, below) = (&line[0], &line[1]);
    let alone = shown(above, "include_limits").await;
    assert!(alone.get("limits").is_none() && alone.get("subtree").is_none(), "{alone}");
    let without = shown(above, "subtree_as_list").await;
    assert!(without["subtree"][0]["project"].get("limits").is_none(), "{without}");
    let ids = shown(above, "subtree_as_ids&include_limits").await;
    assert_eq!(ids["subtree"], json!({below.as_str(): null}));
    let subtree = shown(above, "subtree_as_list&include_limits").await["subtree"][0]["project"].clone();
    assert_eq!(
        (&subtree["limits"][0]["project_id"], subtree["id"].as_str()),
        (&json!(below), Some(&**below))
    );
    let parents = shown(below, "include_limits&parents_as_list").await["parents"].clone();
    let limit = &parents[0]["project"]["limits"][0];
    assert_eq!((&limit["resource_limit"], &limit["project_id"]), (&json!(5), &json!(above)));
    assert!(limit.get("links").is_none(), "{limit}");
    assert_eq!(
        parents[1]["project"]["limits"],
        Value::Null,
        "no role on the domain, so it is not in the list"
    );
}
