//! The tree of projects, and their tags.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::TestCloud;

async fn make(cloud: &TestCloud, admin: &str, project: Value) -> (StatusCode, Value) {
    let reply = cloud.post("/v3/projects", admin, json!({"project": project})).await;
    (reply.status, reply.json()["project"].clone())
}

fn id(project: &Value) -> &str {
    project["id"].as_str().unwrap()
}

/// A line of projects, each the parent of the next.
async fn line(cloud: &TestCloud, admin: &str, length: usize) -> Vec<Value> {
    let mut line: Vec<Value> = Vec::new();
    for level in 0..length {
        let mut project = json!({"name": format!("level{level}")});
        if let Some(parent) = line.last() {
            project["parent_id"] = parent["id"].clone();
        }
        let (status, made) = make(cloud, admin, project).await;
        assert_eq!(status, StatusCode::CREATED, "level {level}");
        line.push(made);
    }
    line
}

async fn patch(cloud: &TestCloud, admin: &str, id: &str, project: Value) -> StatusCode {
    let path = format!("/v3/projects/{id}");
    cloud.call(Method::PATCH, &path, admin, json!({"project": project})).await.status
}

#[tokio::test]
async fn the_tree_is_five_levels_deep_and_shown_both_ways() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let line = line(&cloud, &admin, 5).await;
    let (status, _) = make(&cloud, &admin, json!({"name": "too deep", "parent_id": line[4]["id"]})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);

    let shown = cloud.get(&format!("/v3/projects/{}?parents_as_ids", id(&line[2])), &admin).await.json();
    assert_eq!(shown["project"]["parents"], json!({id(&line[1]): {id(&line[0]): {"default": null}}}));
    let shown = cloud.get(&format!("/v3/projects/{}?subtree_as_ids", id(&line[2])), &admin).await.json();
    assert_eq!(shown["project"]["subtree"], json!({id(&line[3]): {id(&line[4]): null}}));
    let shown = cloud.get(&format!("/v3/projects/{}?subtree_as_list", id(&line[2])), &admin).await.json();
    assert_eq!(shown["project"]["subtree"], json!([]), "the administrator holds no role there");
    let both = format!("/v3/projects/{}?subtree_as_list&subtree_as_ids", id(&line[2]));
    assert_eq!(cloud.get(&both, &admin).await.status, StatusCode::BAD_REQUEST);

    let me = cloud.get("/v3/users?name=admin", &admin).await.text("/users/0/id");
    let grant = cloud.grant_path(&admin, id(&line[3]), &me, "reader").await;
    assert_eq!(cloud.call(Method::PUT, &grant, &admin, Value::Null).await.status, StatusCode::NO_CONTENT);
    let shown = cloud.get(&format!("/v3/projects/{}?subtree_as_list", id(&line[2])), &admin).await.json();
    assert_eq!(shown["project"]["subtree"][0]["project"]["id"], line[3]["id"]);
    let children = cloud.get(&format!("/v3/projects?parent_id={}", id(&line[0])), &admin).await.json();
    assert_eq!(children["projects"][0]["id"], line[1]["id"]);
}

#[tokio::test]
async fn a_tree_is_disabled_from_below_and_enabled_from_above() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let line = line(&cloud, &admin, 2).await;
    let (parent, child) = (id(&line[0]), id(&line[1]));
    let (off, on) = (json!({"enabled": false}), json!({"enabled": true}));
    assert_eq!(
        patch(&cloud, &admin, parent, off.clone()).await,
        StatusCode::FORBIDDEN,
        "its child is enabled"
    );
    assert_eq!(patch(&cloud, &admin, child, off.clone()).await, StatusCode::OK);
    assert_eq!(patch(&cloud, &admin, parent, off).await, StatusCode::OK);
    assert_eq!(
        patch(&cloud, &admin, child, on.clone()).await,
        StatusCode::FORBIDDEN,
        "its parent is disabled"
    );
    let (status, _) = make(&cloud, &admin, json!({"name": "late", "parent_id": parent})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "the branch is disabled");
    assert_eq!(patch(&cloud, &admin, parent, on).await, StatusCode::OK);
    let gone = cloud.delete(&format!("/v3/projects/{parent}"), &admin).await;
    assert_eq!(gone.status, StatusCode::FORBIDDEN, "it has a child");
    for id in [child, parent] {
        assert_eq!(cloud.delete(&format!("/v3/projects/{id}"), &admin).await.status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn places_that_there_are_not() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let domain = cloud.post("/v3/domains", &admin, json!({"domain": {"name": "d"}})).await.text("/domain/id");
    let (_, here) = make(&cloud, &admin, json!({"name": "here"})).await;
    for project in [
        json!({"name": "x", "domain_id": "nowhere"}),
        json!({"name": "x", "parent_id": "nowhere"}),
        json!({"name": "x", "domain_id": domain, "parent_id": here["id"]}),
        json!({"name": "x", "is_domain": true, "parent_id": here["id"]}),
        json!({"name": "x".repeat(65)}),
        json!({"name": null}),
        json!({"name": "x", "enabled": "yes"}),
        json!({"name": "x", "tags": ["a", "a"]}),
        json!({"name": "x", "options": {"nonsense": true}}),
    ] {
        assert_eq!(make(&cloud, &admin, project.clone()).await.0, StatusCode::BAD_REQUEST, "{project}");
    }
    for (change, expected) in [
        (json!({"parent_id": domain}), StatusCode::FORBIDDEN),
        (json!({"domain_id": domain}), StatusCode::BAD_REQUEST),
        (json!({"is_domain": true}), StatusCode::BAD_REQUEST),
        (json!({"id": "other"}), StatusCode::BAD_REQUEST),
        (json!({"name": ""}), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(patch(&cloud, &admin, id(&here), change.clone()).await, expected, "{change}");
    }
}

#[tokio::test]
async fn attributes_that_nobody_knows_are_kept() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, made) =
        make(&cloud, &admin, json!({"name": "p", "cost-center": 5, "links": {"self": "x"}})).await;
    assert_eq!(made["cost_center"], 5);
    assert!(made["links"]["self"].as_str().unwrap().ends_with(id(&made)), "{made}");
    assert_eq!(patch(&cloud, &admin, id(&made), json!({"owner": ["a"]})).await, StatusCode::OK);
    let shown = cloud.get(&format!("/v3/projects/{}", id(&made)), &admin).await.json();
    assert_eq!((&shown["project"]["owner"], &shown["project"]["cost_center"]), (&json!(["a"]), &json!(5)));
}

#[tokio::test]
async fn an_immutable_project_is_unlocked_first() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, made) = make(&cloud, &admin, json!({"name": "p", "options": {"immutable": true}})).await;
    assert_eq!(made["options"], json!({"immutable": true}));
    let path = format!("/v3/projects/{}", id(&made));
    assert_eq!(patch(&cloud, &admin, id(&made), json!({"name": "q"})).await, StatusCode::FORBIDDEN);
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::FORBIDDEN);
    let unlock = json!({"options": {"immutable": null}});
    assert_eq!(patch(&cloud, &admin, id(&made), unlock).await, StatusCode::OK);
    assert_eq!(cloud.delete(&path, &admin).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn tags_one_by_one_all_at_once_and_as_filters() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (_, red) = make(&cloud, &admin, json!({"name": "red", "tags": ["a", "b"]})).await;
    let (_, blue) = make(&cloud, &admin, json!({"name": "blue"})).await;
    let tags = format!("/v3/projects/{}/tags", id(&blue));
    let call = async |method: Method, path: &str, body: Value| cloud.call(method, path, &admin, body).await;
    let one = format!("{tags}/b");
    assert_eq!(call(Method::GET, &one, Value::Null).await.status, StatusCode::NOT_FOUND);
    let added = call(Method::PUT, &one, Value::Null).await;
    assert_eq!((added.status, added.bytes.len()), (StatusCode::CREATED, 0));
    assert!(added.header("location").ends_with(&one), "{}", added.header("location"));
    assert_eq!(call(Method::PUT, &one, Value::Null).await.status, StatusCode::BAD_REQUEST, "it is there");
    assert_eq!(call(Method::GET, &one, Value::Null).await.status, StatusCode::NO_CONTENT);
    for escaped in ["%E2%82%AC", "a%0Ab", "a%20b", "x:y=z"] {
        let added = call(Method::PUT, &format!("{tags}/{escaped}"), Value::Null).await;
        assert_eq!(added.status, StatusCode::CREATED, "{escaped}");
        assert!(added.header("location").ends_with(&format!("/tags/{escaped}")), "{escaped}");
    }
    let set = call(Method::PUT, &tags, json!({"tags": ["b", "c"]})).await;
    assert_eq!((set.status, set.json()["tags"].clone()), (StatusCode::OK, json!(["b", "c"])));
    assert_eq!(call(Method::PUT, &tags, json!({"tags": ["x,y"]})).await.status, StatusCode::BAD_REQUEST);
    for (filter, expected) in [
        ("tags=b", &["blue", "red"][..]),
        ("tags=a,b", &["red"]),
        ("tags-any=a,c", &["blue", "red"]),
        ("not-tags=b,c", &["admin", "red"]),
        ("not-tags-any=a,c", &["admin"]),
        ("tags=b&not-tags=a", &["blue"]),
    ] {
        let found = call(Method::GET, &format!("/v3/projects?{filter}"), Value::Null).await.json();
        let found = found["projects"].as_array().unwrap().clone();
        let names: Vec<&str> = found.iter().map(|project| project["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{filter}");
    }
    assert_eq!(call(Method::DELETE, &one, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(call(Method::DELETE, &one, Value::Null).await.status, StatusCode::NOT_FOUND);
    assert_eq!(call(Method::DELETE, &tags, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(call(Method::GET, &tags, Value::Null).await.json()["tags"], json!([]));
    assert_eq!(red["tags"], json!(["a", "b"]));
    let path = format!("/v3/projects/{}", id(&red));
    let locked = json!({"project": {"options": {"immutable": true}}});
    assert_eq!(call(Method::PATCH, &path, locked).await.status, StatusCode::OK);
    for (method, path, body) in [
        (Method::PUT, format!("{path}/tags/c"), Value::Null),
        (Method::DELETE, format!("{path}/tags/a"), Value::Null),
        (Method::PUT, format!("{path}/tags"), json!({"tags": []})),
        (Method::DELETE, format!("{path}/tags"), Value::Null),
    ] {
        let refused = call(method.clone(), &path, body).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{method} {path}");
    }
}

/// Keystone forgets it; the other services keep what was made in it, as OpenStack's do, and the doctor says so.
#[tokio::test]
async fn a_deleted_project_is_nobodys_default_and_what_was_made_in_it_is_named() {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let (project_id, user_id, member) = cloud.tenant("red", "member").await;
    let user = format!("/v3/users/{user_id}");
    let default = json!({"user": {"default_project_id": project_id}});
    assert_eq!(cloud.call(Method::PATCH, &user, &admin, default).await.status, StatusCode::OK);
    let network = cloud.post("/network/v2.0/networks", &member, json!({"network": {"name": "n"}})).await;
    // Whoever lists security groups has the default one from then on.
    let groups = cloud.get("/network/v2.0/security-groups", &member).await;
    assert_eq!(groups.text("/security_groups/0/name"), "default");
    for (path, quota) in [
        (format!("/network/v2.0/quotas/{project_id}"), json!({"quota": {"port": 77}})),
        (format!("/compute/v2.1/os-quota-sets/{project_id}"), json!({"quota_set": {"instances": 7}})),
    ] {
        assert_eq!(cloud.call(Method::PUT, &path, &admin, quota).await.status, StatusCode::OK, "{path}");
    }
    let deleted = cloud.delete(&format!("/v3/projects/{project_id}"), &admin).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get(&user, &admin).await.json()["user"]["default_project_id"], json!(null));
    let quotas = cloud.get("/network/v2.0/quotas", &admin).await.json();
    assert_eq!(quotas["quotas"], json!([]), "nothing is set for it any more");
    let findings = cloud.get("/host/v1/doctor", &admin).await.json();
    let message = "the project does not exist and still has networks: 1";
    let finding = json!({"kind": "project-gone", "subject": project_id, "message": message});
    assert_eq!(findings, json!([finding]), "no quota, no default security group, no assignment");
    let network = format!("/network/v2.0/networks/{}", network.text("/network/id"));
    assert_eq!(cloud.delete(&network, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get("/host/v1/doctor", &admin).await.json(), json!([]));
}
