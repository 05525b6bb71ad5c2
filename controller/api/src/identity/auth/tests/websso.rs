//! Logging in at an identity provider in a browser, for a dashboard.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use updraft_core::identity::federation::OidcClient;

use super::federation::{AUDIENCE, ISSUER, Issuer, Scene};
use super::login_by;
use crate::test_cloud::{Reply, TestCloud, project};

/// As the operator wrote it.
pub(super) const DASHBOARD: &str = "https://Horizon.test/auth/websso/";
const OF_CORP: &str = "/v3/auth/OS-FEDERATION/identity_providers/corp/protocols/openid/websso";
const REDIRECT_URI: &str =
    "http://cloud.test:5000/identity/v3/auth/OS-FEDERATION/identity_providers/corp/protocols/openid/websso";
const CODE: &str = "SplxlOBeZQQYbYS6WxSbIA";

/// What the identity provider's token endpoint knows: the ID token to give, and the challenge that it gives it for.
#[derive(Default)]
pub(super) struct Desk {
    id_token: String,
    challenge: String,
}

pub(super) type SharedDesk = Arc<Mutex<Desk>>;

/// The identity provider: its keys, and the place where codes are redeemed.
pub(super) fn provider(keys: Value, desk: SharedDesk) -> Router {
    Router::new()
        .route("/keys", get(move || std::future::ready(Json(keys.clone()))))
        .route("/token", post(redeem))
        .with_state(desk)
}

/// What we are to it; `url` is where it is.
pub(super) fn client(url: &str) -> OidcClient {
    OidcClient {
        id: AUDIENCE.into(),
        secret: Some("a b:c".to_owned().into()),
        authorization_endpoint: "https://idp.test/login".into(),
        token_endpoint: format!("{url}/token"),
        scopes: vec!["profile".into()],
    }
}

async fn redeem(State(desk): State<SharedDesk>, headers: HeaderMap, body: String) -> Response {
    let field = |name: &str| {
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
            .next()
            .unwrap_or_default()
    };
    let desk = desk.lock().unwrap();
    let verifier = Sha256::digest(field("code_verifier").as_bytes());
    let fits = [
        field("grant_type") == "authorization_code",
        field("code") == CODE,
        field("redirect_uri") == REDIRECT_URI.replace(':', "%3A").replace('/', "%2F"),
        desk.challenge == URL_SAFE_NO_PAD.encode(verifier),
        // updraft:a+b%3Ac
        headers[header::AUTHORIZATION] == "Basic dXBkcmFmdDphK2IlM0Fj",
    ];
    match fits.iter().all(|fits| *fits) {
        true => Json(json!({"access_token": "a", "token_type": "Bearer", "id_token": desk.id_token}))
            .into_response(),
        false => (StatusCode::BAD_REQUEST, format!("{fits:?}")).into_response(),
    }
}

/// A browser on its way.
struct Browser {
    cookie: String,
    state: String,
    nonce: String,
    challenge: String,
}

async fn visit(cloud: &TestCloud, path: &str, cookie: &str) -> Reply {
    let request = Request::builder().method(Method::GET).uri(path).header("host", "cloud.test:5000");
    cloud.send(request.header(header::COOKIE, cookie).body(Body::empty()).unwrap()).await
}

/// Sets out from the dashboard.
async fn set_out(cloud: &TestCloud, path: &str) -> Browser {
    let sent =
        visit(cloud, &format!("{path}?origin=https%3A%2F%2Fhorizon.test%2Fauth%2Fwebsso%2F"), "").await;
    assert_eq!(sent.status, StatusCode::FOUND, "{}", sent.json());
    let location = sent.header("location");
    let (place, query) = location.split_once('?').unwrap();
    assert_eq!(place, "https://idp.test/login");
    let field = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
            .next()
            .unwrap_or_default()
    };
    assert_eq!((field("response_type"), field("scope")), ("code".to_owned(), "openid+profile".to_owned()));
    assert_eq!(field("code_challenge_method"), "S256");
    let cookie = sent.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let (state, nonce, challenge) = (field("state"), field("nonce"), field("code_challenge"));
    assert!(!cookie.contains(&state) && !cookie.contains(&nonce), "sealed");
    Browser { cookie: cookie.split(';').next().unwrap().to_owned(), state, nonce, challenge }
}

impl Scene {
    /// What the identity provider has for who logged in there.
    fn vouch(&self, browser: &Browser, claims: &Value, by: &Issuer) {
        let mut claims = claims.clone();
        if claims.get("nonce").is_none() {
            claims["nonce"] = json!(browser.nonce);
        }
        *self.desk.lock().unwrap() =
            Desk { id_token: by.token(&claims), challenge: browser.challenge.clone() };
    }

    async fn come_back(&self, browser: &Browser, query: &str) -> Reply {
        visit(&self.cloud, &format!("{OF_CORP}?{query}"), &format!("a=b; {}", browser.cookie)).await
    }
}

fn with_code(browser: &Browser) -> String {
    format!("code={CODE}&state={}&session_state=x", browser.state)
}

#[tokio::test]
async fn a_browser_brings_its_dashboard_a_token() {
    let scene = Scene::start().await;
    let as_documented = OF_CORP.replace("/protocols/", "/protocol/");
    for path in
        [OF_CORP, &as_documented, "/v3/auth/OS-FEDERATION/websso/openid", &format!("/identity{OF_CORP}")]
    {
        let browser = set_out(&scene.cloud, path).await;
        scene.vouch(&browser, &scene.claims(), &scene.issuer);
        let arrived = scene.come_back(&browser, &with_code(&browser)).await;
        assert_eq!(arrived.status, StatusCode::OK, "{path}: {}", arrived.json());
        assert_eq!((arrived.header("cache-control"), arrived.header("x-subject-token")), ("no-store", ""));
        assert!(arrived.header("set-cookie").contains("Max-Age=0"), "{}", arrived.header("set-cookie"));
        let events = scene.cloud.audit_events(arrived.header("x-openstack-request-id")).await;
        let said = events.iter().map(|event| (event.succeeded, event.initiator_id.is_some()));
        assert_eq!(said.collect::<Vec<_>>(), [(true, true)], "{path}");
        assert_eq!(events[0].document["action"], "authenticate");
        let page = String::from_utf8(arrived.bytes.clone()).unwrap();
        assert!(page.contains(&format!("<form action=\"{DASHBOARD}\" method=\"post\">")), "{page}");
        let token = page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let scoped = login_by(&scene.cloud, "token", json!({"id": token}), project("shared")).await;
        assert_eq!(scoped.text("/token/user/name"), "ada", "{path}");
    }
}

#[tokio::test]
async fn a_dashboard_that_is_not_trusted_gets_nothing() {
    let scene = Scene::start().await;
    for path in [OF_CORP, "/v3/auth/OS-FEDERATION/websso/openid"] {
        let status = async |query: &str| visit(&scene.cloud, &format!("{path}{query}"), "").await.status;
        assert_eq!(status("").await, StatusCode::BAD_REQUEST, "{path}");
        for origin in
            ["https://evil.test/auth/websso/", "https://horizon.test/", "http://horizon.test/auth/websso/"]
        {
            assert_eq!(status(&format!("?origin={origin}")).await, StatusCode::UNAUTHORIZED, "{origin}");
        }
        assert_eq!(status("?origin=https://HORIZON.test/auth/websso/").await, StatusCode::FOUND);
    }
    let unknown = |path: &str| format!("{path}?origin={DASHBOARD}");
    let refused = visit(&scene.cloud, &unknown("/v3/auth/OS-FEDERATION/websso/saml2"), "").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let refused = visit(&scene.cloud, &unknown(&OF_CORP.replace("corp", "nobody")), "").await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_browser_that_did_not_set_out_for_this_comes_to_nothing() {
    let scene = Scene::start().await;
    let (browser, other) = (set_out(&scene.cloud, OF_CORP).await, set_out(&scene.cloud, OF_CORP).await);
    let good = with_code(&browser);
    scene.vouch(&browser, &scene.claims(), &scene.issuer);
    let bare = Browser { cookie: String::new(), ..set_out(&scene.cloud, OF_CORP).await };
    let forged =
        Browser { cookie: "updraft-websso=gAAAAABforged".into(), ..set_out(&scene.cloud, OF_CORP).await };
    for (why, browser, query) in [
        ("no cookie", &bare, good.clone()),
        ("a forged cookie", &forged, good.clone()),
        ("another login's cookie", &other, good.clone()),
        ("another state", &browser, format!("code={CODE}&state=x")),
        ("an error", &browser, format!("error=access_denied&state={}", browser.state)),
        ("no code", &browser, format!("state={}", browser.state)),
        ("another code", &browser, format!("code=x&state={}", browser.state)),
        ("another issuer", &browser, format!("{good}&iss=https://other.test")),
    ] {
        assert_eq!(scene.come_back(browser, &query).await.status, StatusCode::UNAUTHORIZED, "{why}");
    }
    let stranger = Issuer::new();
    for (why, claims, by) in [
        ("another nonce", scene.claims_with("nonce", json!("x")), &scene.issuer),
        ("no nonce", scene.claims_with("nonce", Value::Null), &scene.issuer),
        ("another client", scene.claims_with("aud", json!("else")), &scene.issuer),
        ("another key", scene.claims(), &stranger),
    ] {
        scene.vouch(&browser, &claims, by);
        assert_eq!(scene.come_back(&browser, &good).await.status, StatusCode::UNAUTHORIZED, "{why}");
    }
    scene.vouch(&browser, &scene.claims(), &scene.issuer);
    scene.desk.lock().unwrap().challenge = other.challenge.clone();
    assert_eq!(
        scene.come_back(&browser, &good).await.status,
        StatusCode::UNAUTHORIZED,
        "a code for another browser"
    );
    scene.vouch(&browser, &scene.claims(), &scene.issuer);
    assert_eq!(scene.come_back(&browser, &format!("{good}&iss={ISSUER}")).await.status, StatusCode::OK);
    scene.cloud.core.clock.advance(Duration::from_secs(600));
    scene.vouch(&browser, &scene.claims(), &scene.issuer);
    assert_eq!(scene.come_back(&browser, &good).await.status, StatusCode::UNAUTHORIZED, "too late");
}
