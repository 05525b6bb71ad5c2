//! A client that does not give up: it sends again what got no answer, and keeps a log of what was acknowledged.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::cloud::PASSWORD;

/// Generous: the machine may be busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// One request; longer than the controller tries to reach a database.
const ANSWER_LIMIT: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(50);
/// How long the answer of an earlier attempt may be on its way.
const UNDER_WAY: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

/// A change that was acknowledged.
#[derive(Debug)]
struct Acknowledged {
    what: String,
    request_id: String,
    /// There was an attempt before, which may have done it already.
    is_repeated: bool,
}

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Change,
    RepeatedChange,
}

/// Clones are the same client: they share its log.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    pub token: String,
    /// Requests that were sent.
    pub sent: Arc<AtomicUsize>,
    log: Arc<Mutex<Vec<Acknowledged>>>,
    /// Answers that no fault of a peer excuses.
    broken: Arc<Mutex<Vec<String>>>,
}

impl Client {
    pub fn new(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_LIMIT).build().unwrap();
        Self {
            http,
            url: url.to_owned(),
            token: String::new(),
            sent: Arc::default(),
            log: Arc::default(),
            broken: Arc::default(),
        }
    }

    /// The same client, logged in as somebody else.
    pub async fn as_user(&self, user: &str, password: &str, project: &str) -> Self {
        let user = json!({"name": user, "domain": {"id": "default"}, "password": password});
        let scope = json!({"project": {"name": project, "domain": {"id": "default"}}});
        let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}});
        let url = format!("{}/v3/auth/tokens", self.url);
        let token = patiently("log in", || async {
            self.sent.fetch_add(1, Ordering::Relaxed);
            let answer = self.http.post(&url).json(&body).send().await.ok()?;
            (answer.status() == 201).then(|| answer.headers()["x-subject-token"].to_str().unwrap().to_owned())
        });
        Self { token: token.await, ..self.clone() }
    }

    pub async fn as_admin(&self) -> Self {
        self.as_user("admin", PASSWORD, "admin").await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.header("x-auth-token", &self.token).header("openstack-api-version", "compute 2.96")
    }

    /// One attempt; `None` when there was no answer, or one that says "later".
    async fn send(&self, what: &str, kind: Kind, request: reqwest::RequestBuilder) -> Option<Answer> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let header = answer.headers().get("x-openstack-request-id");
        let request_id = header.map(|id| id.to_str().unwrap().to_owned()).unwrap_or_default();
        let text = answer.text().await;
        if status >= 500 {
            if status != 503 {
                let text = text.unwrap_or_default();
                self.broken.lock().unwrap().push(format!("{what}: {status} {text}"));
            }
            return None;
        }
        if kind != Kind::Read && status < 300 {
            // Acknowledged with the head of the answer, whatever becomes of its body.
            let (what, is_repeated) = (what.to_owned(), kind == Kind::RepeatedChange);
            self.log.lock().unwrap().push(Acknowledged { what, request_id, is_repeated });
        }
        let text = text.ok()?;
        Some(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    /// One attempt of a change, or of reading something.
    pub async fn once(&self, method: Method, path: &str, body: &Value) -> Option<Answer> {
        let kind = if method == Method::GET { Kind::Read } else { Kind::Change };
        self.attempt(kind, method, path, body).await
    }

    async fn attempt(&self, kind: Kind, method: Method, path: &str, body: &Value) -> Option<Answer> {
        let what = format!("{method} {path}");
        let request = self.request(method, path);
        let request = if body.is_null() { request } else { request.json(body) };
        self.send(&what, kind, request).await
    }

    /// Sends data, once.
    pub async fn put_data(&self, path: &str, data: &'static [u8]) -> Option<Answer> {
        let request = self.request(Method::PUT, path);
        let request = request.header("content-type", "application/octet-stream").body(data);
        self.send(&format!("PUT {path}"), Kind::Change, request).await
    }

    /// What is there, as bytes.
    pub async fn data(&self, path: &str) -> Vec<u8> {
        let bytes = patiently(path, || async {
            let answer = self.request(Method::GET, path).send().await.ok()?;
            (answer.status() == 200).then_some(answer.bytes().await.ok()?)
        });
        bytes.await.to_vec()
    }

    pub async fn get(&self, path: &str) -> Answer {
        patiently(path, || self.once(Method::GET, path, &Value::Null)).await
    }

    /// Until it is acknowledged; for changes that may be made twice.
    pub async fn ensure(&self, method: Method, path: &str, body: Value) -> Answer {
        let attempts = AtomicUsize::new(0);
        let answer = patiently(path, || self.attempt(next(&attempts), method.clone(), path, &body)).await;
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer
    }

    /// Makes something that can be found under `list` by its name afterwards, exactly once, whatever the answer was;
    /// its id. (A killed controller may have carried a create out and not have kept its answer.)
    pub async fn create(&self, path: &str, body: Value, list: &str) -> String {
        let key = uuid::Uuid::new_v4().to_string();
        let (attempts, mut waited) = (AtomicUsize::new(0), None);
        let answer = loop {
            let answer = patiently(path, || async {
                let request = self.request(Method::POST, path).header("idempotency-key", &key).json(&body);
                self.send(&format!("POST {path}"), next(&attempts), request).await
            });
            let answer = answer.await;
            let is_known = answer.status == 409 && answer.body.to_string().contains("Idempotency-Key");
            if !is_known || waited.get_or_insert_with(Instant::now).elapsed() > UNDER_WAY {
                break answer;
            }
            tokio::time::sleep(PAUSE).await;
        };
        assert!(answer.status < 300 || waited.is_some(), "POST {path}: {answer:?}");
        let found = self.get(list).await.body;
        let (_, rows) = found.as_object().unwrap().iter().find(|(_, value)| value.is_array()).unwrap();
        let ids: Vec<&str> = rows.as_array().unwrap().iter().filter_map(|row| row["id"].as_str()).collect();
        assert_eq!(ids.len(), 1, "POST {path}, which was answered with {answer:?}, made {found}");
        ids[0].to_owned()
    }

    /// Until it is acknowledged; "not found" is as good after an attempt without an answer.
    pub async fn delete(&self, path: &str) {
        let (attempts, unanswered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        patiently(path, || async {
            match self.attempt(next(&attempts), Method::DELETE, path, &Value::Null).await {
                Some(Answer { status: 200..300, .. }) => Some(()),
                Some(Answer { status: 404, .. }) if unanswered.load(Ordering::Relaxed) > 0 => Some(()),
                // What stands in the way is itself on its way out.
                Some(Answer { status: 409, .. }) => None,
                Some(other) => panic!("DELETE {path}: {other:?}"),
                None => {
                    unanswered.fetch_add(1, Ordering::Relaxed);
                    None
                }
            }
        })
        .await;
    }

    /// Waits until it is not found any more.
    pub async fn gone(&self, path: &str) {
        patiently(&format!("{path} to go"), || async {
            (self.once(Method::GET, path, &Value::Null).await?.status == 404).then_some(())
        })
        .await;
    }

    /// Every acknowledged change so far has left exactly one event that says so, and nothing was answered that a dead
    /// peer does not excuse; the log starts anew.
    pub async fn audit(&self) {
        let broken = std::mem::take(&mut *self.broken.lock().unwrap());
        assert!(broken.is_empty(), "{broken:#?}");
        let log = std::mem::take(&mut *self.log.lock().unwrap());
        for Acknowledged { what, request_id, is_repeated } in log {
            let events = self.get(&format!("/host/v1/audit?request={request_id}")).await.body;
            let outcomes: Vec<&Value> =
                events["events"].as_array().unwrap().iter().map(|event| &event["outcome"]).collect();
            // What changes nothing any more has an event that may die with the controller.
            assert!(outcomes == ["success"] || (outcomes.is_empty() && is_repeated), "{what}: {outcomes:?}");
        }
    }
}

/// Of the first attempt, and of those after it.
fn next(attempts: &AtomicUsize) -> Kind {
    match attempts.fetch_add(1, Ordering::Relaxed) {
        0 => Kind::Change,
        _ => Kind::RepeatedChange,
    }
}

/// Tries until there is a result.
pub async fn patiently<T, F: Future<Output = Option<T>>>(what: &str, attempt: impl Fn() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(result) = attempt().await {
            return result;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(PAUSE).await;
    }
}
