//! Single sign-on in a browser: `/v3/auth/OS-FEDERATION/websso/{protocol_id}`, and the same of one identity provider,
//! which sends the browser back there.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::Deserialize;
use updraft_core::identity::federation::websso::{self, Arrival, Departure, Return};
use updraft_core::{Core, Error};

use crate::http::{Answer, Form, PublicEndpoint};
use crate::routes::{Routes, get};

/// Holds what the browser carries while it is away.
const COOKIE: &str = "updraft-websso";
/// For how long, in seconds; what is in it has an end of its own.
const COOKIE_AGE_S: u32 = 600;
const HTML: &str = "text/html; charset=utf-8";

/// What the page does by itself, and the Content-Security-Policy that lets it do that and nothing else.
const SCRIPT: &str = "document.forms[0].submit()";
const SCRIPT_ALONE: &str = "default-src 'none'; script-src 'sha256-ePniVEkSivX/c7XWBGafqh8tSpiRrKiqYeqbG7N1TOE='; \
                            frame-ancestors 'none'";

pub(super) fn routes() -> Routes {
    let of_one = || get(of_provider).public().status(302).or_status(200).gives("text/html");
    Routes::new()
        .route("/auth/OS-FEDERATION/websso/{protocol_id}", get(of_any).public().status(302).gives_nothing())
        .route("/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso", of_one())
        // As the API reference spells it.
        .route("/auth/OS-FEDERATION/identity_providers/{idp_id}/protocol/{protocol_id}/websso", of_one())
}

#[derive(Debug, Deserialize, JsonSchema)]
struct WebssoQuery {
    /// The page of the dashboard that the token is for.
    origin: Option<String>,
    // What the identity provider sends the browser back with.
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

async fn of_any(
    State(core): State<Core>,
    PublicEndpoint(endpoint): PublicEndpoint,
    Path(protocol_id): Path<String>,
    Form(query): Form<WebssoQuery>,
) -> Answer {
    let departure = websso::start(&core, &endpoint, None, &protocol_id, query.origin.as_deref()).await?;
    departed(&endpoint, departure)
}

/// 302 to the identity provider; back from there, the page that takes the token to the dashboard.
async fn of_provider(
    State(core): State<Core>,
    PublicEndpoint(endpoint): PublicEndpoint,
    Path((idp_id, protocol_id)): Path<(String, String)>,
    headers: HeaderMap,
    Form(query): Form<WebssoQuery>,
) -> Answer {
    let WebssoQuery { origin, state, code, error, iss } = query;
    let Some(state) = state else {
        let departure =
            websso::start(&core, &endpoint, Some(&idp_id), &protocol_id, origin.as_deref()).await?;
        return departed(&endpoint, departure);
    };
    let back = Return { state, code, error, issuer: iss, passage: passage(&headers) };
    let arrival = websso::finish(&core, &idp_id, &protocol_id, back).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(HTML)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SCRIPT_ALONE)),
        // A dashboard learns from it which cloud sends the token.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer-when-downgrade")),
        (header::SET_COOKIE, cookie(&endpoint, "", 0)?),
    ];
    Ok((headers, page(&arrival)).into_response())
}

fn departed(endpoint: &str, departure: Departure) -> Answer {
    let headers = [
        (header::LOCATION, HeaderValue::from_str(&departure.url).map_err(Error::internal)?),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::SET_COOKIE, cookie(endpoint, &departure.passage, COOKIE_AGE_S)?),
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}

/// No script reads it, and other sites have the browser send it along with nothing but a visit.
fn cookie(endpoint: &str, value: &str, age_s: u32) -> Result<HeaderValue, Error> {
    let secure = if endpoint.starts_with("https://") { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).map_err(Error::internal)
}

fn passage(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

/// The form that takes the token to the dashboard, by itself where scripts run.
fn page(arrival: &Arrival) -> String {
    let (origin, token) = (escaped(&arrival.origin), escaped(&arrival.token));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Logging in</title></head><body>\
         <form action=\"{origin}\" method=\"post\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\
         <noscript><button type=\"submit\">Go on to the dashboard</button></noscript></form>\
         <script>{SCRIPT}</script></body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};
    use updraft_core::identity::federation::websso::Arrival;

    use super::{page, passage};

    #[test]
    fn nothing_breaks_out_of_the_page() {
        let origin = "https://d.test/\"><script>alert('x')</script>&".to_owned();
        let page = page(&Arrival { origin, token: "t".into() });
        assert!(
            page.contains("action=\"https://d.test/&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)"),
            "{page}"
        );
        assert_eq!(page.matches("<script>").count(), 1);
    }

    #[test]
    fn the_passage_is_found_among_cookies() {
        let mut headers = HeaderMap::new();
        assert_eq!(passage(&headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; updraft-websso-old=2"));
        headers.append(header::COOKIE, HeaderValue::from_static("b=3;updraft-websso=se=aled; c=4"));
        assert_eq!(passage(&headers).as_deref(), Some("se=aled"));
    }
}
