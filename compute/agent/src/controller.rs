//! The controller, as a host sees it: pull the plan, push what was observed, fetch an image.

use std::time::Duration;

use reqwest::{Certificate, Client, Response, StatusCode};
use updraft_base::ImageId;
use updraft_compute_api::observed::HostObserved;
use updraft_compute_api::path;
use updraft_compute_api::plan::HostPlan;

use crate::config::Credentials;

/// How long the controller may take to accept a connection, and to answer anything but a long poll.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a byte for so long, a download has failed.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The controller's end of the contract.
#[derive(Clone)]
pub struct Controller {
    client: Client,
    url: String,
    credential: String,
}

/// The credential stays out of logs.
impl std::fmt::Debug for Controller {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Controller").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why the controller was of no help.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    #[error("the controller cannot be reached: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the controller answered {status} to {path}")]
    Status { status: StatusCode, path: String },
}

impl Controller {
    /// A client of the controller at `url`. With an `authority` (PEM) no other is trusted.
    ///
    /// # Errors
    /// The HTTP client cannot be made, or the authority is no certificate.
    pub fn new(url: &str, authority: Option<&[u8]>, credential: String) -> Result<Self, ControllerError> {
        let mut builder =
            Client::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).no_proxy();
        if let Some(pem) = authority {
            builder = builder.tls_certs_only([Certificate::from_pem(pem)?]);
        }
        let client = builder.build()?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), credential })
    }

    /// Waits for a plan whose generation is not `known`; `None` when there was none in time.
    ///
    /// # Errors
    /// The controller cannot be reached, refuses, or answers what is no plan.
    pub async fn plan(&self, known: Option<u64>) -> Result<Option<HostPlan>, ControllerError> {
        let wait_s = if known.is_some() { path::MAX_WAIT_S } else { 0 };
        let mut query = format!("{}?wait_s={wait_s}", path::PLAN);
        if let Some(known) = known {
            query += &format!("&known={known}");
        }
        let request = self.client.get(format!("{}{query}", self.url)).bearer_auth(&self.credential);
        let response = request.timeout(Duration::from_secs(wait_s) + ANSWER_TIMEOUT).send().await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        Ok(Some(success(response, path::PLAN)?.json().await?))
    }

    /// Pushes what the host observes.
    ///
    /// # Errors
    /// The controller cannot be reached or refuses.
    pub async fn observed(&self, observed: &HostObserved) -> Result<(), ControllerError> {
        let request =
            self.client.put(format!("{}{}", self.url, path::OBSERVED)).bearer_auth(&self.credential);
        let response = request.timeout(ANSWER_TIMEOUT).json(observed).send().await?;
        success(response, path::OBSERVED).map(drop)
    }

    /// Has the credential replaced by another; the old one ends soon after.
    ///
    /// # Errors
    /// The controller cannot be reached or refuses.
    pub async fn rotate(&self) -> Result<Credentials, ControllerError> {
        self.ask_for_credentials(path::CREDENTIAL).await
    }

    async fn ask_for_credentials(&self, path: &str) -> Result<Credentials, ControllerError> {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.credential);
        let response = request.timeout(ANSWER_TIMEOUT).send().await?;
        let given: Given = success(response, path)?.json().await?;
        Ok(Credentials { own: given.credential, controllers: given.controller_credential })
    }

    /// Begins to download an image.
    ///
    /// # Errors
    /// The controller cannot be reached, or the image is not in the host's plan.
    pub async fn image(&self, id: ImageId) -> Result<Response, ControllerError> {
        let path = format!("{}/{id}/file", path::IMAGES);
        let response =
            self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.credential).send().await?;
        success(response, &path)
    }
}

/// What the controller hands out.
#[derive(serde::Deserialize)]
struct Given {
    credential: String,
    controller_credential: String,
}

/// Comes to the controller for this host's credential with the secret of `updraft host add`.
///
/// # Errors
/// The controller cannot be reached, or does not know the secret (any more).
pub async fn enrol(
    url: &str,
    authority: Option<&[u8]>,
    secret: String,
) -> Result<Credentials, ControllerError> {
    Controller::new(url, authority, secret)?.ask_for_credentials(path::ENROLMENT).await
}

fn success(response: Response, path: &str) -> Result<Response, ControllerError> {
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(ControllerError::Status { status, path: path.to_owned() }),
    }
}
