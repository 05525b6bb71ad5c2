//! What a call takes and gives, read off its handler's signature.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::body::Body as Bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Query, RawQuery, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use crate::http::{Auth, Body, Call, Fault, Form, NoBody, PublicEndpoint, RequestId};

/// A JSON Schema that is made when it is asked for.
#[derive(Clone)]
pub struct SchemaOf(Arc<dyn Fn(&mut SchemaGenerator) -> Value + Send + Sync>);

impl SchemaOf {
    /// What reads as `T`.
    pub fn of<T: JsonSchema>() -> Self {
        Self(Arc::new(|generator| generator.subschema_for::<T>().to_value()))
    }

    /// Written by hand.
    pub fn json(schema: Value) -> Self {
        Self(Arc::new(move |_| schema.clone()))
    }

    /// An object that has this under `key`, and nothing else.
    pub fn under(self, key: &'static str) -> Self {
        Self(Arc::new(
            move |generator| json!({"type": "object", "properties": {key: self.0(generator)}, "required": [key]}),
        ))
    }

    /// This, or the other.
    pub fn or(self, other: Self) -> Self {
        Self(Arc::new(move |generator| json!({"anyOf": [self.0(generator), other.0(generator)]})))
    }

    /// A list of it.
    pub fn listed(self) -> Self {
        Self(Arc::new(move |generator| json!({"type": "array", "items": self.0(generator)})))
    }

    pub fn schema(&self, generator: &mut SchemaGenerator) -> Value {
        self.0(generator)
    }
}

impl fmt::Debug for SchemaOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SchemaOf")
    }
}

/// What the caller has to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// Nothing, or something that the handler reads by itself.
    #[default]
    Nothing,
    /// A token, in `X-Auth-Token`.
    Token,
    /// A host's credential, in `Authorization`.
    HostCredential,
}

/// The body of a request.
#[derive(Clone, Debug)]
pub enum Content {
    /// With its media type.
    Json(&'static str, SchemaOf),
    Bytes,
}

/// What JSON bodies call themselves, nearly all of them.
pub const JSON: &str = "application/json";
/// What data calls itself.
pub const BYTES: &str = "application/octet-stream";

/// What is known of a call.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    pub proof: Proof,
    /// Said beside the route: it needs no token.
    pub is_public: bool,
    pub body: Option<Content>,
    /// Query parameters by name alone.
    pub queries: Vec<&'static str>,
    /// Query parameters as an object.
    pub query: Option<SchemaOf>,
    /// Request headers that say more than the call itself.
    pub headers: Vec<&'static str>,
    /// The status when all goes well; none when it never does.
    pub status: Option<u16>,
    /// Others that mean so too.
    pub other_statuses: Vec<u16>,
    /// The media type of the answer, where it has a body.
    pub answer: Option<&'static str>,
}

/// A part of a request that a handler takes.
pub trait Reads {
    fn describe(shape: &mut Shape);
}

/// What a handler gives back.
pub trait Answers {
    /// The status when all goes well, unless something else is said beside the route, and the media type.
    fn describe(shape: &mut Shape, method: Option<&Method>);
}

/// A handler, with `T` as in [`axum::handler::Handler`].
pub trait Describe<T> {
    fn shape(method: Option<&Method>) -> Shape;
}

impl<F, Fut, Res> Describe<((),)> for F
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = Res>,
    Res: Answers,
{
    fn shape(method: Option<&Method>) -> Shape {
        let mut shape = Shape::default();
        Res::describe(&mut shape, method);
        shape
    }
}

macro_rules! describe {
    ($($part:ident)*) => {
        impl<F, Fut, Res, M, $($part),*> Describe<(M, $($part,)*)> for F
        where
            F: FnOnce($($part),*) -> Fut,
            Fut: Future<Output = Res>,
            Res: Answers,
            $($part: Reads,)*
        {
            fn shape(method: Option<&Method>) -> Shape {
                let mut shape = Shape::default();
                Res::describe(&mut shape, method);
                $($part::describe(&mut shape);)*
                shape
            }
        }
    };
}

describe!(A);
describe!(A B);
describe!(A B C);
describe!(A B C D);
describe!(A B C D E);
describe!(A B C D E G);

macro_rules! nothing_said_by {
    ($($part:ty),* $(,)?) => {
        $(impl Reads for $part {
            fn describe(_shape: &mut Shape) {}
        })*
    };
}

nothing_said_by!(HeaderMap, Method, NoBody, PublicEndpoint, RawQuery, RequestId, WebSocketUpgrade);

impl<T> Reads for State<T> {
    fn describe(_shape: &mut Shape) {}
}

/// The template has the names.
impl<T> Reads for Path<T> {
    fn describe(_shape: &mut Shape) {}
}

impl Reads for Call {
    fn describe(shape: &mut Shape) {
        shape.proof = Proof::Token;
    }
}

impl Reads for Auth {
    fn describe(shape: &mut Shape) {
        shape.proof = Proof::Token;
    }
}

impl<T: JsonSchema> Reads for Body<T> {
    fn describe(shape: &mut Shape) {
        shape.body = Some(Content::Json(JSON, SchemaOf::of::<T>()));
    }
}

impl<T: JsonSchema> Reads for Form<T> {
    fn describe(shape: &mut Shape) {
        shape.query = Some(SchemaOf::of::<T>());
    }
}

impl<T: JsonSchema> Reads for Query<T> {
    fn describe(shape: &mut Shape) {
        shape.query = Some(SchemaOf::of::<T>());
    }
}

impl Reads for Request {
    fn describe(shape: &mut Shape) {
        shape.body = Some(Content::Bytes);
    }
}

impl Reads for Bytes {
    fn describe(shape: &mut Shape) {
        shape.body = Some(Content::Bytes);
    }
}

impl<T> Answers for Json<T> {
    fn describe(shape: &mut Shape, _method: Option<&Method>) {
        (shape.status, shape.answer) = (Some(200), Some(JSON));
    }
}

impl Answers for Response {
    fn describe(shape: &mut Shape, _method: Option<&Method>) {
        (shape.status, shape.answer) = (Some(200), Some(JSON));
    }
}

impl Answers for StatusCode {
    fn describe(shape: &mut Shape, _method: Option<&Method>) {
        shape.status = Some(204);
    }
}

/// A handler that gives nothing back refuses every call.
impl Answers for () {
    fn describe(_shape: &mut Shape, _method: Option<&Method>) {}
}

impl<T> Answers for (StatusCode, T) {
    fn describe(shape: &mut Shape, method: Option<&Method>) {
        let is_made = method != Some(&Method::GET);
        (shape.status, shape.answer) = (Some(if is_made { 201 } else { 200 }), Some(JSON));
    }
}

impl<H, T> Answers for (StatusCode, H, T) {
    fn describe(shape: &mut Shape, method: Option<&Method>) {
        <(StatusCode, T)>::describe(shape, method);
    }
}

impl<T: Answers> Answers for Result<T, Fault> {
    fn describe(shape: &mut Shape, method: Option<&Method>) {
        T::describe(shape, method);
    }
}
