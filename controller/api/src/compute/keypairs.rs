//! `/os-keypairs`

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};
use updraft_core::Error;
use updraft_core::compute::keypair::{self, NewKeyPair};
use updraft_model::compute::KeyPair;
use updraft_wire::compute::keypair::{CreateKeyPair, KeyPairView};

use super::query::{self, Holds, Pairs, Parameter};
use super::version::Version;
use crate::http::{Answer, Body, Call, Form};
use crate::routes::{Routes, SchemaOf, get};

const MOST: u32 = 1000;
const TYPE_SINCE: u16 = 2;
const PAGES_SINCE: u16 = 35;
const WIDE_NAMES_SINCE: u16 = 92;

/// Another user's key pairs, from 2.10 on.
const USER: Parameter = Parameter::since("user_id", 10, Holds::Text);
const ONE: &[Parameter] = &[USER];
const LIST: &[Parameter] = &[
    USER,
    Parameter::since("limit", PAGES_SINCE, Holds::Number),
    Parameter::since("marker", PAGES_SINCE, Holds::Text),
];

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/os-keypairs",
            get(list).post(create).or_status(200).takes(SchemaOf::of::<CreateKeyPair>().under("keypair")),
        )
        .route("/os-keypairs/{name}", get(show).delete(delete).or_status(202))
}

fn view(keypair: KeyPair) -> KeyPairView {
    KeyPairView {
        id: keypair.id,
        name: keypair.name,
        user_id: keypair.user_id,
        public_key: keypair.public_key,
        fingerprint: keypair.fingerprint,
        kind: keypair.kind.as_str(),
        created_at: keypair.created_at.micros_bare(),
    }
}

fn user(pairs: &Pairs) -> Option<&str> {
    query::value(pairs, "user_id")
}

async fn list(call: Call, version: Version, Form(pairs): Form<Pairs>) -> Answer<Json<Value>> {
    let pairs = query::read(pairs, LIST, version.0)?;
    let paged = version.0.at_least(PAGES_SINCE);
    let limit = query::number(&pairs, "limit")?.unwrap_or(MOST).min(MOST);
    let marker = pairs.iter().rev().find(|(name, _)| name == "marker").map(|(_, marker)| marker.as_str());
    // One more than asked for tells whether there is a next page.
    let wanted = Some(limit.saturating_add(1));
    let mut keypairs = keypair::list(&call.core, &call.caller, user(&pairs), marker, wanted).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = paged && keypairs.len() > limit && limit > 0;
    keypairs.truncate(limit);
    let last = keypairs.last().map(|keypair| keypair.name.clone());
    let views: Vec<Value> = keypairs.into_iter().map(|keypair| view(keypair).listed(version.0)).collect();
    let mut answer = json!({ "keypairs": views });
    if let Some(last) = last.filter(|_| more) {
        answer["keypairs_links"] = query::next_link(&call.endpoint, "os-keypairs", &pairs, &last);
    }
    Ok(Json(answer))
}

async fn create(
    call: Call,
    Version(version): Version,
    Body(body): Body<Value>,
) -> Answer<(StatusCode, Json<Value>)> {
    let request = CreateKeyPair::read(body, version).map_err(Error::from)?;
    if request.kind.as_deref().is_some_and(|kind| kind != "ssh") {
        return Err(
            Error::bad_request("InvalidKeypairType", "Only key pairs of type 'ssh' are offered.").into()
        );
    }
    let new = NewKeyPair {
        name: request.name,
        public_key: request.public_key,
        user_id: request.user_id,
        wide_names: version.at_least(WIDE_NAMES_SINCE),
    };
    let (keypair, private_key) = keypair::create(&call.core, &call.caller, new).await?;
    let status = if version.at_least(TYPE_SINCE) { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(view(keypair).created(version, private_key.as_deref()))))
}

async fn show(
    call: Call,
    version: Version,
    Path(name): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Answer<Json<Value>> {
    let pairs = query::read(pairs, ONE, version.0)?;
    let keypair = keypair::get(&call.core, &call.caller, user(&pairs), &name).await?;
    Ok(Json(view(keypair).shown(version.0)))
}

async fn delete(
    call: Call,
    version: Version,
    Path(name): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Answer<StatusCode> {
    let pairs = query::read(pairs, ONE, version.0)?;
    keypair::delete(&call.core, &call.caller, user(&pairs), &name).await?;
    Ok(if version.0.at_least(TYPE_SINCE) { StatusCode::NO_CONTENT } else { StatusCode::ACCEPTED })
}
