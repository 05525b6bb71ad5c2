//! `Range: bytes=…` (RFC 9110, section 14): one range; of several, and of other units, the whole is sent, as
//! the RFC permits.

use axum::http::{HeaderMap, header};
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

/// The range that a request asks for, within `size_bytes`; 416 when nothing of it is there.
pub fn requested(headers: &HeaderMap, size_bytes: u64) -> Result<Option<ByteRange>, Error> {
    let value = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some((first, last)) = value.and_then(parse) else { return Ok(None) };
    let end = size_bytes.saturating_sub(1);
    let range = match (first, last) {
        (Some(first), last) => ByteRange { first, last: last.unwrap_or(end).min(end) },
        (None, suffix) => ByteRange { first: size_bytes.saturating_sub(suffix.unwrap_or(0)), last: end },
    };
    if range.first > range.last || range.first >= size_bytes {
        let message = format!("There is no such range in {size_bytes} bytes.");
        return Err(Error::new(ErrorKind::RangeNotSatisfiable, "RangeNotSatisfiable", message));
    }
    Ok(Some(range))
}

/// (first, last), or (none, length of the suffix); `None` for anything else.
fn parse(value: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| if text.is_empty() { Some(None) } else { text.trim().parse().ok().map(Some) };
    let (first, last) = (number(first.trim())?, number(last.trim())?);
    let is_ordered = first.zip(last).is_none_or(|(first, last)| first <= last);
    ((first.is_some() || last.is_some()) && is_ordered).then_some((first, last))
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
            ("bytes=9-1", Ok(None)),
            ("bytes=0-1,5-6", Ok(None)),
            ("lines=0-9", Ok(None)),
            ("bytes=-", Ok(None)),
        ] {
            assert_eq!(range(value), expected, "{value}");
        }
    }
}
