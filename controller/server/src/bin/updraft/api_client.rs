//! A client of the cloud's own public API, for what `updraft up` puts into it.

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::cloud::Cloud;
use crate::error::Error;
use crate::layout::Layout;

pub struct ApiClient {
    http: Client,
    endpoint: String,
    token: String,
}

impl ApiClient {
    /// Logs in as the administrator.
    ///
    /// # Errors
    /// The password file cannot be read, or the API does not answer with a token.
    pub async fn admin(layout: &Layout, cloud: &Cloud) -> Result<Self, Error> {
        let file = layout.admin_password_file();
        let password = std::fs::read_to_string(&file).map_err(Error::path("read", &file))?;
        let user = json!({"name": "admin", "domain": {"id": "default"}, "password": password.trim()});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
        }});
        let http = cloud.client(layout)?.build();
        let http = http.map_err(Error::bad_file(&Authority::new(layout, cloud).certificate_file()))?;
        let url = format!("{}/identity/v3/auth/tokens", cloud.endpoint());
        let answer = http.post(&url).json(&body).send().await;
        let answer = answer.map_err(|source| Error::Http { method: "POST", url: url.clone(), source })?;
        let token = answer.headers().get("x-subject-token").and_then(|token| token.to_str().ok());
        match token {
            Some(token) => Ok(Self { http, endpoint: cloud.endpoint(), token: token.to_owned() }),
            None => Err(Error::Api { method: "POST", url, answer: answer.status().to_string() }),
        }
    }

    /// # Errors
    /// No answer, or one that is not 2xx with JSON.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.send(Method::GET, "GET", path, None).await
    }

    /// # Errors
    /// No answer, or one that is not 2xx with JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.send(Method::POST, "POST", path, Some(body)).await
    }

    /// # Errors
    /// No answer, or one that is not 2xx.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        self.send(Method::DELETE, "DELETE", path, None).await.map(drop)
    }

    async fn send(
        &self,
        verb: Method,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let url = format!("{}{path}", self.endpoint);
        let mut request = self.http.request(verb, &url).header("X-Auth-Token", &self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let failed = |source| Error::Http { method, url: url.clone(), source };
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        if !status.is_success() {
            let text = answer.text().await.unwrap_or_default();
            return Err(Error::Api { method, url, answer: format!("{status} {text}") });
        }
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        answer.json().await.map_err(failed)
    }
}
