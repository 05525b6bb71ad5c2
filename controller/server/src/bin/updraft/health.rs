//! Whether a daemon answers, asked of the daemon itself.

use std::time::Duration;

use updraft_compute_api::inventory::HostInventory;
use updraft_compute_api::path;
use updraft_dataplane_api::net::{NetRequest, NetResponse, NetStatus};
use updraft_dataplane_api::socket;

use crate::cloud::Cloud;
use crate::layout::Layout;

/// How long a health question may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// `Ok` when `process` answers; the reason in plain words otherwise.
pub async fn check(process: &str, layout: &Layout, cloud: &Cloud) -> Result<(), String> {
    match process {
        "controller" => {
            let client = cloud.client(layout).map_err(|error| error.to_string())?;
            http(client, &format!("{}/healthz", cloud.endpoint())).await
        }
        "agent" => {
            let client = cloud.client(layout).map_err(|error| error.to_string())?;
            http(client, &format!("{}/healthz", cloud.agent_endpoint())).await
        }
        _ => netd(layout).await.map(drop),
    }
}

/// What netd reports.
pub async fn netd(layout: &Layout) -> Result<NetStatus, String> {
    let path = layout.netd_socket();
    let answer =
        tokio::task::spawn_blocking(move || socket::call(&path, &NetRequest::Status, ANSWER_WITHIN)).await;
    match answer {
        Ok(Ok(NetResponse::Status { status })) => Ok(status),
        Ok(Ok(other)) => Err(format!("answered {other:?} to a status request")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// What the agent finds on its host.
pub async fn inventory(layout: &Layout, cloud: &Cloud) -> Result<HostInventory, String> {
    let credential =
        std::fs::read_to_string(layout.host_credential_file()).map_err(|error| error.to_string())?;
    let client = cloud.client(layout).map_err(|error| error.to_string())?;
    let client = client.timeout(ANSWER_WITHIN).build().map_err(|error| error.to_string())?;
    let url = format!("{}{}", cloud.agent_endpoint(), path::INVENTORY);
    let answer =
        client.get(url).bearer_auth(credential.trim()).send().await.map_err(|error| error.to_string())?;
    let answer = answer.error_for_status().map_err(|error| error.to_string())?;
    answer.json().await.map_err(|error| error.to_string())
}

async fn http(client: reqwest::ClientBuilder, url: &str) -> Result<(), String> {
    let client = client.timeout(ANSWER_WITHIN).build().map_err(|e| e.to_string())?;
    let answer =
        client.get(url).send().await.map_err(|error| {
            if error.is_connect() { "does not listen".to_owned() } else { error.to_string() }
        })?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("answers {}", answer.status())) }
}
