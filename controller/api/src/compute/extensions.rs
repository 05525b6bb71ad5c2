//! `/extensions`: what of Nova's old extensions is offered. Clients look for these aliases.

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use updraft_core::{Core, Error};

use crate::http::{Answer, Auth};

/// (alias, name)
const OFFERED: [(&str, &str); 23] = [
    ("OS-DCF", "DiskConfig"),
    ("OS-EXT-AZ", "ExtendedAvailabilityZone"),
    ("OS-EXT-IPS", "ExtendedIps"),
    ("OS-EXT-IPS-MAC", "ExtendedIpsMac"),
    ("OS-EXT-SRV-ATTR", "ExtendedServerAttributes"),
    ("OS-EXT-STS", "ExtendedStatus"),
    ("OS-FLV-DISABLED", "FlavorDisabled"),
    ("OS-FLV-EXT-DATA", "FlavorExtraData"),
    ("OS-SCH-HNT", "SchedulerHints"),
    ("OS-SRV-USG", "ServerUsage"),
    ("os-attach-interfaces", "AttachInterfaces"),
    ("os-availability-zone", "AvailabilityZone"),
    ("os-config-drive", "ConfigDrive"),
    ("os-console-output", "ConsoleOutput"),
    ("os-consoles", "Consoles"),
    ("os-flavor-access", "FlavorAccess"),
    ("os-flavor-extra-specs", "FlavorExtraSpecs"),
    ("os-hypervisors", "Hypervisors"),
    ("os-instance-actions", "InstanceActions"),
    ("os-keypairs", "Keypairs"),
    ("os-quota-sets", "Quotas"),
    ("os-services", "Services"),
    ("os-user-data", "UserData"),
];

pub(super) fn routes() -> Router<Core> {
    Router::new().route("/extensions", get(list)).route("/extensions/{alias}", get(show))
}

fn view((alias, name): (&str, &str)) -> Value {
    json!({
        "alias": alias,
        "name": name,
        "description": name,
        "links": [],
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
        "updated": "2014-12-03T00:00:00Z",
    })
}

async fn list(Auth(_caller): Auth) -> Json<Value> {
    Json(json!({"extensions": OFFERED.into_iter().map(view).collect::<Vec<Value>>()}))
}

async fn show(Auth(_caller): Auth, Path(alias): Path<String>) -> Answer<Json<Value>> {
    match OFFERED.into_iter().find(|(known, _)| *known == alias) {
        Some(extension) => Ok(Json(json!({"extension": view(extension)}))),
        None => Err(Error::not_found("ExtensionNotFound", "The resource could not be found.").into()),
    }
}
