//! `updraft why ID`: who asked for what, which steps ran and for how long, and what went wrong.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::Value;

use crate::api_client::ApiClient;
use crate::cloud::Cloud;
use crate::error::Error;
use crate::layout::Layout;
use crate::ops::{plain, seconds, took};

#[derive(clap::Args)]
pub struct Options {
    /// Of a server, a task, a request (`req-…`), or of anything that a request named or made.
    id: String,
    /// As the API answers.
    #[arg(long)]
    json: bool,
}

/// Prints the story.
///
/// # Errors
/// No cloud, its controller does not answer, or nothing is known of the id.
pub async fn run(layout: &Layout, options: &Options) -> Result<ExitCode, Error> {
    let cloud = Cloud::load(layout)?;
    let id = plain(&options.id)?;
    let api = ApiClient::admin(layout, &cloud).await?;
    let story = api.get(&format!("/host/v1/why/{id}")).await?;
    if options.json {
        println!("{story:#}");
    } else {
        print!("{}", told(&story));
    }
    Ok(ExitCode::SUCCESS)
}

fn told(story: &Value) -> String {
    let mut text = String::new();
    if let Some(server) = story["server"].as_object() {
        let field = |name: &str| server.get(name).and_then(Value::as_str).unwrap_or("-");
        let _ =
            writeln!(text, "server {} '{}' of project {}", field("id"), field("name"), field("project_id"));
        let _ = writeln!(text, "  is {} on host {}", field("status"), field("host"));
        line(&mut text, "  under way", &server["task_state"]);
        line(&mut text, "  the tenant reads", &server["fault"]);
        line(&mut text, "  its host reports", &server["observed"]);
        for problem in server["host_problems"].as_array().into_iter().flatten() {
            line(&mut text, "  its host's problem", problem);
        }
    }
    for request in story["requests"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "\n{}", request["request_id"].as_str().unwrap_or_default());
        for event in request["audit"].as_array().into_iter().flatten() {
            tell_event(&mut text, event);
        }
        for op in request["ops"].as_array().into_iter().flatten() {
            tell_op(&mut text, op);
        }
    }
    text
}

fn line(text: &mut String, name: &str, value: &Value) {
    let _ = match value {
        Value::Null => Ok(()),
        Value::String(value) => writeln!(text, "{name}: {value}"),
        other => writeln!(text, "{name}: {other}"),
    };
}

/// Who asked, and how it was answered.
fn tell_event(text: &mut String, event: &Value) {
    let at = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let who = at("/initiator/name").or_else(|| at("/initiator/id")).unwrap_or("-");
    let from = at("/initiator/host/address").map(|address| format!(" from {address}")).unwrap_or_default();
    let time = seconds(at("/eventTime").unwrap_or_default());
    let (action, path) = (at("/action").unwrap_or("-"), at("/requestPath").unwrap_or_default());
    let outcome = at("/outcome").unwrap_or_default();
    let code = at("/reason/reasonCode").map(|code| format!(" {code}")).unwrap_or_default();
    let _ = writeln!(text, "  {time}  {who}{from}: {action} {path}: {outcome}{code}");
    for attached in event["attachments"].as_array().into_iter().flatten() {
        match attached["name"].as_str() {
            Some("message") => line(text, "    answered", &attached["content"]),
            Some("cause") => line(text, "    because", &attached["content"]),
            _ => {}
        }
    }
}

/// What it set in motion.
fn tell_op(text: &mut String, op: &Value) {
    let field = |name: &str| op[name].as_str().unwrap_or_default();
    let took_all = took(op["took_ms"].as_i64());
    let _ = writeln!(text, "  {} {}: {} ({took_all})", field("kind"), field("subject_id"), field("state"));
    line(text, "    the tenant reads", &op["message"]);
    for step in op["steps"].as_array().into_iter().flatten() {
        let result = match step["succeeded"].as_bool() {
            Some(true) => "ok",
            Some(false) => "FAILED",
            None => "...",
        };
        let name = step["name"].as_str().unwrap_or_default();
        let host = step["host"].as_str().map(|host| format!("  on {host}")).unwrap_or_default();
        let took = took(step["took_ms"].as_i64());
        let _ = writeln!(text, "    {name:<28} {result:<7} {took:>9}{host}");
        line(text, "      because", &step["message"]);
        line(text, "      for operators", &step["cause"]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::told;

    #[test]
    fn a_story_names_who_asked_what_ran_and_what_failed() {
        let story = json!({
            "id": "s1",
            "server": {"id": "s1", "name": "web", "project_id": "p1", "status": "ERROR", "task_state": null, "host": null,
                "fault": "No valid host was found.", "observed": null, "host_problems": []},
            "requests": [{
                "request_id": "req-1",
                "audit": [{"eventTime": "2026-01-02T03:04:05.000006+0000", "action": "create", "outcome": "success",
                    "requestPath": "/compute/v2.1/servers", "initiator": {"id": "u1", "name": "alice", "host": {"address": "192.0.2.7"}}}],
                "ops": [{"kind": "server create", "subject_id": "s1", "state": "failed", "took_ms": 21_000,
                    "message": "No valid host was found.",
                    "steps": [{"name": "compute_place_instance", "succeeded": false, "took_ms": 20_500, "host": null,
                        "message": "No valid host was found.", "cause": "node-1: too little memory"}]}],
            }],
        });
        let text = told(&story);
        for part in [
            "server s1 'web' of project p1",
            "is ERROR",
            "req-1",
            "2026-01-02T03:04:05Z  alice from 192.0.2.7: create /compute/v2.1/servers: success",
            "server create s1: failed (21.0 s)",
            "compute_place_instance       FAILED     20.5 s",
            "for operators: node-1: too little memory",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
    }
}
