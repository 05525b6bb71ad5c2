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
            name.eq_ignore_ascii_case(service).then_some(version.trim())
        });
        let older = || headers.get(legacy?)?.to_str().ok();
        match current.or_else(older) {
            None => Ok(minimum),
            Some("latest") => Ok(maximum),
            Some(text) => Self::parse(text)?.within(minimum, maximum),
        }
    }

    fn parse(text: &str) -> Result<Self, Error> {
        // Without a sign and without leading zeros; one that cannot be held is beyond all that there are.
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            (plain && (digits == "0" || !digits.starts_with('0'))).then(|| digits.parse().unwrap_or(u16::MAX))
        };
        let parsed =
            text.split_once('.').and_then(|(major, minor)| Some(Self::new(number(major)?, number(minor)?)));
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

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};
    use updraft_core::ErrorKind;

    use super::Microversion;

    #[test]
    fn a_version_is_two_plain_numbers() {
        let ask = |header: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("openstack-api-version", HeaderValue::from_static(header));
            let range = (Microversion::new(2, 1), Microversion::new(2, 96));
            Microversion::requested(&headers, "compute", None, range).map_err(|error| error.kind)
        };
        assert_eq!(ask("volume 3.5, Compute 2.30"), Ok(Microversion::new(2, 30)));
        assert_eq!(ask("compute latest"), Ok(Microversion::new(2, 96)));
        for bad in ["compute 2.01", "compute 2.+1", "compute 2", "compute 2.1.1", "compute 2.x", "compute 2."]
        {
            assert_eq!(ask(bad), Err(ErrorKind::BadRequest), "{bad}");
        }
        for beyond in ["compute 2.0", "compute 2.97", "compute 2.99999999999", "compute 3.0"] {
            assert_eq!(ask(beyond), Err(ErrorKind::NotAcceptable), "{beyond}");
        }
    }
}
