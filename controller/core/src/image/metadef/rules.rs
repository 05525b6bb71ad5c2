//! What rules are asked about metadata definitions. Who may not see a namespace does not find it; those of others that
//! are not public are for administrators alone, whatever rules say.

use updraft_model::image::metadef::{ItemKind, Namespace};

use super::super::access::is_admin;
use super::not_found;
use crate::policy::{Service, Target, refusal};
use crate::{Caller, Result};

/// What is done to what a namespace holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    List,
    Get,
    Add,
    Modify,
    Remove,
}

pub(super) fn item_rule(verb: Verb, kind: ItemKind) -> &'static str {
    match (kind, verb) {
        (ItemKind::Object, Verb::List) => "get_metadef_objects",
        (ItemKind::Object, Verb::Get) => "get_metadef_object",
        (ItemKind::Object, Verb::Add) => "add_metadef_object",
        (ItemKind::Object, Verb::Modify) => "modify_metadef_object",
        (ItemKind::Object, Verb::Remove) => "delete_metadef_object",
        (ItemKind::Property, Verb::List) => "get_metadef_properties",
        (ItemKind::Property, Verb::Get) => "get_metadef_property",
        (ItemKind::Property, Verb::Add) => "add_metadef_property",
        (ItemKind::Property, Verb::Modify) => "modify_metadef_property",
        (ItemKind::Property, Verb::Remove) => "remove_metadef_property",
        (ItemKind::Tag, Verb::List) => "get_metadef_tags",
        (ItemKind::Tag, Verb::Get) => "get_metadef_tag",
        (ItemKind::Tag, Verb::Add) => "add_metadef_tag",
        (ItemKind::Tag, Verb::Modify) => "modify_metadef_tag",
        (ItemKind::Tag, Verb::Remove) => "delete_metadef_tag",
        (ItemKind::ResourceType, Verb::List) => "list_metadef_resource_types",
        (ItemKind::ResourceType, Verb::Get) => "get_metadef_resource_type",
        // No call changes an association: it is made anew.
        (ItemKind::ResourceType, Verb::Add | Verb::Modify) => "add_metadef_resource_type_association",
        (ItemKind::ResourceType, Verb::Remove) => "remove_metadef_resource_type_association",
    }
}

fn target(namespace: &Namespace) -> Target<'_> {
    let visibility = if namespace.public { "public" } else { "private" };
    Target { visibility: Some(visibility), ..Target::of_project(&namespace.owner) }
}

pub(super) fn may(caller: &Caller, namespace: &Namespace, rule: &str) -> bool {
    let is_own = caller.project_id.as_deref() == Some(&namespace.owner);
    (namespace.public || is_own || is_admin(caller)) && caller.may(rule, &target(namespace))
}

/// 403 when the rule does not let the caller, 404 when it may not even see the namespace.
pub(super) fn enforce(caller: &Caller, namespace: &Namespace, rule: &str) -> Result<()> {
    if may(caller, namespace, rule) {
        return Ok(());
    }
    let is_seen = rule != "get_metadef_namespace" && may(caller, namespace, "get_metadef_namespace");
    Err(if is_seen { refusal(Service::Image, rule) } else { not_found(&namespace.namespace) })
}

/// For calls that are about no namespace, or about one that is not there yet.
pub(super) fn enforce_new(caller: &Caller, rule: &str) -> Result<()> {
    caller.enforce(rule, &Target::own(caller))
}
