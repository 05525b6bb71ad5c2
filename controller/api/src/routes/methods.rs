//! `get(list).post(create)`: as axum's, and listed.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{self, MethodFilter, MethodRouter};
use updraft_core::Core;

use super::shape::{Content, Describe, JSON, SchemaOf};
use super::{Route, Shape};

/// The methods of one path. What is said after a method (`.public()`, `.status(202)`) is about that one.
#[derive(Clone, Debug)]
pub struct Methods {
    router: MethodRouter<Core>,
    calls: Vec<Route>,
}

macro_rules! methods {
    ($($name:ident $method:ident;)*) => {
        $(
            /// The handler of this method.
            pub fn $name<H, T>(handler: H) -> Methods
            where
                H: Handler<T, Core> + Describe<T>,
                T: 'static,
            {
                Methods { router: MethodRouter::new(), calls: Vec::new() }.$name(handler)
            }
        )*

        impl Methods {
            $(
                /// The handler of this method, too.
                pub fn $name<H, T>(self, handler: H) -> Self
                where
                    H: Handler<T, Core> + Describe<T>,
                    T: 'static,
                {
                    self.on(MethodFilter::$method, Method::$method, handler)
                }
            )*
        }
    };
}

methods! {
    get GET;
    post POST;
    put PUT;
    patch PATCH;
    delete DELETE;
}

/// One handler, whatever the method is.
pub fn any<H, T>(handler: H) -> Methods
where
    H: Handler<T, Core> + Describe<T>,
    T: 'static,
{
    let call = listed::<H, T>(None);
    Methods { router: routing::any(handler), calls: vec![call] }
}

fn listed<H: Describe<T>, T>(method: Option<Method>) -> Route {
    let shape = H::shape(method.as_ref());
    Route { method, path: String::new(), handler: name_of::<H>(), shape }
}

/// `identity::projects::list`; a closure goes by the function around it.
fn name_of<H>() -> &'static str {
    let name = std::any::type_name::<H>();
    let name = name.split_once("::").map_or(name, |(_, inside)| inside);
    name.split("::{{closure}}").next().unwrap_or(name)
}

impl Methods {
    /// `GET` without a body, where it is more than what axum makes of the handler of `GET`.
    pub fn head<H, T>(self, handler: H) -> Self
    where
        H: Handler<T, Core> + Describe<T>,
        T: 'static,
    {
        self.on(MethodFilter::HEAD, Method::HEAD, handler)
    }

    fn on<H, T>(mut self, filter: MethodFilter, method: Method, handler: H) -> Self
    where
        H: Handler<T, Core> + Describe<T>,
        T: 'static,
    {
        self.calls.push(listed::<H, T>(Some(method)));
        Self { router: self.router.on(filter, handler), calls: self.calls }
    }

    /// Whoever asks is answered: no token is needed.
    pub fn public(self) -> Self {
        self.with(|shape| shape.is_public = true)
    }

    /// The status when all goes well, where the handler's answer does not say it.
    pub fn status(self, status: u16) -> Self {
        self.with(|shape| shape.status = Some(status))
    }

    /// One more status that means that all went well.
    pub fn or_status(self, status: u16) -> Self {
        self.with(|shape| shape.other_statuses.push(status))
    }

    /// Whatever is asked is refused, though the handler's answer does not say so.
    pub fn refused(self) -> Self {
        self.with(|shape| (shape.status, shape.answer) = (None, None))
    }

    /// The media type of the answer, where it is not JSON.
    pub fn gives(self, media_type: &'static str) -> Self {
        self.with(|shape| shape.answer = Some(media_type))
    }

    /// The answer has no body.
    pub fn gives_nothing(self) -> Self {
        self.with(|shape| shape.answer = None)
    }

    /// The body, where the handler takes any JSON and reads it by itself.
    pub fn takes(self, schema: SchemaOf) -> Self {
        self.takes_as(JSON, schema)
    }

    /// The same, when the body is not called `application/json`.
    pub fn takes_as(self, media_type: &'static str, schema: SchemaOf) -> Self {
        self.with(|shape| shape.body = Some(Content::Json(media_type, schema)))
    }

    /// The body is data, which the handler reads by itself.
    pub fn takes_bytes(self) -> Self {
        self.with(|shape| shape.body = Some(Content::Bytes))
    }

    /// The query parameters, where the handler reads them by itself.
    pub fn queries(self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.with(|shape| shape.queries.extend(names))
    }

    /// What axum's router of methods can besides: layers.
    pub fn wrapped(self, wrap: impl FnOnce(MethodRouter<Core>) -> MethodRouter<Core>) -> Self {
        Self { router: wrap(self.router), calls: self.calls }
    }

    fn with(mut self, change: impl FnOnce(&mut Shape)) -> Self {
        if let Some(last) = self.calls.last_mut() {
            change(&mut last.shape);
        }
        self
    }

    pub(super) fn into_parts(self) -> (MethodRouter<Core>, Vec<Route>) {
        (self.router, self.calls)
    }
}
