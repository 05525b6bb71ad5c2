//! The documents below `openstack/` (Nova user guide, "Metadata": meta_data.json, network_data.json, user_data,
//! vendor data). Every version has all keys of the newest: older readers ignore what they do not know.

use serde_json::{Map, Value, json};
use updraft_base::ServerId;
use updraft_compute_api::metadata::{NicMetadata, ServerMetadata};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::metadata::documents::Documents;

/// The versions that Nova publishes.
pub const VERSIONS: [&str; 10] = [
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "latest",
];

pub(super) fn render(
    documents: &mut Documents,
    id: ServerId,
    metadata: &ServerMetadata,
    user_data: Option<&[u8]>,
    random_seed: &[u8],
) {
    let meta_data = meta_data(id, metadata, random_seed).to_string();
    let network_data = network_data(&metadata.nics).to_string();
    for version in VERSIONS {
        let mut insert = |name: &str, content: &[u8]| {
            documents.insert(format!("openstack/{version}/{name}"), content);
        };
        insert("meta_data.json", meta_data.as_bytes());
        insert("network_data.json", network_data.as_bytes());
        insert("vendor_data.json", b"{}");
        insert("vendor_data2.json", b"{}");
        if let Some(user_data) = user_data {
            insert("user_data", user_data);
        }
    }
    documents.list_as("openstack".into(), VERSIONS.join("\n"));
}

fn meta_data(id: ServerId, metadata: &ServerMetadata, random_seed: &[u8]) -> Value {
    let keys: Vec<Value> = metadata
        .public_keys
        .iter()
        .map(|(name, key)| json!({"name": name, "type": "ssh", "data": key}))
        .collect();
    let mut document = json!({
        "uuid": id,
        "name": metadata.name,
        "hostname": metadata.hostname,
        "launch_index": 0,
        "availability_zone": metadata.availability_zone,
        "project_id": metadata.project_id,
        "random_seed": BASE64_STANDARD.encode(random_seed),
        "devices": [],
        "dedicated_cpus": [],
    });
    let Value::Object(fields) = &mut document else { return document };
    insert_unless_empty(fields, "meta", &json!(metadata.meta));
    insert_unless_empty(fields, "public_keys", &json!(metadata.public_keys));
    insert_unless_empty(fields, "keys", &json!(keys));
    if let Some(password) = &metadata.admin_password {
        fields.insert("admin_pass".into(), json!(password));
    }
    document
}

fn insert_unless_empty(fields: &mut Map<String, Value>, key: &str, value: &Value) {
    let empty = value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
    if !empty {
        fields.insert(key.into(), value.clone());
    }
}

fn network_data(nics: &[NicMetadata]) -> Value {
    let mut links = Vec::new();
    let mut networks = Vec::new();
    let mut services: Vec<Value> = Vec::new();
    for nic in nics {
        let link = format!("tap{}", &nic.port_id.to_string()[..11]);
        links.push(json!({
            "id": link,
            "vif_id": nic.port_id,
            "type": "vhostuser",
            "mtu": nic.mtu,
            "ethernet_mac_address": nic.mac,
        }));
        for address in &nic.addresses {
            let is_ipv6 = address.address.contains(':');
            let any = if is_ipv6 { "::" } else { "0.0.0.0" };
            let routes: Vec<Value> = address
                .gateway
                .iter()
                .map(|gateway| json!({"network": any, "netmask": any, "gateway": gateway}))
                .collect();
            let dns: Vec<Value> =
                address.dns_servers.iter().map(|server| json!({"type": "dns", "address": server})).collect();
            for service in &dns {
                if !services.contains(service) {
                    services.push(service.clone());
                }
            }
            networks.push(json!({
                "id": format!("network{}", networks.len()),
                "link": link,
                "type": if is_ipv6 { "ipv6" } else { "ipv4" },
                "network_id": nic.network_id,
                "ip_address": address.address,
                "netmask": address.netmask,
                "routes": routes,
                "services": dns,
            }));
        }
    }
    json!({"links": links, "networks": networks, "services": services})
}
