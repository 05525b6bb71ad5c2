//! `updraft ops`: what is under way, and what ended lately.

use std::process::ExitCode;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::api_client::ApiClient;
use crate::cloud::Cloud;
use crate::error::Error;
use crate::layout::Layout;

#[derive(clap::Args)]
pub struct Options {
    /// Only of this project (its id).
    #[arg(long)]
    project: Option<String>,
    /// Only what failed or is being undone.
    #[arg(long)]
    failed: bool,
    /// From then on: a time (2026-01-02T03:04:05Z) or how long ago (90s, 30m, 2h, 7d). A day when absent.
    #[arg(long)]
    since: Option<String>,
    /// As the API answers.
    #[arg(long)]
    json: bool,
}

/// Prints one line an operation.
///
/// # Errors
/// No cloud, or its controller does not answer.
pub async fn run(layout: &Layout, options: &Options) -> Result<ExitCode, Error> {
    let cloud = Cloud::load(layout)?;
    let mut query = vec![format!("failed={}", options.failed)];
    if let Some(project) = &options.project {
        query.push(format!("project={}", plain(project)?));
    }
    if let Some(since) = &options.since {
        query.push(format!("since={}", start(since, Timestamp::now())?));
    }
    let api = ApiClient::admin(layout, &cloud).await?;
    let ops = api.get(&format!("/host/v1/ops?{}", query.join("&"))).await?;
    if options.json {
        println!("{ops:#}");
        return Ok(ExitCode::SUCCESS);
    }
    print!("{}", table(ops.as_array().map_or(&[], Vec::as_slice)));
    Ok(ExitCode::SUCCESS)
}

/// What may stand in a query as it is.
pub fn plain(text: &str) -> Result<&str, Error> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !text.is_empty() && text.bytes().all(is_plain) {
        return Ok(text);
    }
    Err(Error::Requirement(format!("'{text}' is no id: letters, digits, dashes, dots and underscores")))
}

/// The time that `--since` means.
fn start(text: &str, now: Timestamp) -> Result<Timestamp, Error> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let wrong =
        || Error::Requirement(format!("--since '{text}' is neither a time nor like 90s, 30m, 2h, 7d"));
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    now.checked_sub(SignedDuration::from_secs(i64::from(count) * seconds)).map_err(|_| wrong())
}

fn table(ops: &[Value]) -> String {
    if ops.is_empty() {
        return "Nothing is under way, and nothing ended lately.\n".to_owned();
    }
    let mut text = format!(
        "{:<20} {:<14} {:<36} {:<9} {:>9}  {}\n",
        "STARTED", "WHAT", "OF", "STATE", "TOOK", "STEP OR REASON"
    );
    for op in ops {
        let field = |name: &str| op[name].as_str().unwrap_or_default();
        let where_it_is = if field("message").is_empty() { field("step") } else { field("message") };
        text += &format!(
            "{:<20} {:<14} {:<36} {:<9} {:>9}  {}\n",
            seconds(field("started_at")),
            field("kind"),
            field("subject_id"),
            field("state"),
            took(op["took_ms"].as_i64()),
            where_it_is
        );
    }
    text
}

/// `2026-01-02T03:04:05Z` of a time with a fraction.
pub fn seconds(time: &str) -> String {
    time.split_once('.').map_or_else(|| time.to_owned(), |(whole, _)| format!("{whole}Z"))
}

/// A duration in the unit that fits.
pub fn took(millis: Option<i64>) -> String {
    match millis {
        None => "…".to_owned(),
        Some(millis @ ..1000) => format!("{millis} ms"),
        Some(millis @ ..120_000) => format!("{}.{} s", millis / 1000, millis / 100 % 10),
        Some(millis) => format!("{} min", millis / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::{plain, start, table, took};

    #[test]
    fn since_is_a_time_or_an_age() {
        let now: Timestamp = "2026-01-02T03:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("90s", "2026-01-02T02:58:30Z"),
            ("2h", "2026-01-02T01:00:00Z"),
            ("7d", "2025-12-26T03:00:00Z"),
        ] {
            assert_eq!(start(text, now).unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "h", "2", "-1h", "2w", "yesterday", "9999999999d"] {
            assert!(start(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_go_into_urls_as_they_are() {
        assert!(plain("req-0a_B.c").is_ok());
        for text in ["", "a/b", "a?b", "a b", "%2e", "ä"] {
            assert!(plain(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_failed_operation_shows_its_reason() {
        let op = json!({"kind": "server create", "subject_id": "s1", "state": "failed", "took_ms": 1520,
            "started_at": "2026-01-02T03:04:05.000006Z", "message": "No valid host was found.", "step": null});
        let text = table(&[op]);
        for part in ["2026-01-02T03:04:05Z ", "server create", "failed", "1.5 s", "No valid host was found."]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(
            (took(Some(12)), took(Some(180_000)), took(None)),
            ("12 ms".into(), "3 min".into(), "…".into())
        );
    }
}
