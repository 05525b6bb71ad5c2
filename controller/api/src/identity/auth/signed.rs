//! `/v3/ec2tokens` and `/v3/s3tokens`: from a signed request to the token of whoever signed it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use updraft_core::Error;
use updraft_core::identity::SignedRequest;
use updraft_core::identity::ec2::{self, Front};
use updraft_wire::identity as wire;

use super::{token_headers, view};
use crate::http::{Answer, Body, Call};
use crate::routes::{Routes, post};

pub(super) fn routes() -> Routes {
    Routes::new().route("/ec2tokens", post(for_ec2)).route("/s3tokens", post(for_s3))
}

/// The token goes into `X-Subject-Token`.
async fn for_ec2(call: Call, Body(request): Body<wire::SignedRequest>) -> Answer {
    let (token, live) = ec2::authenticate(&call.core, &call.caller, Front::Ec2, signed(request)?).await?;
    let body = view::token(&call.core, &call.endpoint, &live, true).await?;
    Ok((StatusCode::OK, token_headers(&token), Json(body)).into_response())
}

/// Whose request it is and no token: S3's front door needs no more.
async fn for_s3(call: Call, Body(request): Body<wire::SignedRequest>) -> Answer {
    let (_token, live) = ec2::authenticate(&call.core, &call.caller, Front::S3, signed(request)?).await?;
    Ok(Json(view::token(&call.core, &call.endpoint, &live, true).await?).into_response())
}

fn signed(request: wire::SignedRequest) -> Result<SignedRequest, Error> {
    let fields = request.credentials.unwrap_or_default();
    let signature = fields.signature.ok_or_else(Error::unauthorized)?;
    Ok(SignedRequest {
        access: fields.access,
        signature,
        verb: fields.verb,
        host: fields.host,
        path: fields.path,
        params: fields.params,
        headers: fields.headers,
        body_hash: fields.body_hash,
        token: fields.token,
    })
}
