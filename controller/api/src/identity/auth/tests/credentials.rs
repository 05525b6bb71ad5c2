use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use updraft_core::identity::credential;

use super::{login_by, token_of};
use crate::test_cloud::TestCloud;

/// "12345678901234567890" in base32: the secret of RFC 6238's examples.
const TOTP_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn body(user_id: &str, project_id: Option<&str>, kind: &str, blob: &str) -> Value {
    json!({"credential": {"user_id": user_id, "project_id": project_id, "type": kind, "blob": blob}})
}

#[tokio::test]
async fn a_credential_is_its_owners() {
    let cloud = TestCloud::start().await;
    let (project_id, alice, token) = cloud.tenant("alice", "member").await;
    let (_, bob, others) = cloud.tenant("bob", "member").await;
    let made = cloud.post("/v3/credentials", &token, body(&alice, None, "cert", "the secret text")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let path = format!("/v3/credentials/{}", made.text("/credential/id"));
    assert_eq!(cloud.get(&path, &token).await.text("/credential/blob"), "the secret text");
    for (method, send) in [
        (Method::GET, Value::Null),
        (Method::PATCH, json!({"credential": {"blob": "x"}})),
        (Method::DELETE, Value::Null),
    ] {
        let refused = cloud.call(method.clone(), &path, &others, send).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{method}");
    }
    let foreign = cloud.post("/v3/credentials", &token, body(&bob, None, "cert", "x")).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let given = json!({"credential": {"user_id": bob}});
    assert_eq!(cloud.call(Method::PATCH, &path, &token, given).await.status, StatusCode::FORBIDDEN);
    let changed = json!({"credential": {"blob": "another", "project_id": project_id}});
    let changed = cloud.call(Method::PATCH, &path, &token, changed).await;
    assert_eq!(changed.text("/credential/blob"), "another");
    let listed = |query: &'static str, token: String| {
        let cloud = &cloud;
        async move {
            let reply = cloud.get(&format!("/v3/credentials{query}"), &token).await;
            reply.json()["credentials"].as_array().map(Vec::len)
        }
    };
    assert_eq!(listed("", token.clone()).await, Some(1));
    assert_eq!(listed("?type=totp", token.clone()).await, Some(0));
    assert_eq!(listed("", others).await, Some(0));
    assert_eq!(listed("", cloud.admin().await).await, Some(1));
    assert_eq!(cloud.delete(&path, &token).await.status, StatusCode::NO_CONTENT);
    // Who may only see its own learns no more of one that is gone than of somebody else's.
    assert_eq!(cloud.get(&path, &token).await.status, StatusCode::FORBIDDEN);
    assert_eq!(cloud.get(&path, &cloud.admin().await).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn credentials_are_sealed_on_the_disk_and_survive_rotations() {
    let cloud = TestCloud::start().await;
    let (_, alice, token) = cloud.tenant("alice", "member").await;
    let made = cloud.post("/v3/credentials", &token, body(&alice, None, "cert", "hidden-in-the-vault")).await;
    let path = format!("/v3/credentials/{}", made.text("/credential/id"));
    for _ in 0..4 {
        assert_eq!(credential::rotate_keys(&cloud.core).await.unwrap(), 1);
        assert_eq!(cloud.get(&path, &token).await.text("/credential/blob"), "hidden-in-the-vault");
    }
    for entry in std::fs::read_dir(cloud.directory.path()).unwrap() {
        let file = entry.unwrap().path();
        if file.is_file() {
            let bytes = std::fs::read(&file).unwrap();
            let shows = bytes.windows(19).any(|window| window == b"hidden-in-the-vault");
            assert!(!shows, "{} shows the secret", file.display());
        }
    }
}

#[tokio::test]
async fn an_ec2_credential_has_a_form() {
    let cloud = TestCloud::start().await;
    let (project_id, alice, token) = cloud.tenant("alice", "member").await;
    let blob = json!({"access": "key", "secret": "s", "trust_id": "forged"}).to_string();
    for (project, blob, why) in [
        (None, blob.as_str(), "no project"),
        (Some(project_id.as_str()), "not JSON", "blob"),
        (Some(project_id.as_str()), "{\"secret\": \"s\"}", "no access key"),
    ] {
        let refused = cloud.post("/v3/credentials", &token, body(&alice, project, "ec2", blob)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{why}");
    }
    let whole = body(&alice, Some(&project_id), "ec2", &blob);
    let made = cloud.post("/v3/credentials", &token, whole.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert!(!made.text("/credential/blob").contains("forged"), "what it rests on is not the client's to say");
    // SHA-256 of "key", as other services compute it.
    let id = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";
    assert_eq!(made.text("/credential/id"), id);
    assert_eq!(cloud.post("/v3/credentials", &token, whole).await.status, StatusCode::CONFLICT);
    let path = format!("/v3/credentials/{id}");
    for change in [json!({"blob": blob}), json!({"type": "cert"})] {
        let refused = cloud.call(Method::PATCH, &path, &token, json!({"credential": change})).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.json());
    }
    let ec2 = format!("/v3/users/{alice}/credentials/OS-EC2");
    assert_eq!(cloud.get(&format!("{ec2}/key"), &token).await.text("/credential/secret"), "s");
    let made = cloud.post(&ec2, &token, json!({"tenant_id": project_id})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let access = made.text("/credential/access");
    assert!(made.text("/credential/links/self").ends_with(&format!("/OS-EC2/{access}")));
    assert_eq!(cloud.get(&ec2, &token).await.json()["credentials"].as_array().unwrap().len(), 2);
    let others = cloud.tenant("bob", "member").await.2;
    let path = format!("{ec2}/{access}");
    for (token, status) in [(&others, StatusCode::FORBIDDEN), (&token, StatusCode::NO_CONTENT)] {
        assert_eq!(cloud.delete(&path, token).await.status, status);
    }
    assert_eq!(cloud.get(&path, &token).await.status, StatusCode::NOT_FOUND);
}

/// Moves the cloud's clock to `seconds` after the epoch, which lies ahead.
fn move_to(cloud: &TestCloud, seconds: i64) {
    let now = cloud.core.clock.now().0;
    cloud.core.clock.advance(Duration::from_micros(u64::try_from(seconds * 1_000_000 - now).unwrap()));
}

#[tokio::test]
async fn a_one_time_password_counts_once_and_in_its_time() {
    let cloud = TestCloud::start().await;
    let (_, alice, token) = cloud.tenant("alice", "member").await;
    let made = cloud.post("/v3/credentials", &token, body(&alice, None, "totp", TOTP_SECRET)).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let login = async |passcode: &str| {
        let proof = json!({"user": {"id": alice, "passcode": passcode}});
        login_by(&cloud, "totp", proof, Value::Null).await
    };
    // RFC 6238, appendix B: 65353130 at 20000000000.
    move_to(&cloud, 20_000_000_000);
    assert_eq!(login("353131").await.status, StatusCode::UNAUTHORIZED);
    let first = login("353130").await;
    assert_eq!(first.json()["token"]["methods"], json!(["totp"]));
    token_of(&first);
    assert_eq!(login("353130").await.status, StatusCode::UNAUTHORIZED, "used");
    let nobody = json!({"user": {"id": "nobody", "passcode": "353130"}});
    assert_eq!(login_by(&cloud, "totp", nobody, Value::Null).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_one_time_password_is_good_one_step_longer() {
    let cloud = TestCloud::start().await;
    let (_, alice, token) = cloud.tenant("alice", "member").await;
    cloud.post("/v3/credentials", &token, body(&alice, None, "totp", TOTP_SECRET)).await;
    let proof = json!({"user": {"name": "alice", "domain": {"id": "default"}, "passcode": "353130"}});
    move_to(&cloud, 20_000_000_000 + 61);
    assert_eq!(login_by(&cloud, "totp", proof.clone(), Value::Null).await.status, StatusCode::UNAUTHORIZED);
    let cloud = TestCloud::start().await;
    let (_, alice, token) = cloud.tenant("alice", "member").await;
    cloud.post("/v3/credentials", &token, body(&alice, None, "totp", TOTP_SECRET)).await;
    move_to(&cloud, 20_000_000_000 + 25);
    token_of(&login_by(&cloud, "totp", proof, Value::Null).await);
}
