//! Signatures of requests as Amazon's clients make them: version 2 (query strings and S3's own) and version 4
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>). Versions 0 and 1 leave most of a
//! request unsigned and are refused.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use updraft_model::Timestamp;

/// How far the time of a signature may be from ours: what is older could be somebody's recording (CVE-2020-12692).
pub const MAX_SKEW: Duration = Duration::from_secs(15 * 60);

const V4: &str = "AWS4-HMAC-SHA256";
/// Services that S3's front door signs for.
const S3_SERVICES: [&str; 3] = ["s3", "iam", "sts"];
const URL_SAFE_ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A request as a front door tells of it.
#[derive(Clone, Default)]
pub struct SignedRequest {
    pub access: Option<String>,
    pub signature: String,
    pub verb: String,
    pub host: String,
    pub path: String,
    /// The query string's.
    pub params: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    /// SHA-256 of the body in hexadecimal digits.
    pub body_hash: String,
    /// The text that was signed, in URL-safe base64; S3's front door sends this instead of the request.
    pub token: String,
}

impl SignedRequest {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }
}

/// Whether the signature of a request to EC2's API holds, and its time is near.
pub(super) fn holds(request: &SignedRequest, secret: &str, now: Timestamp) -> bool {
    // Some clients sign the host without its port.
    let without_port = request.host.rsplit_once(':').map(|(host, _)| host);
    let hosts = [Some(request.host.as_str()), without_port];
    if request.param("SignatureVersion") == Some("2") {
        let is_current = match request.param("Timestamp") {
            Some(time) => is_near(parse_time(time), now),
            None => request.param("Expires").and_then(parse_time).is_some_and(|end| now < end),
        };
        let fits = |host| same(&version_2(request, host, secret), &request.signature);
        return is_current && hosts.into_iter().flatten().any(fits);
    }
    version_4(request, secret, now).is_some_and(|signature| same(&signature, &request.signature))
}

/// Whether the signature over S3's text holds, and the time in that text is near.
pub(super) fn holds_for_s3(request: &SignedRequest, secret: &str, now: Timestamp) -> bool {
    let Ok(signed) = URL_SAFE_ANY_PADDING.decode(&request.token) else { return false };
    let Ok(signed) = String::from_utf8(signed) else { return false };
    if !signed.starts_with("AWS4") {
        let signature = STANDARD.encode(hmac_sha1(secret.as_bytes(), signed.as_bytes()));
        return s3_v2_is_current(&signed, now) && same(&signature, &request.signature);
    }
    let lines: Vec<&str> = signed.split('\n').collect();
    let [V4, time, scope, _hash] = lines.as_slice() else { return false };
    let scope: Vec<&str> = scope.split('/').collect();
    let [date, region, service, "aws4_request"] = scope.as_slice() else { return false };
    if !S3_SERVICES.contains(service) || !time.starts_with(date) || !is_near(parse_time(time), now) {
        return false;
    }
    same(&hex(&hmac_sha256(&key_4(secret, date, region, service), signed.as_bytes())), &request.signature)
}

/// The fourth line is a date, an end as seconds since the epoch, or empty with `x-amz-date` among the headers that
/// follow (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html>).
fn s3_v2_is_current(signed: &str, now: Timestamp) -> bool {
    let mut lines = signed.split('\n').skip(3);
    let date = lines.next().unwrap_or_default().trim();
    if let Ok(seconds) = date.parse::<i64>() {
        return now.0 < seconds.saturating_mul(1_000_000);
    }
    let date = match date {
        "" => lines.find_map(|line| line.strip_prefix("x-amz-date:")).unwrap_or_default().trim(),
        date => date,
    };
    is_near(Timestamp::parse_http_date(date).or_else(|| parse_time(date)), now)
}

fn is_near(time: Option<Timestamp>, now: Timestamp) -> bool {
    time.is_some_and(|time| now.minus(MAX_SKEW) <= time && time <= now.plus(MAX_SKEW))
}

/// ISO 8601 in its long or its short form; UTC where no zone is named.
fn parse_time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}Z")))
}

fn version_2(request: &SignedRequest, host: &str, secret: &str) -> String {
    let mut params = request.params.clone();
    params.insert("SignatureMethod".into(), "HmacSHA256".into());
    let signed = format!("{}\n{host}\n{}\n{}", request.verb, request.path, canonical_query(&params));
    STANDARD.encode(hmac_sha256(secret.as_bytes(), signed.as_bytes()))
}

/// `None` when the request does not say what version 4 needs, or its time is not near.
fn version_4(request: &SignedRequest, secret: &str, now: Timestamp) -> Option<String> {
    let in_header = request.header("Authorization").filter(|value| value.starts_with(V4));
    if in_header.is_none() && request.param("X-Amz-Algorithm") != Some(V4) {
        return None;
    }
    let part = |name: &str| match in_header {
        Some(header) => header.split_once(&format!("{name}="))?.1.split(',').next().map(str::trim),
        None => request.param(&format!("X-Amz-{name}")),
    };
    let (credential, signed_headers) = (part("Credential")?, part("SignedHeaders")?);
    let time = request.header("X-Amz-Date").or_else(|| request.param("X-Amz-Date"))?;
    let scope = credential.split_once('/')?.1;
    let parts: Vec<&str> = scope.split('/').collect();
    let [date, region, service, "aws4_request"] = parts.as_slice() else { return None };
    if !time.starts_with(date) || !is_near(parse_time(time), now) {
        return None;
    }
    let mut params = request.params.clone();
    params.remove("X-Amz-Signature");
    let query = match request.verb.eq_ignore_ascii_case("POST") {
        true => String::new(),
        false => canonical_query(&params),
    };
    let headers: String = signed_headers
        .split(';')
        .filter_map(|name| request.header(name).map(|value| format!("{name}:{value}\n")))
        .collect();
    let verb = request.verb.to_uppercase();
    let canonical =
        [verb.as_str(), &request.path, &query, &headers, signed_headers, &request.body_hash].join("\n");
    let signed = [V4, time, scope, &hex(&Sha256::digest(canonical.as_bytes()))].join("\n");
    Some(hex(&hmac_sha256(&key_4(secret, date, region, service), signed.as_bytes())))
}

fn key_4(secret: &str, date: &str, region: &str, service: &str) -> [u8; 32] {
    let start = format!("AWS4{secret}");
    [date, region, service, "aws4_request"]
        .into_iter()
        .fold(None, |key: Option<[u8; 32]>, part| {
            let key = key.as_ref().map_or(start.as_bytes(), <[u8; 32]>::as_slice);
            Some(hmac_sha256(key, part.as_bytes()))
        })
        .unwrap_or_default()
}

fn canonical_query(params: &BTreeMap<String, String>) -> String {
    let pairs = params.iter().map(|(name, value)| format!("{}={}", quoted(name), quoted(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// RFC 3986: everything but the unreserved characters.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mut mac| {
            mac.update(text);
            mac.finalize().into_bytes().into()
        })
        .unwrap_or_default()
}

fn hmac_sha1(key: &[u8], text: &[u8]) -> [u8; 20] {
    Hmac::<Sha1>::new_from_slice(key)
        .map(|mut mac| {
            mac.update(text);
            mac.finalize().into_bytes().into()
        })
        .unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn same(expected: &str, given: &str) -> bool {
    bool::from(expected.as_bytes().ct_eq(given.trim().as_bytes()))
}

#[cfg(test)]
mod tests;
