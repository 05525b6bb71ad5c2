//! Glance's notifications (docs.openstack.org/glance, "Notifications"), with its payload: an image without its locations.

use serde_json::{Value, json};
use updraft_model::Timestamp;
use updraft_model::image::{Image, Member, Visibility};
use updraft_store::Notice;

use super::info;

/// `image.create`, `image.update`, `image.prepare`, `image.upload`, `image.activate`.
pub(crate) fn event(verb: &str, image: &Image) -> Notice {
    info(format!("image.{verb}"), payload(image))
}

/// The image is no more.
pub(crate) fn deleted(image: &Image, now: Timestamp) -> Notice {
    let mut payload = payload(image);
    payload["status"] = json!("deleted");
    payload["deleted"] = json!(true);
    payload["deleted_at"] = json!(now.seconds_z());
    info("image.delete", payload)
}

/// An upload or import that came to nothing.
pub(crate) fn upload_failed(image: &Image, reason: &str) -> Notice {
    let mut payload = payload(image);
    payload["message"] = json!(reason);
    Notice { is_error: true, ..info("image.upload", payload) }
}

/// `image.member.create`, `image.member.update`, `image.member.delete`.
pub(crate) fn member(verb: &str, member: &Member, deleted_at: Option<Timestamp>) -> Notice {
    let payload = json!({
        "image_id": member.image_id,
        "member_id": member.member_id,
        "status": member.status.as_str(),
        "created_at": member.created_at.seconds_z(),
        "updated_at": member.updated_at.seconds_z(),
        "deleted": deleted_at.is_some(),
        "deleted_at": deleted_at.map(Timestamp::seconds_z),
    });
    info(format!("image.member.{verb}"), payload)
}

fn payload(image: &Image) -> Value {
    let data = image.data.as_ref();
    json!({
        "id": image.id,
        "name": image.name,
        "status": image.status.as_str(),
        "created_at": image.created_at.seconds_z(),
        "updated_at": image.updated_at.seconds_z(),
        "min_disk": image.min_disk_gib,
        "min_ram": image.min_ram_mib,
        "protected": image.protected,
        "checksum": data.map(|data| &data.md5),
        "owner": image.owner,
        "disk_format": image.disk_format.map(|format| format.as_str()),
        "container_format": image.container_format.map(|format| format.as_str()),
        "size": image.size_bytes(),
        "virtual_size": data.map(|data| data.virtual_size_bytes),
        "is_public": image.visibility == Visibility::Public,
        "visibility": image.visibility.as_str(),
        "properties": image.properties,
        "tags": image.tags,
        "deleted": false,
        "deleted_at": null,
    })
}
