//! What a nudge is on the wire.

use serde::{Deserialize, Serialize};

use crate::Topic;

/// Of what [`Wake`] is. A controller of another version drops what it does not know, and polls.
const VERSION: u32 = 1;
/// A nudge is short; what is longer is none.
pub(super) const MAX_BYTES: usize = 1024;

#[derive(Debug, Deserialize, Serialize)]
struct Wake {
    version: u32,
    /// The process that sends it.
    from: String,
    topic: String,
}

/// A nudge from `from`.
pub(super) fn write(from: &str, topic: Topic) -> String {
    serde_json::json!({"version": VERSION, "from": from, "topic": topic.as_str()}).to_string()
}

/// Who nudges whom; nothing when it is no nudge that we know.
pub(super) fn read(body: &[u8]) -> Option<(String, Topic)> {
    if body.len() > MAX_BYTES {
        return None;
    }
    let wake: Wake = serde_json::from_slice(body).ok()?;
    let topic = Topic::parse(&wake.topic)?;
    (wake.version == VERSION).then_some((wake.from, topic))
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, read, write};
    use crate::Topic;

    #[test]
    fn what_is_written_is_read() {
        for topic in Topic::ALL {
            assert_eq!(read(write("a", topic).as_bytes()), Some(("a".into(), topic)));
        }
    }

    #[test]
    fn anything_else_is_no_nudge() {
        let long = format!(r#"{{"version":1,"from":"{}","topic":"tasks"}}"#, "x".repeat(MAX_BYTES));
        let deep = "[".repeat(1000);
        for body in [
            "",
            "null",
            "{}",
            "\u{0}\u{1}",
            r#"{"version":2,"from":"a","topic":"tasks"}"#,
            r#"{"version":1,"from":"a","topic":"reboot"}"#,
            r#"{"version":"1","from":"a","topic":"tasks"}"#,
            long.as_str(),
            deep.as_str(),
        ] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
    }
}
