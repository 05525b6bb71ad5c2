//! `Range: bytes=…` (RFC 9110, section 14): one range. Several are refused, and so is what is no range of bytes, as the
//! image API has it (glance/common/wsgi.py). Clients of old send `Content-Range: bytes 0-9/*` instead.

use axum::http::{HeaderMap, HeaderValue, header};
use updraft_core::{Error, ErrorKind};

/// Bytes `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    pub first: u64,
    pub last: u64,
}

impl ByteRange {
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }

    /// The value of `Content-Range`.
    pub fn content_range(self, size_bytes: u64) -> String {
        format!("bytes {}-{}/{size_bytes}", self.first, self.last)
    }
}

/// The range that a request asks for, within `size_bytes`.
///
/// # Errors
/// 416 when nothing of it is there, or it is no range of bytes; 400 for several.
pub fn requested(headers: &HeaderMap, size_bytes: u64) -> Result<Option<ByteRange>, Error> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    let asked = match (text(header::RANGE), text(header::CONTENT_RANGE)) {
        (Some(value), _) if value.contains(',') => {
            let message = "Requests with multiple ranges are not supported in Glance. You may make multiple \
                           single-range requests instead.";
            return Err(Error::bad_request("Invalid", message));
        }
        (Some(value), _) => parse(value).ok_or_else(|| unsatisfiable("Invalid Range header."))?,
        (None, Some(value)) => {
            let invalid = || unsatisfiable("Invalid Content-Range header.");
            let (first, last) = parse_content_range(value, size_bytes).ok_or_else(invalid)?;
            (Some(first), Some(last))
        }
        (None, None) => return Ok(None),
    };
    let end = size_bytes.saturating_sub(1);
    let range = match asked {
        (Some(first), last) => ByteRange { first, last: last.unwrap_or(end).min(end) },
        (None, suffix) => ByteRange { first: size_bytes.saturating_sub(suffix.unwrap_or(0)), last: end },
    };
    if range.first > range.last || range.first >= size_bytes {
        return Err(unsatisfiable(format!("There is no such range in {size_bytes} bytes.")));
    }
    Ok(Some(range))
}

fn unsatisfiable(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::RangeNotSatisfiable, "RangeNotSatisfiable", message)
}

/// (first, last), or (none, length of the suffix); `None` for anything else.
fn parse(value: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| if text.is_empty() { Some(None) } else { text.trim().parse().ok().map(Some) };
    let (first, last) = (number(first.trim())?, number(last.trim())?);
    let is_ordered = first.zip(last).is_none_or(|(first, last)| first <= last);
    ((first.is_some() || last.is_some()) && is_ordered).then_some((first, last))
}

/// `bytes 0-9/100`, or `bytes 0-9/*`; `None` when it is not that, or not of data this long.
fn parse_content_range(value: &str, size_bytes: u64) -> Option<(u64, u64)> {
    let (range, length) = value.strip_prefix("bytes")?.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let is_length = length.trim() == "*" || length.trim().parse() == Ok(size_bytes);
    (is_length && first <= last && last < size_bytes).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{ByteRange, requested};

    fn range(value: &str) -> Result<Option<(u64, u64)>, ()> {
        let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_str(value).unwrap())]);
        let found = requested(&headers, 100).map_err(|_| ())?;
        Ok(found.map(|ByteRange { first, last }| (first, last)))
    }

    #[test]
    fn ranges_as_in_the_rfc() {
        for (value, expected) in [
            ("bytes=0-9", Ok(Some((0, 9)))),
            ("bytes=90-", Ok(Some((90, 99)))),
            ("bytes=90-500", Ok(Some((90, 99)))),
            ("bytes=-10", Ok(Some((90, 99)))),
            ("bytes=-500", Ok(Some((0, 99)))),
            ("bytes=100-", Err(())),
            ("bytes=-0", Err(())),
            ("bytes=9-1", Err(())),
            ("bytes=0-1,5-6", Err(())),
            ("lines=0-9", Err(())),
            ("bytes=-", Err(())),
            ("bytes=a-b", Err(())),
        ] {
            assert_eq!(range(value), expected, "{value}");
        }
        assert_eq!(requested(&HeaderMap::new(), 100).unwrap(), None);
    }

    #[test]
    fn the_header_of_old_asks_too() {
        for (value, expected) in [
            ("bytes 0-9/*", Some((0, 9))),
            ("bytes 90-99/100", Some((90, 99))),
            ("bytes 90-100/*", None),
            ("bytes 0-9/99", None),
            ("bytes 9-0/*", None),
            ("bytes */100", None),
        ] {
            let headers =
                HeaderMap::from_iter([(header::CONTENT_RANGE, HeaderValue::from_str(value).unwrap())]);
            let found = requested(&headers, 100).ok().flatten();
            assert_eq!(found.map(|ByteRange { first, last }| (first, last)), expected, "{value}");
        }
    }
}
