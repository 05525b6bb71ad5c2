use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{login_by, roles_of, token_of, user};
use crate::test_cloud::{Reply, TestCloud, project};

struct Scene {
    cloud: TestCloud,
    project_id: String,
    trustor_id: String,
    trustor: String,
    trustee_id: String,
}

impl Scene {
    /// Alice, a member of her project, and Bob, who has nothing.
    async fn start() -> Self {
        let cloud = TestCloud::start().await;
        let (project_id, trustor_id, trustor) = cloud.tenant("alice", "member").await;
        let trustee_id = user(&cloud, "bob").await;
        Self { cloud, project_id, trustor_id, trustor, trustee_id }
    }

    fn fields(&self) -> Value {
        json!({
            "trustor_user_id": self.trustor_id, "trustee_user_id": self.trustee_id, "impersonation": false,
            "project_id": self.project_id, "roles": [{"name": "member"}],
        })
    }

    async fn make(&self, token: &str, changes: Value) -> Reply {
        let mut fields = self.fields();
        for (name, value) in changes.as_object().unwrap() {
            fields[name] = value.clone();
        }
        self.cloud.post("/v3/OS-TRUST/trusts", token, json!({"trust": fields})).await
    }

    async fn made(&self, changes: Value) -> String {
        let made = self.make(&self.trustor, changes).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        made.text("/trust/id")
    }

    async fn use_it(&self, user: &str, trust_id: &str) -> Reply {
        self.cloud.login(user, user, json!({"OS-TRUST:trust": {"id": trust_id}})).await
    }
}

#[tokio::test]
async fn a_trustee_acts_with_the_trusts_roles() {
    let scene = Scene::start().await;
    let made = scene.make(&scene.trustor, json!({"roles": [{"name": "reader"}]})).await;
    let trust_id = made.text("/trust/id");
    assert_eq!(made.json()["trust"]["roles"][0]["name"], "reader");
    assert_eq!(made.json()["trust"]["redelegation_count"], 0);
    let nowhere = scene.make(&scene.trustor, json!({"project_id": null})).await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND, "a role without a project");
    let used = scene.use_it("bob", &trust_id).await;
    let token = used.json()["token"].clone();
    assert_eq!(token["user"]["id"], scene.trustee_id.as_str());
    assert_eq!(token["project"]["id"], scene.project_id.as_str());
    assert_eq!(roles_of(&used), ["reader"]);
    assert_eq!(
        token["OS-TRUST:trust"],
        json!({
            "id": trust_id, "impersonation": false,
            "trustor_user": {"id": scene.trustor_id}, "trustee_user": {"id": scene.trustee_id},
        })
    );
    assert_eq!(scene.use_it("alice", &trust_id).await.status, StatusCode::FORBIDDEN, "not the trustee");
    assert_eq!(scene.use_it("bob", "nothing").await.status, StatusCode::UNAUTHORIZED);

    let trust_id = scene.made(json!({"impersonation": true})).await;
    let used = scene.use_it("bob", &trust_id).await;
    assert_eq!(used.text("/token/user/id"), scene.trustor_id, "impersonation");
    assert_eq!(roles_of(&used), ["member", "reader"]);
    let token = token_of(&used);
    for scope in [project("alice"), json!("unscoped"), Value::Null] {
        let other = login_by(&scene.cloud, "token", json!({"id": token}), scope).await;
        assert_eq!(other.status, StatusCode::FORBIDDEN, "a trust's token makes no other");
    }
}

#[tokio::test]
async fn what_a_trust_cannot_be() {
    let scene = Scene::start().await;
    for (changes, status) in [
        (json!({"roles": []}), StatusCode::FORBIDDEN),
        (json!({"roles": [{"name": "admin"}]}), StatusCode::NOT_FOUND),
        (json!({"trustor_user_id": scene.trustee_id}), StatusCode::FORBIDDEN),
        (json!({"trustee_user_id": "nobody"}), StatusCode::NOT_FOUND),
        (json!({"remaining_uses": 0}), StatusCode::BAD_REQUEST),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), StatusCode::BAD_REQUEST),
        (json!({"expires_at": "soon"}), StatusCode::BAD_REQUEST),
        (json!({"allow_redelegation": true, "remaining_uses": 1}), StatusCode::BAD_REQUEST),
        (json!({"allow_redelegation": true, "redelegation_count": 9}), StatusCode::FORBIDDEN),
        (json!({"impersonation": null}), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(scene.make(&scene.trustor, changes.clone()).await.status, status, "{changes}");
    }
}

#[tokio::test]
async fn a_trust_is_seen_by_its_two_users_and_deleted_by_the_trustor() {
    let scene = Scene::start().await;
    let cloud = &scene.cloud;
    let trust_id = scene.made(json!({})).await;
    let path = format!("/v3/OS-TRUST/trusts/{trust_id}");
    let trustee = token_of(&cloud.login("bob", "bob", Value::Null).await);
    let other = cloud.tenant("carol", "member").await.2;
    for (token, status) in
        [(&scene.trustor, StatusCode::OK), (&trustee, StatusCode::OK), (&other, StatusCode::FORBIDDEN)]
    {
        for path in [path.clone(), format!("{path}/roles")] {
            assert_eq!(cloud.get(&path, token).await.status, status, "{path}");
        }
    }
    let role_id = cloud.get(&format!("{path}/roles"), &trustee).await.text("/roles/0/id");
    assert_eq!(cloud.get(&format!("{path}/roles/{role_id}"), &trustee).await.text("/role/name"), "member");
    assert_eq!(cloud.get(&format!("{path}/roles/none"), &trustee).await.status, StatusCode::NOT_FOUND);
    for (query, token, count) in [
        (format!("trustor_user_id={}", scene.trustor_id), &scene.trustor, 1),
        (format!("trustee_user_id={}", scene.trustee_id), &trustee, 1),
        (format!("trustee_user_id={}", scene.trustor_id), &scene.trustor, 0),
    ] {
        let listed = cloud.get(&format!("/v3/OS-TRUST/trusts?{query}"), token).await;
        assert_eq!(listed.json()["trusts"].as_array().map(Vec::len), Some(count), "{query}");
    }
    let all = "/v3/OS-TRUST/trusts";
    assert_eq!(cloud.get(all, &scene.trustor).await.status, StatusCode::FORBIDDEN);
    assert_eq!(cloud.get(all, &cloud.admin().await).await.json()["trusts"].as_array().unwrap().len(), 1);
    let token = token_of(&scene.use_it("bob", &trust_id).await);
    assert_eq!(cloud.delete(&path, &trustee).await.status, StatusCode::FORBIDDEN);
    assert_eq!(cloud.delete(&path, &scene.trustor).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get("/v3/auth/catalog", &token).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(cloud.get(&path, &scene.trustor).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_trust_wears_out_and_runs_out() {
    let scene = Scene::start().await;
    let trust_id = scene.made(json!({"remaining_uses": 2})).await;
    let tokens =
        [token_of(&scene.use_it("bob", &trust_id).await), token_of(&scene.use_it("bob", &trust_id).await)];
    assert_eq!(scene.use_it("bob", &trust_id).await.status, StatusCode::FORBIDDEN);
    for token in tokens {
        assert_eq!(scene.cloud.get("/v3/auth/catalog", &token).await.status, StatusCode::OK);
    }
    let end = scene.cloud.core.clock.now().plus(Duration::from_secs(60)).micros_z();
    let trust_id = scene.made(json!({"expires_at": end})).await;
    let token = token_of(&scene.use_it("bob", &trust_id).await);
    scene.cloud.core.clock.advance(Duration::from_secs(61));
    assert_eq!(scene.cloud.get("/v3/auth/catalog", &token).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.use_it("bob", &trust_id).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn threat_8_a_trust_ends_with_what_the_trustor_loses() {
    let scene = Scene::start().await;
    let (cloud, admin) = (&scene.cloud, scene.cloud.admin().await);
    let grant = cloud.grant_path(&admin, &scene.project_id, &scene.trustor_id, "member").await;
    let user = format!("/v3/users/{}", scene.trustor_id);
    let losses = [
        (Method::DELETE, &grant, Value::Null, Method::PUT, Value::Null),
        (
            Method::PATCH,
            &user,
            json!({"user": {"enabled": false}}),
            Method::PATCH,
            json!({"user": {"enabled": true}}),
        ),
    ];
    for (method, path, body, undo, undo_body) in losses {
        let trustor = token_of(&cloud.login("alice", "alice", project("alice")).await);
        let made = scene.make(&trustor, json!({"impersonation": false})).await;
        let trust_id = made.text("/trust/id");
        let token = token_of(&scene.use_it("bob", &trust_id).await);
        assert!(cloud.call(method, path, &admin, body).await.status.is_success());
        assert_eq!(cloud.get("/v3/auth/catalog", &token).await.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(scene.use_it("bob", &trust_id).await.status, StatusCode::FORBIDDEN, "{path}");
        assert!(cloud.call(undo, path, &admin, undo_body).await.status.is_success());
    }
}

#[tokio::test]
async fn a_chain_of_trusts_never_grows() {
    let scene = Scene::start().await;
    let cloud = &scene.cloud;
    let carol = user(cloud, "carol").await;
    let first =
        scene.made(json!({"impersonation": true, "allow_redelegation": true, "redelegation_count": 1})).await;
    let bob = token_of(&scene.use_it("bob", &first).await);
    let next = |changes: Value| {
        let mut all = json!({"trustee_user_id": carol, "impersonation": true});
        for (name, value) in changes.as_object().unwrap() {
            all[name] = value.clone();
        }
        all
    };
    let late = cloud.core.clock.now().plus(Duration::from_secs(60)).micros_z();
    let second = scene.make(&bob, next(json!({"roles": [{"name": "member"}], "expires_at": late}))).await;
    assert_eq!(second.status, StatusCode::CREATED, "{}", second.json());
    assert_eq!(second.json()["trust"]["redelegated_trust_id"], first.as_str());
    assert_eq!(second.json()["trust"]["redelegation_count"], 0);
    for more in [json!({"remaining_uses": 1}), json!({"project_id": null, "roles": []})] {
        assert_eq!(scene.make(&bob, next(more.clone())).await.status, StatusCode::FORBIDDEN, "{more}");
    }
    let used = scene.use_it("carol", &second.text("/trust/id")).await;
    assert_eq!(roles_of(&used), ["member", "reader"]);
    let carols = token_of(&used);
    let third = scene.make(&carols, json!({"roles": [{"name": "reader"}], "impersonation": true})).await;
    assert_eq!(third.status, StatusCode::FORBIDDEN, "the chain has its length");
    assert_eq!(
        cloud.delete(&format!("/v3/OS-TRUST/trusts/{first}"), &scene.trustor).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(cloud.get("/v3/auth/catalog", &carols).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn threat_4_a_trusts_token_makes_nothing_that_outlives_it() {
    let scene = Scene::start().await;
    let trust_id = scene.made(json!({"impersonation": true})).await;
    let token = token_of(&scene.use_it("bob", &trust_id).await);
    let path = format!("/v3/users/{}/application_credentials", scene.trustor_id);
    let body = json!({"application_credential": {"name": "back door"}});
    assert_eq!(scene.cloud.post(&path, &token, body).await.status, StatusCode::FORBIDDEN);
    assert_eq!(scene.cloud.get(&path, &token).await.status, StatusCode::FORBIDDEN);
}
