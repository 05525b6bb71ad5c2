//! Microversions: `OpenStack-API-Version: compute 2.x`, and Nova's own older header.

use axum::http::HeaderMap;
use updraft_core::{Error, ErrorKind};

/// A microversion such as 2.96; ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microversion {
    pub major: u16,
    pub minor: u16,
}

impl Microversion {
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// The version that a request asks for: `minimum` without a header, `maximum` for `latest`, 406 when out of
    /// range. `service` is the word before the number; `legacy` an older header that holds the number alone.
    pub fn requested(
        headers: &HeaderMap,
        service: &str,
        legacy: Option<&str>,
        range: (Self, Self),
    ) -> Result<Self, Error> {
        let (minimum, maximum) = range;
        let listed = headers.get_all("openstack-api-version").iter().filter_map(|value| value.to_str().ok());
        let current = listed.flat_map(|value| value.split(',')).find_map(|entry| {
            let (name, version) = entry.trim().split_once(' ')?;
            (name == service).then_some(version.trim())
        });
        let older = || headers.get(legacy?)?.to_str().ok();
        match current.or_else(older) {
            None => Ok(minimum),
            Some("latest") => Ok(maximum),
            Some(text) => Self::parse(text)?.within(minimum, maximum),
        }
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let parsed = text
            .split_once('.')
            .and_then(|(major, minor)| Some(Self::new(major.parse().ok()?, minor.parse().ok()?)));
        parsed.ok_or_else(|| {
            let message = format!(
                "API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."
            );
            Error::bad_request("InvalidAPIVersionString", message)
        })
    }

    fn within(self, minimum: Self, maximum: Self) -> Result<Self, Error> {
        if (minimum..=maximum).contains(&self) {
            return Ok(self);
        }
        let message = format!(
            "Version {self} is not supported by the API. Minimum is {minimum} and maximum is {maximum}."
        );
        Err(Error::new(ErrorKind::NotAcceptable, "InvalidGlobalAPIVersion", message))
    }
}

impl std::fmt::Display for Microversion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}
