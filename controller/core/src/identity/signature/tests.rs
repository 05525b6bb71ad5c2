use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use updraft_model::Timestamp;

use super::{SignedRequest, holds, holds_for_s3, version_2};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const EMPTY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn map(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// AWS General Reference, "Signature Version 2 signing process".
#[test]
fn version_2_gives_amazons_own_example() {
    let request = SignedRequest {
        signature: "i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=".into(),
        verb: "GET".into(),
        host: "elasticmapreduce.amazonaws.com:443".into(),
        path: "/".into(),
        params: map(&[
            ("AWSAccessKeyId", "AKIAIOSFODNN7EXAMPLE"),
            ("Action", "DescribeJobFlows"),
            ("SignatureMethod", "HmacSHA256"),
            ("SignatureVersion", "2"),
            ("Timestamp", "2011-10-03T15:19:30"),
            ("Version", "2009-03-31"),
        ]),
        ..SignedRequest::default()
    };
    let now = at("2011-10-03T15:20:00Z");
    assert!(holds(&request, SECRET, now), "the host counts without its port too");
    assert!(!holds(&request, "another secret", now));
    assert!(!holds(&request, SECRET, now.plus(Duration::from_secs(16 * 60))));
    for version in ["0", "1"] {
        let mut older = request.clone();
        older.params.insert("SignatureVersion".into(), version.into());
        assert!(!holds(&older, SECRET, now), "version {version}");
    }
}

/// A request by version 2, signed with these parameters beside the version.
fn version_2_with(params: &[(&str, &str)]) -> SignedRequest {
    let mut request = SignedRequest {
        verb: "GET".into(),
        host: "ec2.test".into(),
        path: "/".into(),
        params: map(params),
        ..SignedRequest::default()
    };
    request.params.insert("SignatureVersion".into(), "2".into());
    request.signature = version_2(&request, "ec2.test", SECRET);
    request
}

#[test]
fn threat_6_version_2_holds_until_the_end_that_was_signed() {
    let (text, second) = ("2011-10-03T15:19:30Z", Duration::from_secs(1));
    let (request, end) = (version_2_with(&[("Expires", text)]), at(text));
    assert!(holds(&request, SECRET, end.minus(second)));
    for late in [Duration::ZERO, second, Duration::from_secs(24 * 3600)] {
        assert!(!holds(&request, SECRET, end.plus(late)), "{late:?} late");
    }
    let mut moved = request.clone();
    moved.params.insert("Expires".into(), "2031-10-03T15:19:30Z".into());
    assert!(!holds(&moved, SECRET, end.minus(second)), "the end is signed");
    for junk in ["", "never"] {
        assert!(!holds(&version_2_with(&[("Expires", junk)]), SECRET, end), "{junk}");
    }
    assert!(!holds(&version_2_with(&[]), SECRET, end), "neither a time nor an end");
    let old = version_2_with(&[("Timestamp", text), ("Expires", "2031-10-03T15:19:30Z")]);
    assert!(holds(&old, SECRET, end));
    assert!(!holds(&old, SECRET, end.plus(Duration::from_secs(16 * 60))), "where there is a time, it counts");
}

/// AWS General Reference, "Signature Version 4 signing process": the IAM example.
fn version_4_example() -> SignedRequest {
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                         SignedHeaders=content-type;host;x-amz-date, Signature=in-the-field";
    SignedRequest {
        signature: "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7".into(),
        verb: "GET".into(),
        host: "iam.amazonaws.com".into(),
        path: "/".into(),
        params: map(&[("Action", "ListUsers"), ("Version", "2010-05-08")]),
        headers: map(&[
            ("Authorization", authorization),
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("Host", "iam.amazonaws.com"),
            ("X-Amz-Date", "20150830T123600Z"),
        ]),
        body_hash: EMPTY_HASH.into(),
        ..SignedRequest::default()
    }
}

#[test]
fn version_4_gives_amazons_own_example() {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let (request, now) = (version_4_example(), at("2015-08-30T12:36:10Z"));
    assert!(holds(&request, secret, now));
    let changed = SignedRequest { path: "/other".into(), ..request.clone() };
    assert!(!holds(&changed, secret, now));
    for minutes in [16, 24 * 60] {
        let skew = Duration::from_secs(minutes * 60);
        assert!(!holds(&request, secret, now.plus(skew)), "{minutes} min old");
        assert!(!holds(&request, secret, now.minus(skew)), "{minutes} min early");
    }
    let undated = SignedRequest {
        headers: map(&[("Authorization", request.headers["Authorization"].as_str())]),
        ..request
    };
    assert!(!holds(&undated, secret, now));
}

/// Amazon S3 User Guide, "Signing and authenticating REST requests": the GET example.
#[test]
fn s3s_version_2_gives_amazons_own_example() {
    let signed = "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/awsexamplebucket1/photos/puppy.jpg";
    let request = SignedRequest {
        signature: "qgk2+6Sv9/oM7G3qLEjTH1a1l1g=".into(),
        token: URL_SAFE.encode(signed),
        ..SignedRequest::default()
    };
    let now = at("2007-03-27T19:40:00Z");
    assert!(holds_for_s3(&request, SECRET, now));
    assert!(!holds_for_s3(&request, SECRET, now.plus(Duration::from_secs(20 * 60))));
    assert!(!holds_for_s3(&request, "another secret", now));
}

/// Amazon S3 User Guide, "Signing and authenticating REST requests": the example of query string authentication, with the
/// bucket that its signature is of.
#[test]
fn threat_6_s3s_version_2_holds_until_the_end_in_amazons_own_example() {
    let signed = "GET\n\n\n1175139620\n/johnsmith/photos/puppy.jpg";
    let request = SignedRequest {
        signature: "NpgCjnDzrM+WFzoENXmpNDUsSn8=".into(),
        token: URL_SAFE.encode(signed),
        ..SignedRequest::default()
    };
    let end = at("2007-03-29T03:40:20Z");
    assert!(holds_for_s3(&request, SECRET, end.minus(Duration::from_secs(1))));
    for late in [0, 1, 24 * 3600] {
        assert!(!holds_for_s3(&request, SECRET, end.plus(Duration::from_secs(late))), "{late} s late");
    }
}

/// Amazon S3 API Reference, "Authorization Header": the GET Object example.
#[test]
fn s3s_version_4_gives_amazons_own_example() {
    let signed = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
                  7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972";
    let request = SignedRequest {
        signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41".into(),
        token: URL_SAFE.encode(signed),
        ..SignedRequest::default()
    };
    let now = at("2013-05-24T00:10:00Z");
    assert!(holds_for_s3(&request, SECRET, now));
    assert!(!holds_for_s3(&request, SECRET, now.plus(Duration::from_secs(20 * 60))));
    for junk in ["", "????", &URL_SAFE.encode("AWS4-HMAC-SHA256\n\n\n"), &URL_SAFE.encode("GET\n\n\n\n/")] {
        let request = SignedRequest { token: junk.into(), ..request.clone() };
        assert!(!holds_for_s3(&request, SECRET, now), "{junk}");
    }
}
