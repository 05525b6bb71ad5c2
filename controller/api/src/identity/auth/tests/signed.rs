use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{login_by, roles_of, token_of, user};
use crate::test_cloud::{Reply, TestCloud};

const EMPTY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The headers of `GET http://s3.test/bucket`, the text that version 4 signs of it at `time`, and the signature.
fn signed(access: &str, secret: &str, time: &str) -> (Value, String, String) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let date = &time[..8];
    let scope = format!("{date}/RegionOne/s3/aws4_request");
    let canonical =
        format!("GET\n/bucket\n\nhost:s3.test\nx-amz-date:{time}\n\nhost;x-amz-date\n{EMPTY_HASH}");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let key = [date, "RegionOne", "s3", "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders=host;x-amz-date, Signature=elsewhere"
    );
    let headers = json!({"Authorization": authorization, "Host": "s3.test", "X-Amz-Date": time});
    let signature = hex(&mac(&key, &text));
    (headers, text, signature)
}

struct Scene {
    cloud: TestCloud,
    project_id: String,
    user_id: String,
    token: String,
    service: String,
}

impl Scene {
    async fn start() -> Self {
        let cloud = TestCloud::start().await;
        let (project_id, user_id, token) = cloud.tenant("alice", "member").await;
        let (_, _, service) = cloud.tenant("front", "service").await;
        Self { cloud, project_id, user_id, token, service }
    }

    /// An access key and its secret, made with a token.
    async fn key(&self, token: &str) -> (String, String) {
        let path = format!("/v3/users/{}/credentials/OS-EC2", self.user_id);
        let made = self.cloud.post(&path, token, json!({"tenant_id": self.project_id})).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        (made.text("/credential/access"), made.text("/credential/secret"))
    }

    /// What a front door sends for a request signed now: all that EC2's does, and the `token` that S3's does.
    fn request(&self, (access, secret): &(String, String)) -> Value {
        let time = self.cloud.core.clock.now().seconds_z().replace(['-', ':'], "");
        let (headers, text, signature) = signed(access, secret, &time);
        json!({"credentials": {
            "access": access, "signature": signature, "verb": "GET", "host": "s3.test", "path": "/bucket",
            "params": {}, "headers": headers,
            "body_hash": EMPTY_HASH, "token": URL_SAFE_NO_PAD.encode(text),
        }})
    }

    async fn ask(&self, token: &str, request: &Value) -> Reply {
        self.cloud.post("/v3/ec2tokens", token, request.clone()).await
    }
}

#[tokio::test]
async fn threat_5_a_signature_alone_gives_nothing() {
    let scene = Scene::start().await;
    let request = scene.request(&scene.key(&scene.token).await);
    for path in ["/v3/ec2tokens", "/v3/s3tokens"] {
        for (token, status) in [("", StatusCode::UNAUTHORIZED), (&scene.token, StatusCode::FORBIDDEN)] {
            let reply = scene.cloud.post(path, token, request.clone()).await;
            assert_eq!(reply.status, status, "{path}");
            assert_eq!(reply.header("x-subject-token"), "");
            assert!(reply.json().get("token").is_none());
        }
    }
    let found = scene.ask(&scene.service, &request).await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.json());
    assert_eq!(found.json()["token"]["methods"], json!(["ec2credential"]));
    assert_eq!(found.text("/token/user/id"), scene.user_id);
    assert_eq!(found.text("/token/project/id"), scene.project_id);
    assert_eq!(roles_of(&found), ["member", "reader"]);
    assert_ne!(found.header("x-subject-token"), "");
}

#[tokio::test]
async fn threat_5_s3s_front_door_learns_whose_request_it_is_and_gets_no_token() {
    let scene = Scene::start().await;
    let mut request = scene.request(&scene.key(&scene.token).await);
    let found = scene.cloud.post("/v3/s3tokens", &scene.service, request.clone()).await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.json());
    assert_eq!(found.text("/token/user/id"), scene.user_id);
    assert_eq!(found.text("/token/project/id"), scene.project_id);
    assert_eq!(roles_of(&found), ["member", "reader"]);
    assert_eq!(found.header("x-subject-token"), "");
    assert!(!found.json().to_string().contains("gAAAA"), "nor is it in the body");
    request["credentials"]["token"] = json!(URL_SAFE_NO_PAD.encode("another text"));
    let changed = scene.cloud.post("/v3/s3tokens", &scene.service, request).await;
    assert_eq!(changed.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn threat_6_an_old_or_changed_signature_is_refused() {
    let scene = Scene::start().await;
    let key = scene.key(&scene.token).await;
    let request = scene.request(&key);
    let mut changed = request.clone();
    changed["credentials"]["path"] = json!("/another");
    let mut unsigned = request.clone();
    unsigned["credentials"]["signature"] = Value::Null;
    let mut unknown = request.clone();
    unknown["credentials"]["access"] = json!("unknown");
    for (request, status) in [
        (&changed, StatusCode::UNAUTHORIZED),
        (&unsigned, StatusCode::UNAUTHORIZED),
        (&json!({}), StatusCode::UNAUTHORIZED),
        (&unknown, StatusCode::NOT_FOUND),
    ] {
        assert_eq!(scene.ask(&scene.service, request).await.status, status, "{request}");
    }
    scene.cloud.core.clock.advance(Duration::from_secs(14 * 60));
    assert_eq!(scene.ask(&scene.service, &request).await.status, StatusCode::OK);
    scene.cloud.core.clock.advance(Duration::from_secs(2 * 60));
    assert_eq!(scene.ask(&scene.service, &request).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn threat_4_a_key_gives_no_more_than_what_it_was_made_with() {
    let scene = Scene::start().await;
    let cloud = &scene.cloud;
    let path = format!("/v3/users/{}/application_credentials", scene.user_id);
    let fields = json!({"name": "robot", "unrestricted": true});
    let made = cloud.post(&path, &scene.token, json!({"application_credential": fields})).await;
    let (id, secret) = (made.text("/application_credential/id"), made.text("/application_credential/secret"));
    let proof = json!({"id": id, "secret": secret});
    let robot = token_of(&login_by(cloud, "application_credential", proof, Value::Null).await);
    let key = scene.key(&robot).await;
    let found = scene.ask(&scene.service, &scene.request(&key)).await;
    assert_eq!(found.json()["token"]["application_credential"]["id"], id.as_str());
    cloud.delete(&format!("{path}/{id}"), &scene.token).await;
    let gone = scene.ask(&scene.service, &scene.request(&key)).await;
    assert_eq!(gone.status, StatusCode::UNAUTHORIZED, "the key ends with what it rests on");

    let admin = cloud.admin().await;
    let key = scene.key(&scene.token).await;
    let grant = cloud.grant_path(&admin, &scene.project_id, &scene.user_id, "member").await;
    cloud.delete(&grant, &admin).await;
    assert_eq!(scene.ask(&scene.service, &scene.request(&key)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn threat_4_a_key_made_through_a_trust_gives_no_more_than_the_trust() {
    let scene = Scene::start().await;
    let (cloud, admin) = (&scene.cloud, scene.cloud.admin().await);
    cloud.grant(&admin, &scene.project_id, &scene.user_id, "manager").await;
    let trustee_id = user(cloud, "bob").await;
    let fields = json!({
        "trustor_user_id": scene.user_id, "trustee_user_id": trustee_id, "impersonation": true,
        "project_id": scene.project_id, "roles": [{"name": "member"}],
    });
    let made = cloud.post("/v3/OS-TRUST/trusts", &scene.token, json!({"trust": fields})).await;
    let trust_id = made.text("/trust/id");
    let scope = json!({"OS-TRUST:trust": {"id": trust_id}});
    let bob = token_of(&cloud.login("bob", "bob", scope).await);
    let blob = json!({"access": "chosen", "secret": "by bob"}).to_string();
    let body = json!({"credential": {
        "type": "ec2", "blob": blob, "user_id": scene.user_id, "project_id": scene.project_id,
    }});
    assert_eq!(cloud.post("/v3/credentials", &bob, body).await.status, StatusCode::CREATED);
    let keys = [scene.key(&bob).await, ("chosen".to_owned(), "by bob".to_owned())];
    for key in &keys {
        let found = scene.ask(&scene.service, &scene.request(key)).await;
        assert_eq!(found.status, StatusCode::OK, "{}", found.json());
        assert_eq!(found.json()["token"]["OS-TRUST:trust"]["id"], trust_id.as_str());
        assert_eq!(roles_of(&found), ["member", "reader"], "not all that the trustor holds");
    }
    let trust = format!("/v3/OS-TRUST/trusts/{trust_id}");
    assert_eq!(cloud.delete(&trust, &scene.token).await.status, StatusCode::NO_CONTENT);
    for key in &keys {
        let gone = scene.ask(&scene.service, &scene.request(key)).await;
        assert_eq!(gone.status, StatusCode::UNAUTHORIZED, "the key ends with the trust");
    }
}
