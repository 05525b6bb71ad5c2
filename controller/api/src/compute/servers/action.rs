//! `POST /servers/{id}/action`: one key says which.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use updraft_core::compute::{console, server_action};
use updraft_core::{Error, ErrorKind};
use updraft_model::compute::VmState;
use updraft_wire::compute::server::{
    ConsoleOutput, LegacyConsole, LockRequest, NamedGroup, Reboot, ResetState, console_length,
};

use super::remote_consoles;
use crate::compute::version::Version;
use crate::http::{Answer, Body, Call};
use crate::routes::SchemaOf;

/// Nova's actions that Updraft does not offer.
const NOT_OFFERED: [&str; 31] = [
    "addFixedIp",
    "addFloatingIp",
    "changePassword",
    "confirmResize",
    "createBackup",
    "createImage",
    "evacuate",
    "forceDelete",
    "injectNetworkInfo",
    "migrate",
    "os-getRDPConsole",
    "os-getSPICEConsole",
    "os-migrateLive",
    "os-resetNetwork",
    "pause",
    "rebuild",
    "removeFixedIp",
    "removeFloatingIp",
    "rescue",
    "resetNetwork",
    "resize",
    "restore",
    "resume",
    "revertResize",
    "shelve",
    "shelveOffload",
    "suspend",
    "trigger_crash_dump",
    "unpause",
    "unrescue",
    "unshelve",
];

/// From 2.73 on a lock has a reason.
const LOCK_REASON_SINCE: u16 = 73;
/// From 2.6 on consoles are made by `remote-consoles`.
const LAST_LEGACY_CONSOLE: u16 = 5;

/// What [`action`] takes: one of the actions that are offered, with what it is told.
pub(super) fn body() -> SchemaOf {
    SchemaOf::json(json!({
        "type": "object",
        "properties": {
            "os-start": {},
            "os-stop": {},
            "reboot": {"type": "object", "properties": {"type": {"enum": ["HARD", "SOFT"]}}, "required": ["type"]},
            "addSecurityGroup": {"type": "object", "required": ["name"]},
            "removeSecurityGroup": {"type": "object", "required": ["name"]},
            "os-resetState": {"type": "object", "required": ["state"]},
            "lock": {"type": ["object", "null"]},
            "unlock": {},
            "os-getConsoleOutput": {"type": "object"},
            "os-getVNCConsole": {"type": "object", "required": ["type"]},
            "os-getSerialConsole": {"type": "object", "required": ["type"]},
        },
        "minProperties": 1,
        "maxProperties": 1,
    }))
}

pub(super) async fn action(
    call: Call,
    version: Version,
    Path(id): Path<String>,
    Body(body): Body<Value>,
) -> Answer<Response> {
    let (name, argument) = single(body)?;
    updraft_core::audit::refine(&name);
    let (core, caller) = (&call.core, &call.caller);
    match name.as_str() {
        "os-start" => server_action::start(core, caller, &id).await?,
        "os-stop" => server_action::stop(core, caller, &id).await?,
        "reboot" => {
            let reboot: Reboot = read(&name, argument)?;
            server_action::reboot(core, caller, &id, is_hard(&reboot)?).await?;
        }
        "addSecurityGroup" | "removeSecurityGroup" => {
            let group: NamedGroup = read(&name, argument)?;
            if group.name.trim().is_empty() {
                return Err(Error::bad_request("BadRequest", "Security group name cannot be empty").into());
            }
            let member = name == "addSecurityGroup";
            server_action::set_security_group(core, caller, &id, &group.name, member).await?;
        }
        "os-resetState" => {
            let reset: ResetState = read(&name, argument)?;
            server_action::reset_state(core, caller, &id, reset_target(&reset)?).await?;
        }
        "lock" => {
            let reason = lock_reason(version, &name, argument)?;
            server_action::lock(core, caller, &id, reason).await?;
        }
        "unlock" => server_action::unlock(core, caller, &id).await?,
        "os-getConsoleOutput" => return console_output(&call, &id, read(&name, argument)?).await,
        "os-getVNCConsole" | "os-getSerialConsole" => {
            version.until(LAST_LEGACY_CONSOLE)?;
            let request: LegacyConsole = read(&name, argument)?;
            if !legacy_fits(&name, &request.kind) {
                return Err(invalid_kind().into());
            }
            let url = remote_consoles::url(&call, &id, &request.kind).await?;
            return Ok(Json(json!({"console": {"type": request.kind, "url": url}})).into_response());
        }
        other => return Err(unknown(other).into()),
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

/// The one key of the body and what it holds.
fn single(body: Value) -> Result<(String, Value), Error> {
    let members = match body {
        Value::Object(members) if members.len() == 1 => members.into_iter().next(),
        _ => None,
    };
    members.ok_or_else(|| Error::bad_request("BadRequest", "Malformed request body: one action is expected"))
}

fn read<T: DeserializeOwned>(name: &str, argument: Value) -> Result<T, Error> {
    serde_json::from_value(argument).map_err(|error| {
        Error::bad_request("ValidationError", format!("Invalid input for field/attribute {name}. {error}"))
    })
}

/// Each of the older actions has its own kinds of consoles.
fn legacy_fits(action: &str, kind: &str) -> bool {
    match action {
        "os-getSerialConsole" => kind == "serial",
        _ => ["novnc", "xvpvnc"].contains(&kind),
    }
}

fn invalid_kind() -> Error {
    Error::bad_request(
        "ValidationError",
        "Invalid input for field/attribute type. It is not one of its kinds",
    )
}

fn is_hard(reboot: &Reboot) -> Result<bool, Error> {
    match reboot.kind.as_str() {
        "HARD" | "Hard" | "hard" => Ok(true),
        "SOFT" | "Soft" | "soft" => Ok(false),
        _ => Err(Error::bad_request(
            "ValidationError",
            "Invalid input for field/attribute type. HARD or SOFT is expected",
        )),
    }
}

fn reset_target(reset: &ResetState) -> Result<VmState, Error> {
    match reset.state.as_str() {
        "active" => Ok(VmState::Active),
        "error" => Ok(VmState::Error),
        _ => Err(Error::bad_request(
            "ValidationError",
            "Invalid input for field/attribute state. active or error is expected",
        )),
    }
}

fn lock_reason(version: Version, name: &str, argument: Value) -> Result<Option<String>, Error> {
    const LONGEST: usize = 255;
    if argument.is_null() || !version.0.at_least(LOCK_REASON_SINCE) {
        return Ok(None);
    }
    if argument.get("locked_reason").is_some_and(Value::is_null) {
        return Err(Error::bad_request(
            "ValidationError",
            "Invalid input for field/attribute locked_reason.",
        ));
    }
    let request: LockRequest = read(name, argument)?;
    match request.locked_reason {
        Some(reason) if reason.is_empty() || reason.chars().count() > LONGEST => {
            Err(Error::bad_request("ValidationError", "Invalid input for field/attribute locked_reason."))
        }
        reason => Ok(reason),
    }
}

async fn console_output(call: &Call, id: &str, request: ConsoleOutput) -> Answer<Response> {
    let lines = console_length(&request).map_err(Error::from)?;
    let output = console::log(&call.core, &call.caller, id, lines).await?;
    Ok(Json(json!({ "output": output })).into_response())
}

fn unknown(name: &str) -> Error {
    if NOT_OFFERED.contains(&name) {
        let message = format!("The action '{name}' is not offered by this cloud.");
        return Error::new(ErrorKind::NotImplemented, "NotImplemented", message);
    }
    let name: String = name.chars().take(64).collect();
    Error::bad_request("BadRequest", format!("There is no such action: {name}"))
}
