use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::{login_by, roles_of, token_of};
use crate::test_cloud::{Reply, TestCloud, project};

struct Scene {
    cloud: TestCloud,
    project_id: String,
    user_id: String,
    token: String,
}

impl Scene {
    async fn start() -> Self {
        let cloud = TestCloud::start().await;
        let (project_id, user_id, token) = cloud.tenant("alice", "member").await;
        Self { cloud, project_id, user_id, token }
    }

    fn path(&self) -> String {
        format!("/v3/users/{}/application_credentials", self.user_id)
    }

    async fn make(&self, token: &str, mut fields: Value) -> Reply {
        fields["name"] = fields.get("name").cloned().unwrap_or(json!("robot"));
        self.cloud.post(&self.path(), token, json!({"application_credential": fields})).await
    }

    /// A new one's id and secret.
    async fn made(&self, fields: Value) -> (String, String) {
        let made = self.make(&self.token, fields).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        (made.text("/application_credential/id"), made.text("/application_credential/secret"))
    }

    async fn login(&self, id: &str, secret: &str) -> Reply {
        login_by(&self.cloud, "application_credential", json!({"id": id, "secret": secret}), Value::Null)
            .await
    }
}

#[tokio::test]
async fn an_application_credential_logs_in_to_its_project() {
    let scene = Scene::start().await;
    let made = scene.make(&scene.token, json!({"description": "d"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let (id, secret) = (made.text("/application_credential/id"), made.text("/application_credential/secret"));
    let login = scene.login(&id, &secret).await;
    let token = login.json()["token"].clone();
    assert_eq!(token["methods"], json!(["application_credential"]));
    assert_eq!(token["project"]["id"], scene.project_id.as_str());
    assert_eq!(token["application_credential"], json!({"id": id, "name": "robot", "restricted": true}));
    assert_eq!(roles_of(&login), ["member", "reader"]);
    let by_name = json!({
        "name": "robot", "secret": secret, "user": {"name": "alice", "domain": {"name": "Default"}},
    });
    token_of(&login_by(&scene.cloud, "application_credential", by_name, Value::Null).await);

    let shown = scene.cloud.get(&format!("{}/{id}", scene.path()), &scene.token).await;
    let shown = shown.json()["application_credential"].clone();
    assert_eq!((shown["secret"].clone(), shown["description"].clone()), (Value::Null, json!("d")));
    let listed = scene.cloud.get(&format!("{}?name=robot", scene.path()), &scene.token).await;
    assert_eq!(listed.json()["application_credentials"].as_array().unwrap().len(), 1);
    assert_eq!(scene.make(&scene.token, json!({})).await.status, StatusCode::CONFLICT, "same name");
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_credential_look_the_same() {
    let scene = Scene::start().await;
    let (id, secret) = scene.made(json!({})).await;
    let wrong = scene.login(&id, "wrong").await;
    let unknown = scene.login("0123456789abcdef", &secret).await;
    assert_eq!((wrong.status, wrong.json()), (unknown.status, unknown.json()));
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let scoped = login_by(
        &scene.cloud,
        "application_credential",
        json!({"id": id, "secret": secret}),
        project("alice"),
    )
    .await;
    assert_eq!(scoped.status, StatusCode::UNAUTHORIZED, "it cannot ask for a scope");
}

#[tokio::test]
async fn an_application_credential_has_an_end() {
    let scene = Scene::start().await;
    let past = json!({"expires_at": "2020-01-01T00:00:00.000000"});
    assert_eq!(scene.make(&scene.token, past).await.status, StatusCode::BAD_REQUEST);
    let end = scene.cloud.core.clock.now().plus(Duration::from_secs(3600)).micros_bare();
    let (id, secret) = scene.made(json!({"expires_at": end})).await;
    let login = scene.login(&id, &secret).await;
    let token = token_of(&login);
    assert_eq!(login.text("/token/expires_at"), format!("{end}Z"), "the token ends with it");
    let again = login_by(&scene.cloud, "token", json!({"id": token}), Value::Null).await;
    assert_eq!(again.text("/token/expires_at"), format!("{end}Z"));
    assert_eq!(again.json()["token"]["application_credential"]["id"], id.as_str(), "it stays what it was");
    scene.cloud.core.clock.advance(Duration::from_secs(3601));
    assert_eq!(scene.login(&id, &secret).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn threat_3_a_foreign_user_beside_the_id_is_ignored() {
    let scene = Scene::start().await;
    let (_, other_id, _) = scene.cloud.tenant("mallory", "member").await;
    let (id, secret) = scene.made(json!({})).await;
    let proof = json!({"id": id, "secret": secret, "user": {"id": other_id, "name": "mallory"}});
    let login = login_by(&scene.cloud, "application_credential", proof, Value::Null).await;
    assert_eq!(login.text("/token/user/id"), scene.user_id);
}

#[tokio::test]
async fn threat_4_a_restricted_credential_makes_no_others() {
    let scene = Scene::start().await;
    let (id, secret) = scene.made(json!({})).await;
    let restricted = token_of(&scene.login(&id, &secret).await);
    let cloud = &scene.cloud;
    assert_eq!(scene.make(&restricted, json!({"name": "child"})).await.status, StatusCode::FORBIDDEN);
    let ec2 = format!("/v3/users/{}/credentials/OS-EC2", scene.user_id);
    let made = cloud.post(&ec2, &restricted, json!({"tenant_id": scene.project_id})).await;
    assert_eq!(made.status, StatusCode::FORBIDDEN);
    let blob = json!({"access": "a", "secret": "s"}).to_string();
    let body = json!({"credential": {
        "type": "ec2", "blob": blob, "user_id": scene.user_id, "project_id": scene.project_id,
    }});
    assert_eq!(cloud.post("/v3/credentials", &restricted, body).await.status, StatusCode::FORBIDDEN);
    let deleted = cloud.delete(&format!("{}/{id}", scene.path()), &restricted).await;
    assert_eq!(deleted.status, StatusCode::FORBIDDEN);

    let (id, secret) = scene.made(json!({"name": "free", "unrestricted": true})).await;
    let unrestricted = token_of(&scene.login(&id, &secret).await);
    assert_eq!(scene.make(&unrestricted, json!({"name": "child"})).await.status, StatusCode::CREATED);
    let trust = json!({"trust": {
        "trustor_user_id": scene.user_id, "trustee_user_id": scene.user_id, "impersonation": true,
        "project_id": scene.project_id, "roles": [{"name": "member"}],
    }});
    for token in [&restricted, &unrestricted] {
        let made = cloud.post("/v3/OS-TRUST/trusts", token, trust.clone()).await;
        assert_eq!(made.status, StatusCode::FORBIDDEN, "no trusts by any application credential");
        let scoped = login_by(cloud, "token", json!({"id": token}), project("alice")).await;
        assert_eq!(scoped.status, StatusCode::FORBIDDEN, "nor another scope");
    }
}

#[tokio::test]
async fn threat_4_a_restricted_credential_changes_and_deletes_no_keys() {
    let scene = Scene::start().await;
    let cloud = &scene.cloud;
    let (id, secret) = scene.made(json!({})).await;
    let restricted = token_of(&scene.login(&id, &secret).await);
    let blob = |secret: &str| json!({"access": "key", "secret": secret}).to_string();
    let body = json!({"credential": {
        "type": "ec2", "blob": blob("first"), "user_id": scene.user_id, "project_id": scene.project_id,
    }});
    let made = cloud.post("/v3/credentials", &scene.token, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let path = format!("/v3/credentials/{}", made.text("/credential/id"));
    let ec2 = format!("/v3/users/{}/credentials/OS-EC2/key", scene.user_id);
    let change = json!({"credential": {"blob": blob("second")}});
    for (method, path, body) in [
        (Method::PATCH, &path, change.clone()),
        (Method::DELETE, &path, Value::Null),
        (Method::DELETE, &ec2, Value::Null),
    ] {
        let refused = cloud.call(method.clone(), path, &restricted, body).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{method} {path}");
        let left = cloud.get(&ec2, &scene.token).await;
        assert_eq!(left.text("/credential/secret"), "first", "{method} {path}");
    }

    let (id, secret) = scene.made(json!({"name": "free", "unrestricted": true})).await;
    let unrestricted = token_of(&scene.login(&id, &secret).await);
    assert_eq!(cloud.call(Method::PATCH, &path, &unrestricted, change).await.status, StatusCode::OK);
    assert_eq!(cloud.delete(&ec2, &unrestricted).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn threat_4_roles_never_exceed_what_the_token_and_the_user_hold() {
    let scene = Scene::start().await;
    let (cloud, admin) = (&scene.cloud, scene.cloud.admin().await);
    let more = scene.make(&scene.token, json!({"roles": [{"name": "admin"}]})).await;
    assert_eq!(more.status, StatusCode::BAD_REQUEST);
    let (id, secret) =
        scene.made(json!({"name": "reader", "roles": [{"name": "reader"}], "unrestricted": true})).await;
    let login = scene.login(&id, &secret).await;
    assert_eq!(roles_of(&login), ["reader"]);
    let reader = token_of(&login);
    let child = scene.make(&reader, json!({"name": "child", "roles": [{"name": "member"}]})).await;
    assert_eq!(child.status, StatusCode::BAD_REQUEST, "the token has no such role, though the user has");

    let (id, secret) = scene.made(json!({"name": "member"})).await;
    let token = token_of(&scene.login(&id, &secret).await);
    let grant = cloud.grant_path(&admin, &scene.project_id, &scene.user_id, "member").await;
    assert_eq!(cloud.delete(&grant, &admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get("/v3/auth/catalog", &token).await.status, StatusCode::UNAUTHORIZED);
    cloud.grant(&admin, &scene.project_id, &scene.user_id, "member").await;
    assert_eq!(scene.login(&id, &secret).await.status, StatusCode::UNAUTHORIZED, "gone with the assignment");
}

#[tokio::test]
async fn an_application_credential_ends_with_its_user_its_project_and_itself() {
    let scene = Scene::start().await;
    let (cloud, admin) = (&scene.cloud, scene.cloud.admin().await);
    let (id, secret) = scene.made(json!({})).await;
    let token = token_of(&scene.login(&id, &secret).await);
    let path = format!("{}/{id}", scene.path());
    let others = cloud.tenant("bob", "member").await.2;
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(cloud.call(method, &path, &others, Value::Null).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(cloud.delete(&path, &scene.token).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get("/v3/auth/catalog", &token).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(cloud.get(&path, &scene.token).await.status, StatusCode::NOT_FOUND);

    let (id, secret) = scene.made(json!({})).await;
    let user = format!("/v3/users/{}", scene.user_id);
    for enabled in [false, true] {
        let body = json!({"user": {"enabled": enabled}});
        assert_eq!(cloud.call(Method::PATCH, &user, &admin, body).await.status, StatusCode::OK);
    }
    assert_eq!(
        scene.login(&id, &secret).await.status,
        StatusCode::UNAUTHORIZED,
        "disabling ends it for good"
    );
}

fn rule(service: &str, method: &str, path: &str) -> Value {
    json!({"service": service, "method": method, "path": path})
}

#[tokio::test]
async fn access_rules_are_enforced_by_every_service() {
    let scene = Scene::start().await;
    let cloud = &scene.cloud;
    let rules = json!([
        rule("compute", "GET", "/v2.1/flavors"),
        rule("compute", "GET", "/compute/v2.1/servers/{server_id}"),
        rule("image", "GET", "/v2/**"),
        rule("identity", "GET", "/v3/auth/projects"),
    ]);
    let (id, secret) = scene.made(json!({"access_rules": rules})).await;
    let login = scene.login(&id, &secret).await;
    let token = token_of(&login);
    let in_token = login.json()["token"]["application_credential"]["access_rules"].clone();
    assert_eq!(in_token.as_array().unwrap().len(), 4, "what keystonemiddleware enforces elsewhere");
    for (path, status) in [
        ("/compute/v2.1/flavors", StatusCode::OK),
        ("/compute/v2.1/servers", StatusCode::UNAUTHORIZED),
        ("/compute/v2.1/servers/00000000-0000-4000-8000-000000000000", StatusCode::NOT_FOUND),
        ("/compute/v2.1/servers/x/ips", StatusCode::UNAUTHORIZED),
        ("/image/v2/images", StatusCode::OK),
        ("/network/v2.0/networks", StatusCode::UNAUTHORIZED),
        ("/v3/auth/projects", StatusCode::OK),
        ("/identity/v3/auth/projects", StatusCode::OK),
        ("/v3/auth/domains", StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(cloud.get(path, &token).await.status, status, "{path}");
    }
    let written = cloud.post("/image/v2/images", &token, json!({"name": "x"})).await;
    assert_eq!(written.status, StatusCode::UNAUTHORIZED, "another method");

    let ask = async |service_token: &str| {
        let request = Request::builder().uri("/network/v2.0/networks").header("x-auth-token", &token);
        let request = request.header("x-service-token", service_token);
        cloud.send(request.body(Body::empty()).unwrap()).await.status
    };
    let (_, _, service) = cloud.tenant("nova", "service").await;
    assert_ne!(ask(&service).await, StatusCode::UNAUTHORIZED, "a service passes a user's request on");
    assert_eq!(ask(&scene.token).await, StatusCode::UNAUTHORIZED, "a member is no service");
    assert_eq!(ask("junk").await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn access_rules_are_resources_of_their_user() {
    let scene = Scene::start().await;
    let (cloud, path) = (&scene.cloud, format!("/v3/users/{}/access_rules", scene.user_id));
    for (bad, why) in [
        (rule("compute", "get", "/"), "method"),
        (rule("compute", "GET", "v2"), "path"),
        (rule("", "GET", "/"), "service"),
        (json!({"service": "compute"}), "incomplete"),
    ] {
        let made = scene.make(&scene.token, json!({"access_rules": [bad]})).await;
        assert_eq!(made.status, StatusCode::BAD_REQUEST, "{why}");
    }
    let one = rule("compute", "GET", "/v2.1/servers");
    let (id, _) = scene.made(json!({"access_rules": [one.clone()]})).await;
    scene.made(json!({"name": "twin", "access_rules": [one]})).await;
    let listed = cloud.get(&path, &scene.token).await;
    assert_eq!(listed.json()["access_rules"].as_array().unwrap().len(), 1, "the same rule is kept once");
    let rule_id = listed.text("/access_rules/0/id");
    let rule_path = format!("{path}/{rule_id}");
    assert_eq!(cloud.get(&rule_path, &scene.token).await.text("/access_rule/path"), "/v2.1/servers");
    assert_eq!(cloud.delete(&rule_path, &scene.token).await.status, StatusCode::FORBIDDEN, "in use");
    let twin = cloud.get(&format!("{}?name=twin", scene.path()), &scene.token).await;
    for id in [id, twin.text("/application_credentials/0/id")] {
        cloud.delete(&format!("{}/{id}", scene.path()), &scene.token).await;
    }
    let others = cloud.tenant("bob", "member").await.2;
    assert_eq!(cloud.delete(&rule_path, &others).await.status, StatusCode::FORBIDDEN);
    assert_eq!(cloud.delete(&rule_path, &scene.token).await.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.get(&rule_path, &scene.token).await.status, StatusCode::NOT_FOUND);
}
