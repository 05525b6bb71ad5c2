//! The actions on a server (API reference, "Servers actions" under "Server instance actions").

use serde_json::{Value, json};

use super::Microversion;
use super::rules::{self, Field};

const ACTION: &[Field] = &[
    Field::always("action"),
    Field::always("instance_uuid"),
    Field::always("message"),
    Field::always("project_id"),
    Field::always("request_id"),
    Field::always("start_time"),
    Field::always("user_id"),
    Field::since("updated_at", 58),
];

const EVENT: &[Field] = &[
    Field::always("event"),
    Field::always("finish_time"),
    Field::always("result"),
    Field::always("start_time"),
    Field::always("traceback").for_admin(),
    Field::since("hostId", 62),
    Field::since("host", 62).for_admin(),
    Field::since("details", 84),
];

/// From 2.51 on a server's owner sees the events too.
pub const EVENTS_FOR_ALL_SINCE: u16 = 51;

/// One action.
#[derive(Clone, Debug)]
pub struct ActionView {
    pub action: &'static str,
    pub server_id: String,
    pub message: Option<&'static str>,
    pub project_id: String,
    pub user_id: String,
    pub request_id: String,
    /// With microseconds and without a zone.
    pub start_time: String,
    pub updated_at: String,
}

/// One event of an action.
#[derive(Clone, Debug)]
pub struct EventView {
    pub event: &'static str,
    pub start_time: String,
    pub finish_time: Option<String>,
    /// `Success`, `Error`, or nothing while it lasts.
    pub result: Option<&'static str>,
    pub details: Option<String>,
    pub host: Option<String>,
    pub host_id: String,
}

impl ActionView {
    pub fn render(&self, version: Microversion) -> Value {
        let mut value = json!({
            "action": self.action,
            "instance_uuid": self.server_id,
            "message": self.message,
            "project_id": self.project_id,
            "request_id": self.request_id,
            "start_time": self.start_time,
            "user_id": self.user_id,
            "updated_at": self.updated_at,
        });
        if let Some(object) = value.as_object_mut() {
            rules::keep(object, ACTION, version, false);
        }
        value
    }

    /// `GET …/os-instance-actions/{request_id}`.
    pub fn with_events(&self, events: &[EventView], version: Microversion, admin: bool) -> Value {
        let mut value = self.render(version);
        if admin || version.at_least(EVENTS_FOR_ALL_SINCE) {
            value["events"] = events.iter().map(|event| event.render(version, admin)).collect();
        }
        json!({ "instanceAction": value })
    }
}

impl EventView {
    fn render(&self, version: Microversion, admin: bool) -> Value {
        let mut value = json!({
            "event": self.event,
            "start_time": self.start_time,
            "finish_time": self.finish_time,
            "result": self.result,
            "traceback": null,
            "details": self.details,
            "host": self.host,
            "hostId": self.host_id,
        });
        if let Some(object) = value.as_object_mut() {
            rules::keep(object, EVENT, version, admin);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::{ActionView, EventView};
    use crate::compute::Microversion;

    #[test]
    fn events_open_up_with_the_microversion() {
        let action = ActionView {
            action: "create",
            server_id: "s".into(),
            message: None,
            project_id: "p".into(),
            user_id: "u".into(),
            request_id: "req-1".into(),
            start_time: "t".into(),
            updated_at: "t".into(),
        };
        let event = EventView {
            event: "compute_build_instance",
            start_time: "t".into(),
            finish_time: None,
            result: None,
            details: None,
            host: Some("node-1".into()),
            host_id: "h".into(),
        };
        let show =
            |minor, admin| action.with_events(std::slice::from_ref(&event), Microversion(minor), admin);
        assert!(show(50, false)["instanceAction"].get("events").is_none());
        for (minor, admin, keys) in
            [(1, true, 5), (51, false, 4), (62, false, 5), (62, true, 7), (84, false, 6), (84, true, 8)]
        {
            let events = show(minor, admin)["instanceAction"]["events"].clone();
            assert_eq!(events[0].as_object().unwrap().len(), keys, "2.{minor} admin {admin}");
        }
    }
}
