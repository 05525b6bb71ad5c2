//! How the image service says what went wrong: webob's pages, in the form that the client accepts.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The forms of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorPage {
    Html,
    Json,
    /// For clients that want neither of the others.
    Plain,
}

impl ErrorPage {
    /// What `Accept` (RFC 9110, section 12.5.1) prefers; HTML of equals, and when it is not there or makes no sense.
    pub fn accepted(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let ranges: Vec<(&str, f32)> = accept.split(',').filter_map(range).collect();
        if ranges.is_empty() {
            return Self::Html;
        }
        let (html, json) = (quality(&ranges, "text/html"), quality(&ranges, "application/json"));
        if json > html {
            Self::Json
        } else if html > 0.0 {
            Self::Html
        } else {
            Self::Plain
        }
    }

    pub fn response(self, status: StatusCode, message: &str) -> Response {
        let reason = reason(status);
        let title = format!("{} {reason}", status.as_u16());
        let (media_type, page) = match self {
            Self::Html => ("text/html; charset=UTF-8", html(&title, message)),
            Self::Json => {
                let message = format!("{message}<br /><br />\n\n\n");
                let page = json!({"message": message, "code": title, "title": reason});
                ("application/json", page.to_string())
            }
            Self::Plain => ("text/plain; charset=UTF-8", format!("{title}\n\n{message}\n\n   ")),
        };
        (status, [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], page).into_response()
    }
}

/// The words of webob, which are older than today's for two of them.
fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        StatusCode::RANGE_NOT_SATISFIABLE => "Request Range Not Satisfiable",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

/// A media range and its weight; `None` when it is neither.
fn range(text: &str) -> Option<(&str, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| name.contains('/'))?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = weight.map_or(Some(1.0), |text| text.parse().ok())?;
    Some((name, weight))
}

/// The weight of the range that names this media type most exactly; 0 when none does.
fn quality(ranges: &[(&str, f32)], media_type: &str) -> f32 {
    let whole = media_type.split('/').next().unwrap_or_default();
    let group = format!("{whole}/*");
    let names = [media_type, group.as_str(), "*/*"];
    let named =
        names.iter().find_map(|name| ranges.iter().find(|(range, _)| range.eq_ignore_ascii_case(name)));
    named.map_or(0.0, |(_, weight)| *weight)
}

fn html(title: &str, message: &str) -> String {
    format!(
        "<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n  {}<br /><br />\n\n\n\n \
         </body>\n</html>",
        escaped(message)
    )
}

/// A name that a tenant chose may be in the message.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#x27;")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::ErrorPage;

    #[test]
    fn the_page_is_what_the_client_prefers() {
        for (accept, expected) in [
            ("", ErrorPage::Html),
            ("*/*", ErrorPage::Html),
            ("text/html", ErrorPage::Html),
            ("application/json", ErrorPage::Json),
            ("Application/JSON; charset=utf-8", ErrorPage::Json),
            ("application/json, text/html", ErrorPage::Html),
            ("application/json, text/html;q=0.9", ErrorPage::Json),
            ("application/json, */*;q=0.1", ErrorPage::Json),
            ("text/*, application/json;q=0.5", ErrorPage::Html),
            ("application/json;q=0", ErrorPage::Plain),
            ("text/plain", ErrorPage::Plain),
            ("application/octet-stream", ErrorPage::Plain),
            ("*/*;q=x,,", ErrorPage::Html),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(ErrorPage::accepted(&headers), expected, "{accept}");
        }
        assert_eq!(ErrorPage::accepted(&HeaderMap::new()), ErrorPage::Html);
    }
}
