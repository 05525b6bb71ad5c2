//! What a new cloud has from the start: the external network `public` and the customary flavors. Made through the
//! public API; what exists is left alone.

use serde_json::{Value, json};

use crate::api_client::ApiClient;
use crate::cloud::Cloud;
use crate::error::Error;
use crate::layout::Layout;

/// Name, memory in MiB, root disk in GiB, virtual CPUs.
const FLAVORS: [(&str, u32, u32, u32); 6] = [
    ("m1.nano", 128, 1, 1),
    ("m1.tiny", 512, 1, 1),
    ("m1.small", 2048, 20, 1),
    ("m1.medium", 4096, 40, 2),
    ("m1.large", 8192, 80, 4),
    ("m1.xlarge", 16384, 160, 8),
];

const NETWORK: &str = "public";

pub async fn run(layout: &Layout, cloud: &Cloud) -> Result<(), Error> {
    let api = ApiClient::admin(layout, cloud).await?;
    ensure_external_network(&api, cloud).await?;
    ensure_flavors(&api).await
}

async fn ensure_external_network(api: &ApiClient, cloud: &Cloud) -> Result<(), Error> {
    let found = api.get(&format!("/network/v2.0/networks?name={NETWORK}")).await?;
    let network = match found["networks"].get(0) {
        Some(network) => network.clone(),
        None => create_network(api).await?,
    };
    if network["subnets"].as_array().is_some_and(|subnets| !subnets.is_empty()) {
        return Ok(());
    }
    let subnet = json!({"subnet": {
        "name": format!("{NETWORK}-subnet"),
        "network_id": network["id"],
        "ip_version": 4,
        "cidr": cloud.external_cidr,
        "gateway_ip": cloud.external_gateway(),
        "enable_dhcp": false,
    }});
    api.post("/network/v2.0/subnets", &subnet).await.map(drop)
}

async fn create_network(api: &ApiClient) -> Result<Value, Error> {
    let network = json!({"network": {
        "name": NETWORK,
        "router:external": true,
        "provider:network_type": "flat",
        "provider:physical_network": "external",
    }});
    Ok(api.post("/network/v2.0/networks", &network).await?["network"].clone())
}

async fn ensure_flavors(api: &ApiClient) -> Result<(), Error> {
    let found = api.get("/compute/v2.1/flavors").await?;
    let known: Vec<&str> = found["flavors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|flavor| flavor["name"].as_str())
        .collect();
    for (name, ram, disk, vcpus) in FLAVORS {
        if !known.contains(&name) {
            let flavor = json!({"flavor": {"name": name, "ram": ram, "disk": disk, "vcpus": vcpus}});
            api.post("/compute/v2.1/flavors", &flavor).await?;
        }
    }
    Ok(())
}
