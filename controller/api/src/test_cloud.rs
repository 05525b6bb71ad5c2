//! A whole controller for tests: the real router over a real database in a directory of its own.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use updraft_core::{Config, Core, identity};
use updraft_model::audit::{AuditEvent, AuditQuery};
use updraft_peers::Database;
use updraft_store::{DatabaseUrl, Store};
use updraft_token::{KeyRepository, Tokens};

pub(crate) const ADMIN_PASSWORD: &str = "correct horse";

pub(crate) struct TestCloud {
    pub core: Core,
    pub directory: TempDir,
    router: Router,
    // After the core, which uses it.
    database: Database,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Reply {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// A text in the body, by JSON pointer.
    pub fn text(&self, pointer: &str) -> String {
        let json = self.json();
        json.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {pointer} in {json}"))
            .to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl TestCloud {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::new(directory.path().join("images"));
        Self::start_with(directory, config).await
    }

    pub async fn start_with(directory: TempDir, config: Config) -> Self {
        let database = Database::new(directory.path());
        let store = Store::open(database.url().parse::<DatabaseUrl>().unwrap()).await.unwrap();
        let keys = KeyRepository::open_or_create(&directory.path().join("keys")).unwrap();
        let core = Core::new(store, Tokens::new(keys).unwrap(), config);
        identity::bootstrap::bootstrap(&core, Some(ADMIN_PASSWORD.into())).await.unwrap();
        updraft_core::image::clean_up(&core).await.unwrap();
        Self { router: crate::router(core.clone()), core, directory, database }
    }

    /// What another controller opens to share the database.
    pub fn database(&self) -> DatabaseUrl {
        self.database.url().parse().unwrap()
    }

    /// One request through the whole router; the answer's body has yet to be read.
    pub async fn raw(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// One request through the whole router. Whatever a test asks for, a change that is answered 2xx leaves exactly
    /// one audit event.
    pub async fn send(&self, request: Request<Body>) -> Reply {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.raw(request).await;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let reply = Reply { status: parts.status, headers: parts.headers, bytes };
        let is_audited = !method.is_safe() && path != "/host/v1/observed";
        if is_audited && reply.status.is_success() {
            let events = self.audit_events(reply.header("x-openstack-request-id")).await;
            let outcomes: Vec<bool> = events.iter().map(|event| event.succeeded).collect();
            assert_eq!(outcomes, [true], "{method} {path}");
        }
        reply
    }

    /// The audit events of one request.
    pub async fn audit_events(&self, request_id: &str) -> Vec<AuditEvent> {
        self.core.audit.flush(&self.core).await;
        let wanted = AuditQuery { request_id: Some(request_id.to_owned()), ..AuditQuery::default() };
        updraft_store::audit::list(&mut self.core.read().await.unwrap(), &wanted).await.unwrap()
    }

    /// A request with a token (none when empty) and a JSON body (none when null).
    pub async fn call(&self, method: Method, path: &str, token: &str, body: Value) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", "cloud.test:5000");
        if !token.is_empty() {
            request = request.header("x-auth-token", token);
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
        };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn get(&self, path: &str, token: &str) -> Reply {
        self.call(Method::GET, path, token, Value::Null).await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Reply {
        self.call(Method::POST, path, token, body).await
    }

    pub async fn delete(&self, path: &str, token: &str) -> Reply {
        self.call(Method::DELETE, path, token, Value::Null).await
    }

    /// A login by password, in the domain `default`; the scope as the API takes it.
    pub async fn login(&self, user: &str, password: &str, scope: Value) -> Reply {
        let user = json!({"name": user, "domain": {"id": "default"}, "password": password});
        let mut auth = json!({"identity": {"methods": ["password"], "password": {"user": user}}});
        if !scope.is_null() {
            auth["scope"] = scope;
        }
        self.post("/v3/auth/tokens", "", json!({"auth": auth})).await
    }

    /// The administrator's token for its project.
    pub async fn admin(&self) -> String {
        let reply = self.login("admin", ADMIN_PASSWORD, project("admin")).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.json());
        reply.header("x-subject-token").to_owned()
    }

    /// A new project with a user of the same name in it (password: the name): (project id, user id, token).
    pub async fn tenant(&self, name: &str, role: &str) -> (String, String, String) {
        let admin = self.admin().await;
        let made = self.post("/v3/projects", &admin, json!({"project": {"name": name}})).await;
        let project_id = made.text("/project/id");
        let made = self.post("/v3/users", &admin, json!({"user": {"name": name, "password": name}})).await;
        let user_id = made.text("/user/id");
        self.grant(&admin, &project_id, &user_id, role).await;
        let reply = self.login(name, name, project(name)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.json());
        (project_id, user_id, reply.header("x-subject-token").to_owned())
    }

    pub async fn grant(&self, admin: &str, project_id: &str, user_id: &str, role: &str) {
        let path = self.grant_path(admin, project_id, user_id, role).await;
        assert_eq!(self.call(Method::PUT, &path, admin, Value::Null).await.status, StatusCode::NO_CONTENT);
    }

    pub async fn grant_path(&self, admin: &str, project_id: &str, user_id: &str, role: &str) -> String {
        let role_id = self.get(&format!("/v3/roles?name={role}"), admin).await.text("/roles/0/id");
        format!("/v3/projects/{project_id}/users/{user_id}/roles/{role_id}")
    }
}

/// The scope of a project in the domain `default`.
pub(crate) fn project(name: &str) -> Value {
    json!({"project": {"name": name, "domain": {"id": "default"}}})
}
