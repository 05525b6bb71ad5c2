//! Points in time: one representation inside, three spellings outside.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The present, from the system's clock. Use cases take `core.clock.now()` instead.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
    }

    /// This point plus `duration`.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This point less `duration`.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Keystone's spelling, `2026-01-02T03:04:05.000006Z`.
    pub fn micros_z(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S%.6fZ")
    }

    /// Nova's, Glance's and Neutron's spelling, `2026-01-02T03:04:05Z`.
    pub fn seconds_z(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%SZ")
    }

    /// Nova's and Cinder's spelling without a zone, `2026-01-02T03:04:05.000006`.
    pub fn micros_bare(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S%.6f")
    }

    /// Parses any ISO 8601 time with a zone; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|time| Self(time.as_microsecond()))
    }

    /// Parses the date of an HTTP or mail header (RFC 9110, RFC 2822); `None` when it is not one.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let parsed = jiff::fmt::rfc2822::parse(text).ok()?;
        Some(Self(parsed.timestamp().as_microsecond()))
    }

    fn format(self, pattern: &str) -> String {
        jiff::Timestamp::from_microsecond(self.0)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .strftime(pattern)
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn spellings() {
        let time = Timestamp(1_767_322_896_000_005);
        assert_eq!(time.micros_z(), "2026-01-02T03:01:36.000005Z");
        assert_eq!(time.seconds_z(), "2026-01-02T03:01:36Z");
        assert_eq!(time.micros_bare(), "2026-01-02T03:01:36.000005");
        assert_eq!(Timestamp::parse(&time.micros_z()), Some(time));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
