//! Notifications as OpenStack's services send them (oslo.messaging's message format 2.0, docs.openstack.org/oslo.messaging,
//! "Notifier"): what Ceilometer, Designate's sink and billing systems listen to.

use serde_json::{Value, json};

/// How much a notification matters; part of its routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    Info,
    Error,
}

impl Priority {
    pub const ALL: [Self; 2] = [Self::Info, Self::Error];

    /// As it stands in the message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Error => "ERROR",
        }
    }

    /// As it stands in the routing key, `<topic>.info`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Error => "error",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == text)
    }
}

/// One notification on its way. `message` is the JSON of the inner message, written once, in the transaction of what it
/// tells of: sent again, it is the same to the byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The same whenever it is sent again: consumers tell doubles by it.
    pub message_id: String,
    pub priority: Priority,
    pub message: String,
}

impl Notification {
    /// `timestamp` is `2026-01-02 03:04:05.000006`, UTC; `context` says on whose behalf (`request_id`, `project_id`, …).
    pub fn new(
        message_id: String,
        event_type: &str,
        priority: Priority,
        publisher_id: &str,
        timestamp: &str,
        payload: Value,
        context: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        let mut message = json!({
            "message_id": message_id,
            "publisher_id": publisher_id,
            "event_type": event_type,
            "priority": priority.as_str(),
            "payload": payload,
            "timestamp": timestamp,
            // As oslo.messaging's senders add it.
            "_unique_id": message_id.replace('-', ""),
        });
        for (key, value) in context {
            message[format!("_context_{key}")] = Value::String(value);
        }
        Self { message_id, priority, message: message.to_string() }
    }
}

/// The body on the wire: the inner message as a string in an envelope with its version.
pub fn envelope(message: &str) -> String {
    json!({"oslo.version": "2.0", "oslo.message": message}).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Notification, Priority, envelope};

    #[test]
    fn the_envelope_is_that_of_oslo_messaging() {
        let id = "0b8a0a4e-3c1b-4a5e-9d57-6c2e5f7a8b90";
        let payload = json!({"resource_info": "5"});
        let context = [("request_id", "req-1".to_owned())];
        let time = "2026-01-02 03:04:05.000006";
        let notification = Notification::new(
            id.into(),
            "identity.project.created",
            Priority::Info,
            "identity.a",
            time,
            payload.clone(),
            context,
        );
        let body: Value = serde_json::from_str(&envelope(&notification.message)).unwrap();
        assert_eq!(body["oslo.version"], "2.0");
        let inner: Value = serde_json::from_str(body["oslo.message"].as_str().unwrap()).unwrap();
        assert_eq!(
            inner,
            json!({
                "message_id": id, "publisher_id": "identity.a", "event_type": "identity.project.created",
                "priority": "INFO", "payload": payload, "timestamp": time,
                "_unique_id": "0b8a0a4e3c1b4a5e9d576c2e5f7a8b90", "_context_request_id": "req-1",
            })
        );
    }
}
