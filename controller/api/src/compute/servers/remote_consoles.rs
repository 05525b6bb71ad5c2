//! `POST /servers/{id}/remote-consoles`, from 2.6 on

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};
use updraft_core::Error;
use updraft_core::compute::console::{self, ConsoleKind};
use updraft_wire::compute::Field;
use updraft_wire::compute::rules;
use updraft_wire::compute::server::RemoteConsole;

use crate::compute::query::escape;
use crate::compute::version::Version;
use crate::http::{Answer, Body, Call};

const SINCE: u16 = 6;
const REQUEST: &[Field] = &[Field::always("protocol"), Field::always("type")];

pub(super) async fn create(
    call: Call,
    version: Version,
    Path(id): Path<String>,
    Body(mut body): Body<Value>,
) -> Answer<Json<Value>> {
    let version = version.since(SINCE)?;
    let request: RemoteConsole =
        rules::read(&mut body, "remote_console", REQUEST, version).map_err(Error::from)?;
    let fits =
        matches!((request.protocol.as_str(), request.kind.as_str()), ("vnc", "novnc") | ("serial", "serial"));
    if !fits {
        return Err(unavailable(&request.kind).into());
    }
    let url = url(&call, &id, &request.kind).await?;
    Ok(Json(json!({"remote_console": {"protocol": request.protocol, "type": request.kind, "url": url}})))
}

fn unavailable(kind: &str) -> Error {
    let kind: String = kind.chars().take(64).collect();
    Error::bad_request("ConsoleTypeUnavailable", format!("Unavailable console type {kind}."))
}

/// Where the console of this type is for the next minute, once.
pub(super) async fn url(call: &Call, id: &str, kind: &str) -> Result<String, Error> {
    let has_page = call.core.config.novnc_directory.is_some();
    let console_kind = match kind {
        "novnc" if has_page => ConsoleKind::Vnc,
        "serial" => ConsoleKind::Serial,
        _ => return Err(unavailable(kind)),
    };
    let ticket = console::ticket(&call.core, &call.caller, id, console_kind).await?;
    let endpoint = &call.endpoint;
    Ok(match console_kind {
        ConsoleKind::Vnc => {
            // noVNC makes the WebSocket's address of its page's host and this path.
            let prefix =
                endpoint.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
            let prefix = prefix.map(|path| format!("{path}/")).unwrap_or_default();
            let path = escape(&format!("{prefix}console/vnc?token={ticket}"));
            format!("{endpoint}/console/vnc.html?autoconnect=true&resize=scale&path={path}")
        }
        ConsoleKind::Serial => {
            format!("{}/console/serial?token={ticket}", endpoint.replacen("http", "ws", 1))
        }
    })
}
