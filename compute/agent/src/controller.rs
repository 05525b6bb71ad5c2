//! The controller, as a host sees it: pull the plan, push what was observed, fetch an image.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use updraft_base::ImageId;
use updraft_compute_api::observed::HostObserved;
use updraft_compute_api::path;
use updraft_compute_api::plan::HostPlan;

/// How long the controller may take to accept a connection, and to answer anything but a long poll.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a byte for so long, a download has failed.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The controller's end of the contract.
#[derive(Clone, Debug)]
pub struct Controller {
    client: Client,
    url: String,
    credential: String,
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
    /// A client of the controller at `url`.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(url: &str, credential: String) -> Result<Self, ControllerError> {
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .no_proxy()
            .build()?;
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

fn success(response: Response, path: &str) -> Result<Response, ControllerError> {
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(ControllerError::Status { status, path: path.to_owned() }),
    }
}
