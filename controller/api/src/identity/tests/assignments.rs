//! `GET /v3/role_assignments`, as given and as it counts.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::TestCloud;

struct Scene {
    cloud: TestCloud,
    admin: String,
    top: String,
    below: String,
    user: String,
    group: String,
    member: String,
    reader: String,
}

/// A user in a group; the group is member, with inheritance, of a project with a child.
async fn scene() -> Scene {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let top =
        cloud.post("/v3/projects", &admin, json!({"project": {"name": "top"}})).await.text("/project/id");
    let below = json!({"project": {"name": "below", "parent_id": top}});
    let below = cloud.post("/v3/projects", &admin, below).await.text("/project/id");
    let user = cloud.post("/v3/users", &admin, json!({"user": {"name": "eve"}})).await.text("/user/id");
    let group = cloud.post("/v3/groups", &admin, json!({"group": {"name": "g"}})).await.text("/group/id");
    let role =
        async |name: &str| cloud.get(&format!("/v3/roles?name={name}"), &admin).await.text("/roles/0/id");
    let (member, reader) = (role("member").await, role("reader").await);
    for path in [
        format!("/v3/groups/{group}/users/{user}"),
        format!("/v3/OS-INHERIT/projects/{top}/groups/{group}/roles/{member}/inherited_to_projects"),
        format!("/v3/system/users/{user}/roles/{reader}"),
    ] {
        let put = cloud.call(Method::PUT, &path, &admin, Value::Null).await;
        assert_eq!(put.status, StatusCode::NO_CONTENT, "{path}: {}", put.json());
    }
    Scene { cloud, admin, top, below, user, group, member, reader }
}

impl Scene {
    async fn list(&self, query: &str) -> Vec<Value> {
        let reply = self.cloud.get(&format!("/v3/role_assignments?{query}"), &self.admin).await;
        assert_eq!(reply.status, StatusCode::OK, "{query}: {}", reply.json());
        reply.json()["role_assignments"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn as_given() {
    let scene = scene().await;
    let Scene { top, group, member, user, .. } = &scene;
    let found = scene.list(&format!("group.id={group}")).await;
    let link = format!("OS-INHERIT/projects/{top}/groups/{group}/roles/{member}/inherited_to_projects");
    let expected = json!([{
        "group": {"id": group},
        "role": {"id": member},
        "scope": {"project": {"id": top}, "OS-INHERIT:inherited_to": "projects"},
        "links": {"assignment": format!("http://cloud.test:5000/identity/v3/{link}")},
    }]);
    assert_eq!(json!(found), expected);
    assert_eq!(json!(scene.list(&format!("scope.project.id={top}")).await), expected);
    assert_eq!(json!(scene.list("scope.OS-INHERIT:inherited_to=projects").await), expected);
    let on_system = scene.list(&format!("scope.system=all&user.id={user}")).await;
    assert_eq!(on_system[0]["scope"], json!({"system": {"all": true}}));
    assert_eq!(on_system.len(), 1);
    assert!(scene.list(&format!("user.id={user}")).await.len() == 1, "its group's is not its own");
    let tree = scene.list(&format!("scope.project.id={top}&include_subtree")).await;
    assert_eq!(json!(tree), expected);
}

#[tokio::test]
async fn as_it_counts() {
    let scene = scene().await;
    let Scene { top, below, user, group, member, reader, .. } = &scene;
    let found = scene.list(&format!("effective&user.id={user}")).await;
    assert_eq!(found.len(), 2, "member below, and the reader that it implies: {found:?}");
    let base = "http://cloud.test:5000/identity/v3";
    let inherited =
        format!("{base}/OS-INHERIT/projects/{top}/groups/{group}/roles/{member}/inherited_to_projects");
    let of = |role: &str| found.iter().find(|line| line["role"]["id"] == role).unwrap().clone();
    for line in [of(member), of(reader)] {
        assert_eq!(line["scope"], json!({"project": {"id": below}, "OS-INHERIT:inherited_to": "projects"}));
        assert_eq!(line["user"], json!({"id": user}));
        assert_eq!(line["links"]["assignment"], inherited, "the grant that gives it");
        assert_eq!(line["links"]["membership"], format!("{base}/groups/{group}/users/{user}"));
    }
    assert_eq!(of(reader)["links"]["prior_role"], format!("{base}/prior_role/{reader}/implies/{member}"));
    assert!(
        scene.list(&format!("effective&scope.project.id={top}")).await.is_empty(),
        "not on the target itself"
    );
    assert_eq!(scene.list(&format!("effective&scope.project.id={below}&role.id={reader}")).await.len(), 1);
    assert_eq!(scene.list(&format!("effective&scope.project.id={top}&include_subtree")).await.len(), 2);
}

#[tokio::test]
async fn with_names_and_for_those_who_may() {
    let scene = scene().await;
    let found = scene.list(&format!("include_names&effective&user.id={}", scene.user)).await;
    let line = found.iter().find(|line| line["role"]["name"] == "member").unwrap();
    assert_eq!(line["user"]["domain"], json!({"id": "default", "name": "Default"}));
    assert_eq!((&line["user"]["name"], &line["scope"]["project"]["name"]), (&json!("eve"), &json!("below")));
    for bad in [
        "user.id=a&group.id=b",
        "scope.project.id=a&scope.domain.id=b",
        "scope.system=all&scope.domain.id=b",
        "effective&group.id=a",
        "effective&scope.domain.id=default&scope.OS-INHERIT:inherited_to=projects",
        "include_subtree",
    ] {
        let reply = scene.cloud.get(&format!("/v3/role_assignments?{bad}"), &scene.admin).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let (_, _, tenant) = scene.cloud.tenant("bob", "member").await;
    assert_eq!(scene.cloud.get("/v3/role_assignments", &tenant).await.status, StatusCode::FORBIDDEN);
}
