//! Logins by OpenID Connect, with an issuer made here: a key pair of its own, its public half served over HTTP.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use updraft_core::Config;
use updraft_core::identity::federation::{JwksSource, OidcIssuer};

use super::websso::{self, SharedDesk};
use super::{login_by, roles_of, token_of};
use crate::test_cloud::{Reply, TestCloud, project};

pub(super) const ISSUER: &str = "https://idp.test";
pub(super) const AUDIENCE: &str = "updraft";

/// Somebody who vouches for users.
pub(super) struct Issuer {
    key: EncodingKey,
    public: Jwk,
}

impl Issuer {
    pub fn new() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        public.common.key_id = Some("1".into());
        Self { key, public }
    }

    fn keys(&self) -> Value {
        json!({"keys": [self.public]})
    }

    fn header(&self) -> Header {
        Header { kid: Some("1".into()), ..Header::new(Algorithm::ES256) }
    }

    pub fn token(&self, claims: &Value) -> String {
        encode(&self.header(), claims, &self.key).unwrap()
    }
}

pub(super) struct Scene {
    pub cloud: TestCloud,
    pub issuer: Issuer,
    pub desk: SharedDesk,
    admin: String,
    group_id: String,
    project_id: String,
}

impl Scene {
    /// A cloud with the identity provider `corp`, whose people in `staff` are readers of the project `shared`.
    pub async fn start() -> Self {
        let issuer = Issuer::new();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let desk = SharedDesk::default();
        let served = websso::provider(issuer.keys(), Arc::clone(&desk));
        tokio::spawn(axum::serve(listener, served).into_future());
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::new(directory.path().join("images"));
        config.oidc_issuers = vec![OidcIssuer {
            issuer: ISSUER.into(),
            audiences: vec![AUDIENCE.into()],
            keys: JwksSource::Url(format!("{url}/keys")),
            client: Some(websso::client(&url)),
        }];
        config.trusted_dashboards = vec![websso::DASHBOARD.into()];
        let cloud = TestCloud::start_with(directory, config).await;
        let (project_id, _, _) = cloud.tenant("shared", "member").await;
        let admin = cloud.admin().await;
        let made = cloud.post("/v3/groups", &admin, json!({"group": {"name": "staff"}})).await;
        let scene = Self { cloud, issuer, desk, admin, group_id: made.text("/group/id"), project_id };
        scene.set_up().await;
        scene
    }

    async fn put(&self, path: &str, body: Value) -> Reply {
        self.cloud.call(Method::PUT, path, &self.admin, body).await
    }

    async fn set_up(&self) {
        let role_id = self.cloud.get("/v3/roles?name=reader", &self.admin).await.text("/roles/0/id");
        let grant = format!("/v3/projects/{}/groups/{}/roles/{role_id}", self.project_id, self.group_id);
        assert_eq!(self.put(&grant, Value::Null).await.status, StatusCode::NO_CONTENT);
        let rules = json!([
            {
                "local": [{"user": {"name": "{0}", "email": "{1}"}}],
                "remote": [{"type": "OIDC-preferred_username"}, {"type": "HTTP_OIDC_EMAIL"}],
            },
            {
                "local": [{"groups": "{0}", "domain": {"id": "default"}}],
                "remote": [{"type": "OIDC-groups", "whitelist": ["staff", "elsewhere"]}],
            },
        ]);
        let made = self.put("/v3/OS-FEDERATION/mappings/people", json!({"mapping": {"rules": rules}})).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        let body = json!({"identity_provider": {"enabled": true, "remote_ids": [ISSUER]}});
        let made = self.put("/v3/OS-FEDERATION/identity_providers/corp", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        let path = "/v3/OS-FEDERATION/identity_providers/corp/protocols/openid";
        let made = self.put(path, json!({"protocol": {"mapping_id": "people"}})).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    }

    /// What the issuer says of Ada, in its time.
    pub fn claims(&self) -> Value {
        let now = self.cloud.core.clock.now().0 / 1_000_000;
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "248289761001", "iat": now, "exp": now + 300,
            "preferred_username": "ada", "email": "ada@corp.test", "groups": ["staff", "secret"],
        })
    }

    pub fn claims_with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }

    async fn login(&self, id_token: &str) -> Reply {
        let path = "/v3/OS-FEDERATION/identity_providers/corp/protocols/openid/auth";
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {id_token}"));
        self.cloud.send(request.body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn somebody_elses_user_logs_in_by_openid_connect() {
    let scene = Scene::start().await;
    let cloud = &scene.cloud;
    let login = scene.login(&scene.issuer.token(&scene.claims())).await;
    let unscoped = token_of(&login);
    let token = login.json()["token"].clone();
    assert_eq!(token["methods"], json!(["openid"]));
    assert_eq!(token["user"]["name"], "ada");
    assert!(token["user"].get("password_expires_at").is_none());
    assert_eq!(
        token["user"]["OS-FEDERATION"],
        json!({
            "groups": [{"id": scene.group_id}],
            "identity_provider": {"id": "corp"}, "protocol": {"id": "openid"},
        })
    );
    for path in ["/v3/auth/projects", "/v3/OS-FEDERATION/projects"] {
        assert_eq!(cloud.get(path, &unscoped).await.text("/projects/0/name"), "shared", "{path}");
    }
    let scoped = login_by(cloud, "token", json!({"id": unscoped}), project("shared")).await;
    assert_eq!(roles_of(&scoped), ["reader"]);
    assert_eq!(scoped.json()["token"]["user"]["OS-FEDERATION"]["identity_provider"]["id"], "corp");
    let again = scene.login(&scene.issuer.token(&scene.claims_with("email", json!("new@corp.test")))).await;
    assert_eq!(again.text("/token/user/id"), login.text("/token/user/id"), "the same user at each login");
    let outside = scene.login(&scene.issuer.token(&scene.claims_with("groups", json!(["other"])))).await;
    let outside = token_of(&outside);
    let refused = login_by(cloud, "token", json!({"id": outside}), project("shared")).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "groups are those of this login");

    let body = json!({"identity_provider": {"enabled": false}});
    let path = "/v3/OS-FEDERATION/identity_providers/corp";
    assert_eq!(cloud.call(Method::PATCH, path, &scene.admin, body).await.status, StatusCode::OK);
    assert_eq!(cloud.get("/v3/auth/projects", &unscoped).await.status, StatusCode::UNAUTHORIZED);
    let refused = scene.login(&scene.issuer.token(&scene.claims())).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_assertion_never_becomes_a_user_that_was_here_before() {
    let scene = Scene::start().await;
    let body =
        json!({"identity_provider": {"enabled": true, "remote_ids": [ISSUER], "domain_id": "default"}});
    let path = "/v3/OS-FEDERATION/identity_providers/corp";
    assert_eq!(scene.cloud.delete(path, &scene.admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(scene.put(path, body).await.status, StatusCode::CREATED);
    let protocol = json!({"protocol": {"mapping_id": "people"}});
    scene.put(&format!("{path}/protocols/openid"), protocol).await;
    let login =
        scene.login(&scene.issuer.token(&scene.claims_with("preferred_username", json!("admin")))).await;
    assert_eq!(login.text("/token/user/name"), "admin@corp");
    let admins = scene.cloud.get("/v3/users?name=admin", &scene.admin).await.text("/users/0/id");
    assert_ne!(login.text("/token/user/id"), admins);
}

#[tokio::test]
async fn id_tokens_that_are_not_for_us_now_from_them_are_refused() {
    let scene = Scene::start().await;
    let now = scene.cloud.core.clock.now().0 / 1_000_000;
    let mut refused = vec![
        ("another key", Issuer::new().token(&scene.claims())),
        ("junk", "junk".to_owned()),
        ("nothing", String::new()),
        ("too long", format!("{}.{}.{}", "a".repeat(20_000), "b", "c")),
    ];
    for (name, value) in [
        ("aud", json!("another")),
        ("aud", Value::Null),
        ("iss", json!("https://other.test")),
        ("exp", json!(now - 120)),
        ("exp", Value::Null),
        ("nbf", json!(now + 3600)),
        ("iat", json!(now + 3600)),
        ("azp", json!("another")),
        ("sub", Value::Null),
        ("preferred_username", Value::Null),
    ] {
        refused.push((name, scene.issuer.token(&scene.claims_with(name, value))));
    }
    for (why, token) in refused {
        assert_eq!(scene.login(&token).await.status, StatusCode::UNAUTHORIZED, "{why}");
    }
    token_of(&scene.login(&scene.issuer.token(&scene.claims_with("aud", json!(["x", AUDIENCE])))).await);
    scene.cloud.core.clock.advance(Duration::from_secs(60));
    let path = "/v3/OS-FEDERATION/identity_providers/nobody/protocols/openid/auth";
    let request = Request::builder().method(Method::POST).uri(path).header(header::AUTHORIZATION, "Bearer x");
    let unknown = scene.cloud.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let scene = Scene::start().await;
    let secrets =
        [scene.issuer.keys()["keys"][0].to_string(), scene.issuer.keys()["keys"][0]["x"].to_string()];
    for secret in secrets {
        let header = Header { alg: Algorithm::HS256, ..scene.issuer.header() };
        let forged = encode(&header, &scene.claims(), &EncodingKey::from_secret(secret.as_bytes())).unwrap();
        assert_eq!(scene.login(&forged).await.status, StatusCode::UNAUTHORIZED);
    }
    let whole = scene.issuer.token(&scene.claims());
    let claims = whole.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"JWT"}
    for unsigned in [
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}."),
        format!("{}.", &whole[..whole.rfind('.').unwrap()]),
    ] {
        assert_eq!(scene.login(&unsigned).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_mapping_may_name_a_user_that_is_here_and_projects() {
    let scene = Scene::start().await;
    let path = "/v3/OS-FEDERATION/mappings/people";
    let set = async |local: Value| {
        let rules = json!([{"local": [local], "remote": [{"type": "OIDC-preferred_username"}]}]);
        let body = json!({"mapping": {"rules": rules}});
        assert_eq!(scene.cloud.call(Method::PATCH, path, &scene.admin, body).await.status, StatusCode::OK);
        scene.login(&scene.issuer.token(&scene.claims_with("preferred_username", json!("shared")))).await
    };
    let local = json!({"user": {"name": "{0}", "type": "local", "domain": {"id": "default"}}});
    let login = set(local).await;
    assert!(login.json()["token"]["user"].get("OS-FEDERATION").is_none(), "a user like any other");
    let scoped = login_by(&scene.cloud, "token", json!({"id": token_of(&login)}), project("shared")).await;
    assert_eq!(roles_of(&scoped), ["member", "reader"]);
    let projects = json!({
        "user": {"name": "{0}"}, "projects": [{"name": "{0}'s own", "roles": [{"name": "member"}]}],
    });
    let login = set(projects).await;
    let projects = scene.cloud.get("/v3/auth/projects", &token_of(&login)).await;
    assert_eq!(projects.text("/projects/0/name"), "shared's own");
    let unknown = set(json!({"user": {"name": "x", "type": "local", "domain": {"id": "default"}}})).await;
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn federation_resources_are_the_administrators() {
    let scene = Scene::start().await;
    let (cloud, admin) = (&scene.cloud, &scene.admin);
    let member = token_of(&cloud.login("shared", "shared", project("shared")).await);
    let sp = json!({"service_provider": {
        "auth_url": "https://b.test/auth", "sp_url": "https://b.test/sp", "enabled": true,
    }});
    for (path, body, status) in [
        ("/v3/OS-FEDERATION/mappings/bad", json!({"mapping": {"rules": []}}), StatusCode::BAD_REQUEST),
        (
            "/v3/OS-FEDERATION/mappings/people",
            json!({"mapping": {"rules": [
                {"local": [{"user": {"name": "x"}}], "remote": [{"type": "A"}]},
            ]}}),
            StatusCode::CONFLICT,
        ),
        (
            "/v3/OS-FEDERATION/identity_providers/other",
            json!({"identity_provider": {"remote_ids": [ISSUER]}}),
            StatusCode::CONFLICT,
        ),
        (
            "/v3/OS-FEDERATION/identity_providers/corp/protocols/saml2",
            json!({"protocol": {"mapping_id": "none"}}),
            StatusCode::BAD_REQUEST,
        ),
        ("/v3/OS-FEDERATION/service_providers/b", sp, StatusCode::CREATED),
    ] {
        let refused = cloud.call(Method::PUT, path, &member, body.clone()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(scene.put(path, body).await.status, status, "{path}");
    }
    let in_tokens = cloud.login("shared", "shared", project("shared")).await;
    assert_eq!(in_tokens.json()["token"]["service_providers"][0]["id"], "b");
    for (path, list) in [
        ("/v3/OS-FEDERATION/mappings", "mappings"),
        ("/v3/OS-FEDERATION/identity_providers", "identity_providers"),
        ("/v3/OS-FEDERATION/identity_providers/corp/protocols", "protocols"),
        ("/v3/OS-FEDERATION/service_providers", "service_providers"),
    ] {
        let listed = cloud.get(path, admin).await;
        assert_eq!(listed.json()[list].as_array().map(Vec::len), Some(1), "{path}");
        assert_eq!(cloud.get(path, &member).await.status, StatusCode::FORBIDDEN, "{path}");
        let id = listed.text(&format!("/{list}/0/id"));
        assert_eq!(cloud.get(&format!("{path}/{id}"), admin).await.status, StatusCode::OK, "{path}/{id}");
    }
    let used = cloud.delete("/v3/OS-FEDERATION/mappings/people", admin).await;
    assert_eq!(used.status, StatusCode::CONFLICT);
    for path in [
        "/v3/OS-FEDERATION/identity_providers/corp/protocols/openid",
        "/v3/OS-FEDERATION/mappings/people",
        "/v3/OS-FEDERATION/identity_providers/corp",
        "/v3/OS-FEDERATION/service_providers/b",
    ] {
        assert_eq!(cloud.delete(path, admin).await.status, StatusCode::NO_CONTENT, "{path}");
        assert_eq!(cloud.get(path, admin).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
