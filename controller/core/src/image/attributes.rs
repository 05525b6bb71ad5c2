//! The attributes of an image that a request may set, and those that it may not.

use std::collections::BTreeSet;

use serde_json::Value;
use updraft_model::id::is_uuid;
use updraft_model::image::{
    ContainerFormat, DiskFormat, Image, ImageStatus, MAX_NAME_CHARS, MAX_PROPERTIES, MAX_PROPERTY_BYTES,
    MAX_TAGS, Visibility,
};

use super::access::{Found, is_admin, visibility_rule};
use crate::{Caller, Error, Result};

/// What the cloud alone writes.
const READ_ONLY: [&str; 15] = [
    "id",
    "status",
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "created_at",
    "updated_at",
    "self",
    "file",
    "schema",
    "direct_url",
    "locations",
    "stores",
];

/// What no property may be called: Glance's own, of earlier versions and of imports under way.
const RESERVED: [&str; 3] = ["location", "deleted", "deleted_at"];
const RESERVED_PREFIX: &str = "os_glance_";

/// What can be set but not removed.
const BASE: [&str; 10] = [
    "name",
    "visibility",
    "protected",
    "os_hidden",
    "min_disk",
    "min_ram",
    "tags",
    "disk_format",
    "container_format",
    "owner",
];

/// Properties that name other images (etc/schema-image.json in Glance); null is as if they were not there.
const IMAGE_IDS: [&str; 2] = ["kernel_id", "ramdisk_id"];

const DISK_FORMATS: &str = "ami, ari, aki, vhd, vhdx, vmdk, raw, qcow2, vdi, iso, gpt";
const CONTAINER_FORMATS: &str = "ami, ari, aki, bare, ovf, ova, docker, compressed";

/// 403 for an attribute with a rule of its own when that rule does not let the caller give it this value.
pub(super) fn may_set(found: &Found, caller: &Caller, name: &str, value: &Value) -> Result<()> {
    match name {
        "visibility" => {
            let rule = value.as_str().and_then(Visibility::parse).and_then(visibility_rule);
            rule.map_or(Ok(()), |rule| found.enforce(caller, rule))
        }
        "owner" if is_other_owner(found, value) && !is_admin(caller) => Err(not_the_owners()),
        _ => Ok(()),
    }
}

/// What is no owner at all is for [`set`] to refuse.
fn is_other_owner(found: &Found, value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|owner| owner != found.image.owner)
}

pub(super) fn not_the_owners() -> Error {
    Error::forbidden("Owner can't be updated by non admin.")
}

/// Sets one attribute or free-form property.
pub(super) fn set(image: &mut Image, name: &str, value: &Value) -> Result<()> {
    check_writable(name)?;
    match name {
        "name" => image.name = optional_text(name, value)?,
        "visibility" => image.visibility = visibility(value)?,
        "protected" => image.protected = boolean(name, value)?,
        "os_hidden" => image.hidden = boolean(name, value)?,
        "min_disk" => image.min_disk_gib = number(name, value)?,
        "min_ram" => image.min_ram_mib = number(name, value)?,
        "tags" => image.tags = tags(value)?,
        "owner" => image.owner = owner(value)?,
        "disk_format" => image.disk_format = format(image, name, value, DiskFormat::parse, DISK_FORMATS)?,
        "container_format" => {
            image.container_format = format(image, name, value, ContainerFormat::parse, CONTAINER_FORMATS)?
        }
        _ => set_property(image, name, value)?,
    }
    Ok(())
}

/// Removes one free-form property.
pub(super) fn remove(image: &mut Image, name: &str) -> Result<()> {
    check_writable(name)?;
    if BASE.contains(&name) {
        return Err(Error::forbidden(format!("Property {name} may not be removed.")));
    }
    match image.properties.remove(name) {
        Some(_) => Ok(()),
        None => Err(no_such_property(name)),
    }
}

/// 403 for what the cloud alone writes, and for what no property may be called.
pub(super) fn check_writable(name: &str) -> Result<()> {
    if name == "locations" {
        let message = "It's not allowed to update locations if locations are invisible.";
        return Err(Error::forbidden(message));
    }
    if READ_ONLY.contains(&name) {
        return Err(Error::forbidden(format!("Attribute '{name}' is read-only.")));
    }
    if RESERVED.contains(&name) || name.starts_with(RESERVED_PREFIX) {
        return Err(Error::forbidden(format!("Attribute '{name}' is reserved.")));
    }
    Ok(())
}

/// Whether the image has it: attributes always, properties when they were set.
pub(super) fn exists(image: &Image, name: &str) -> bool {
    READ_ONLY.contains(&name) || BASE.contains(&name) || image.properties.contains_key(name)
}

pub(super) fn no_such_property(name: &str) -> Error {
    Error::conflict("Conflict", format!("Property {name} does not exist."))
}

/// One more tag.
pub(super) fn add_tag(tags: &mut BTreeSet<String>, tag: &str) -> Result<()> {
    short("a tag", tag)?;
    tags.insert(tag.to_owned());
    if tags.len() > MAX_TAGS {
        return Err(Error::new(
            crate::ErrorKind::OverQuota,
            "LimitExceeded",
            format!("An image has at most {MAX_TAGS} tags."),
        ));
    }
    Ok(())
}

fn invalid(name: &str, wanted: &str) -> Error {
    Error::bad_request(
        "Invalid",
        format!("Provided object does not match schema 'image': '{name}' must be {wanted}"),
    )
}

fn short(what: &str, text: &str) -> Result<()> {
    if text.chars().count() > MAX_NAME_CHARS {
        return Err(invalid(what, &format!("at most {MAX_NAME_CHARS} characters long")));
    }
    Ok(())
}

fn optional_text(name: &str, value: &Value) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => {
            short(name, text)?;
            Ok(Some(text.clone()))
        }
        _ => Err(invalid(name, "a string or null")),
    }
}

fn boolean(name: &str, value: &Value) -> Result<bool> {
    value.as_bool().ok_or_else(|| invalid(name, "a boolean"))
}

fn number(name: &str, value: &Value) -> Result<u32> {
    let number = value.as_u64().and_then(|number| i32::try_from(number).ok());
    number.map(i32::unsigned_abs).ok_or_else(|| invalid(name, "an integer from 0 to 2147483647"))
}

fn visibility(value: &Value) -> Result<Visibility> {
    let parsed = value.as_str().and_then(Visibility::parse);
    parsed.ok_or_else(|| invalid("visibility", "one of public, private, shared, community"))
}

fn owner(value: &Value) -> Result<String> {
    let owner = value.as_str().ok_or_else(|| invalid("owner", "a string"))?;
    short("owner", owner)?;
    Ok(owner.to_owned())
}

/// The formats of data that is there, or on its way, stay as they were declared.
fn format<T>(
    image: &Image,
    name: &str,
    value: &Value,
    parse: fn(&str) -> Option<T>,
    known: &str,
) -> Result<Option<T>> {
    if image.status != ImageStatus::Queued {
        return Err(Error::forbidden(format!("Attribute {name} can be only replaced for a queued image.")));
    }
    match value {
        Value::Null => Ok(None),
        Value::String(text) => match parse(text) {
            Some(format) => Ok(Some(format)),
            None => Err(invalid(name, &format!("one of: {known}"))),
        },
        _ => Err(invalid(name, "a string or null")),
    }
}

fn tags(value: &Value) -> Result<BTreeSet<String>> {
    let list = value.as_array().ok_or_else(|| invalid("tags", "a list of strings"))?;
    let mut tags = BTreeSet::new();
    for tag in list {
        add_tag(&mut tags, tag.as_str().ok_or_else(|| invalid("tags", "a list of strings"))?)?;
    }
    Ok(tags)
}

/// Sets one free-form property.
pub(super) fn set_property(image: &mut Image, name: &str, value: &Value) -> Result<()> {
    if IMAGE_IDS.contains(&name) {
        if value.is_null() {
            image.properties.remove(name);
            return Ok(());
        }
        if !value.as_str().is_some_and(is_uuid) {
            return Err(invalid(name, "the id of an image, or null"));
        }
    }
    let text = value.as_str().ok_or_else(|| invalid(name, "a string"))?;
    short("a property's name", name)?;
    if name.is_empty() || text.len() > MAX_PROPERTY_BYTES {
        return Err(invalid(name, &format!("named, and its value at most {MAX_PROPERTY_BYTES} bytes long")));
    }
    image.properties.insert(name.to_owned(), text.to_owned());
    if image.properties.len() > MAX_PROPERTIES {
        let message = format!("An image has at most {MAX_PROPERTIES} properties.");
        return Err(Error::new(crate::ErrorKind::OverQuota, "LimitExceeded", message));
    }
    Ok(())
}
