//! The shapes of request and answer bodies that all collections share.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use updraft_core::Error;
use updraft_model::network::{FixedIp, Standard};
use updraft_wire::network::{FixedIpView, Invalid, Items, StandardView, UntaggedView, read_items, read_one};

use super::list::ListQuery;
use crate::http::{Answer, Fault};
use crate::routes::SchemaOf;

/// The key around one item, and around several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub one: &'static str,
    pub many: &'static str,
}

/// What is shown of a resource: all of it but what rules keep from the caller.
#[derive(Clone, Debug)]
pub(super) struct Shown<V> {
    pub view: V,
    pub hidden: Vec<&'static str>,
}

impl<V: Serialize> Serialize for Shown<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = serde_json::to_value(&self.view).map_err(S::Error::custom)?;
        if let Value::Object(object) = &mut value {
            object.retain(|name, _| !self.hidden.contains(&name.as_str()));
        }
        value.serialize(serializer)
    }
}

impl Names {
    /// What [`Names::items`] reads.
    pub fn items_schema<T: JsonSchema>(self) -> SchemaOf {
        let many = SchemaOf::of::<T>().listed().under(self.many);
        self.item_schema::<T>().or(many)
    }

    /// What [`Names::item`] reads.
    pub fn item_schema<T: JsonSchema>(self) -> SchemaOf {
        SchemaOf::of::<T>().under(self.one)
    }

    /// Reads the body of a POST: the requests, and whether they came as a list.
    pub fn items<T: DeserializeOwned>(self, body: Value) -> Answer<(Vec<T>, bool)> {
        match read_items(body, self.one, self.many).map_err(invalid)? {
            Items::One(item) => Ok((vec![item], false)),
            Items::Many(items) => Ok((items, true)),
        }
    }

    /// Reads the body of a PUT.
    pub fn item<T: DeserializeOwned>(self, body: Value) -> Answer<T> {
        read_one(body, self.one).map_err(invalid)
    }

    /// 201 with what was made, in the shape in which it was asked for.
    pub fn created<V: Serialize>(self, views: impl Iterator<Item = V>, as_list: bool) -> Answer {
        let mut views =
            views.map(|view| to_object(&view).map(Value::Object)).collect::<Answer<Vec<Value>>>()?;
        let body = match as_list {
            true => wrap(self.many, Value::Array(views)),
            false => wrap(self.one, views.pop().unwrap_or_default()),
        };
        Ok((StatusCode::CREATED, Json(body)).into_response())
    }

    /// 200 with one item, or with the fields of it that the client asked for.
    pub fn shown<V: Serialize>(self, view: V, query: &ListQuery) -> Answer {
        let object = query.only_fields(to_object(&view)?);
        Ok(Json(wrap(self.one, Value::Object(object))).into_response())
    }

    /// 200 with those of the items that the query asks for. `url` is the collection's, for links.
    pub fn listed<V: Serialize>(
        self,
        views: impl Iterator<Item = V>,
        query: &ListQuery,
        url: &str,
    ) -> Answer {
        query.check(self.many)?;
        let objects = views.map(|view| to_object(&view)).collect::<Answer<Vec<_>>>()?;
        let page = query.page(objects, url)?;
        let mut body = Map::new();
        body.insert(self.many.into(), page.items.into_iter().map(Value::Object).collect());
        if !page.links.is_empty() {
            body.insert(format!("{}_links", self.many), page.links.into());
        }
        Ok(Json(Value::Object(body)).into_response())
    }
}

fn invalid(refusal: Invalid) -> Fault {
    Error::bad_request(refusal.code, refusal.message).into()
}

fn wrap(key: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}

fn to_object<V: Serialize>(view: &V) -> Answer<Map<String, Value>> {
    match serde_json::to_value(view) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::internal("a view is an object").into()),
        Err(error) => Err(Error::internal(error).into()),
    }
}

pub(super) fn standard(standard: &Standard) -> StandardView {
    StandardView { tags: standard.tags.clone(), untagged: untagged(standard) }
}

pub(super) fn untagged(standard: &Standard) -> UntaggedView {
    UntaggedView {
        description: standard.description.clone(),
        created_at: standard.created_at.seconds_z(),
        updated_at: standard.updated_at.seconds_z(),
        revision_number: standard.revision,
    }
}

pub(super) fn fixed_ips(fixed_ips: &[FixedIp]) -> Vec<FixedIpView> {
    let view = |fixed: &FixedIp| FixedIpView {
        subnet_id: fixed.subnet_id.clone(),
        ip_address: fixed.address.to_string(),
    };
    fixed_ips.iter().map(view).collect()
}

pub(super) fn text<T: std::fmt::Display>(value: Option<T>) -> Option<String> {
    value.map(|value| value.to_string())
}
