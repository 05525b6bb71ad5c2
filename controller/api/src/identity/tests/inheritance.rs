//! Roles that come from above, through groups and by implication.

use axum::http::StatusCode;
use serde_json::{Value, json};
use updraft_core::identity::effective;
use updraft_model::identity::{Actor, Assignment, Target};
use updraft_store::identity::{assignment, role};

use crate::test_cloud::TestCloud;

struct Tree {
    cloud: TestCloud,
    admin: String,
    user: String,
    top: String,
    middle: String,
    bottom: String,
}

async fn tree() -> Tree {
    let cloud = TestCloud::start().await;
    let admin = cloud.admin().await;
    let user = json!({"user": {"name": "eve", "password": "eve"}});
    let user = cloud.post("/v3/users", &admin, user).await.text("/user/id");
    let mut parent = Value::Null;
    let mut ids = Vec::new();
    for name in ["top", "middle", "bottom"] {
        let mut project = json!({"name": name});
        if !parent.is_null() {
            project["parent_id"] = parent.clone();
        }
        let made = cloud.post("/v3/projects", &admin, json!({"project": project})).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        parent = made.json()["project"]["id"].clone();
        ids.push(made.text("/project/id"));
    }
    let [top, middle, bottom] = ids.try_into().unwrap();
    Tree { cloud, admin, user, top, middle, bottom }
}

impl Tree {
    async fn hold(&self, target: Target, role: &str, inherited: bool) {
        let (user, role) = (self.user.clone(), role.to_owned());
        let written: Result<(), updraft_store::StoreError> = self
            .cloud
            .core
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let role_id = role::list(tx, None, Some(&role)).await?.remove(0).id;
                    let actor = Actor::User(user);
                    assignment::insert(tx, &Assignment { actor, target, role_id, inherited }).await
                })
            })
            .await;
        written.unwrap();
    }

    async fn roles(&self, target: Target) -> Vec<String> {
        let mut conn = self.cloud.core.read().await.unwrap();
        let found = effective::roles(&mut conn, &self.user, &target).await.unwrap();
        found.into_iter().map(|role| role.name).collect()
    }
}

#[tokio::test]
async fn an_inherited_role_holds_below_its_target_and_not_on_it() {
    let tree = tree().await;
    tree.hold(Target::Project(tree.top.clone()), "member", true).await;
    assert!(tree.roles(Target::Project(tree.top.clone())).await.is_empty());
    for below in [&tree.middle, &tree.bottom] {
        assert_eq!(tree.roles(Target::Project(below.clone())).await, ["member", "reader"]);
    }
    assert!(tree.roles(Target::Domain("default".into())).await.is_empty());
    tree.hold(Target::Domain("default".into()), "manager", true).await;
    assert!(tree.roles(Target::Domain("default".into())).await.is_empty());
    assert_eq!(tree.roles(Target::Project(tree.top.clone())).await, ["manager", "member", "reader"]);
    let projects = tree.cloud.get(&format!("/v3/users/{}/projects", tree.user), &tree.admin).await.json();
    assert_eq!(projects["projects"].as_array().unwrap().len(), 4, "the whole domain's: {projects}");
}

#[tokio::test]
async fn a_direct_role_does_not_reach_children_nor_the_system() {
    let tree = tree().await;
    tree.hold(Target::Project(tree.top.clone()), "admin", false).await;
    assert_eq!(tree.roles(Target::Project(tree.top.clone())).await.len(), 4);
    assert!(tree.roles(Target::Project(tree.middle.clone())).await.is_empty());
    assert!(tree.roles(Target::System).await.is_empty());
    tree.hold(Target::System, "reader", false).await;
    assert_eq!(tree.roles(Target::System).await, ["reader"]);
}
