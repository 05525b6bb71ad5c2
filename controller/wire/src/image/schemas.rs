//! `GET /v2/schemas/*`: JSON schemas of what the image API answers. Older clients load them first.

use serde_json::{Value, json};

/// `GET /v2/schemas/image`.
pub fn image() -> Value {
    json!({
        "name": "image",
        "properties": properties(),
        "additionalProperties": {"type": "string"},
        "links": [
            {"rel": "self", "href": "{self}"},
            {"rel": "enclosure", "href": "{file}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    })
}

/// `GET /v2/schemas/images`.
pub fn images() -> Value {
    json!({
        "name": "images",
        "properties": {
            "images": {"type": "array", "items": image()},
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    })
}

/// `GET /v2/schemas/member`.
pub fn member() -> Value {
    json!({
        "name": "member",
        "properties": {
            "image_id": {"type": "string", "description": "An identifier for the image", "pattern": UUID},
            "member_id": {"type": "string", "description": "The project that the image is shared with"},
            "status": {"type": "string", "enum": ["pending", "accepted", "rejected"]},
            "created_at": {"type": "string", "description": "When the image was offered"},
            "updated_at": {"type": "string", "description": "When the status last changed"},
            "schema": {"type": "string", "readOnly": true},
        },
    })
}

/// `GET /v2/schemas/members`.
pub fn members() -> Value {
    json!({
        "name": "members",
        "properties": {
            "members": {"type": "array", "items": member()},
            "schema": {"type": "string"},
        },
        "links": [{"rel": "describedby", "href": "{schema}"}],
    })
}

pub(super) const UUID: &str =
    "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$";

fn properties() -> Value {
    json!({
        "id": {"type": "string", "description": "An identifier for the image", "pattern": UUID},
        "name": {"type": ["null", "string"], "description": "Descriptive name for the image", "maxLength": 255},
        "status": {
            "type": "string",
            "readOnly": true,
            "description": "Status of the image",
            "enum": [
                "queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete",
                "deactivated",
            ],
        },
        "visibility": {
            "type": "string",
            "description": "Scope of image accessibility",
            "enum": ["community", "public", "private", "shared"],
        },
        "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
        "os_hidden": {"type": "boolean", "description": "If true, image will not appear in default lists."},
        "owner": {"type": ["null", "string"], "description": "Owner of the image", "maxLength": 255},
        "disk_format": {"type": ["null", "string"], "description": "Format of the disk", "enum": [null, "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "gpt"]},
        "container_format": {"type": ["null", "string"], "description": "Format of the container", "enum": [null, "ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"]},
        "min_disk": {"type": "integer", "description": "Amount of disk space (in GB) required to boot image."},
        "min_ram": {"type": "integer", "description": "Amount of ram (in MB) required to boot image."},
        "size": read_only(["null", "integer"], "Size of image file in bytes"),
        "virtual_size": read_only(["null", "integer"], "Virtual size of image in bytes"),
        "checksum": hash(32, "md5 hash of image contents."),
        "os_hash_algo": hash(64, "Algorithm to calculate the os_hash_value"),
        "os_hash_value": hash(128, "Hexdigest of the image contents by os_hash_algo"),
        "tags": {
            "type": "array",
            "description": "List of strings related to the image",
            "items": {"type": "string", "maxLength": 255},
        },
        "created_at": read_only("string", "Date and time of image registration"),
        "updated_at": read_only("string", "Date and time of the last image modification"),
        "self": read_only("string", "An image self url"),
        "file": read_only("string", "An image file url"),
        "schema": read_only("string", "An image schema url"),
        "stores": read_only("string", "Store in which image data resides."),
        "direct_url": read_only("string", "URL to access the image file kept in external store"),
        "locations": locations(),
        "kernel_id": another_image("kernel"),
        "ramdisk_id": another_image("ramdisk"),
        "instance_uuid": custom("The server that the image was made of; for information only."),
        "architecture": custom("Operating system architecture"),
        "os_distro": custom("Common name of the operating system's distribution"),
        "os_version": custom("Operating system version as its distributor names it"),
        "description": custom("What the image is, for people to read."),
        "cinder_encryption_key_id": custom("The key of the volume that the image was made of."),
        "cinder_encryption_key_deletion_policy": {
            "type": "string",
            "is_base": false,
            "description": "Whether that key goes with the image.",
            "enum": ["on_image_deletion", "do_not_delete"],
        },
    })
}

/// A property that is free-form to the service and has a meaning by convention.
fn custom(description: &str) -> Value {
    json!({"type": "string", "is_base": false, "description": description})
}

fn another_image(role: &str) -> Value {
    let description = format!("The image that is the {role} of this one, where it is of Amazon's kind.");
    json!({"type": ["null", "string"], "is_base": false, "pattern": UUID, "description": description})
}

fn locations() -> Value {
    json!({
        "type": "array",
        "description": "A set of URLs to access the image file kept in external store",
        "items": {
            "type": "object",
            "required": ["url", "metadata"],
            "properties": {
                "url": {"type": "string", "maxLength": 255},
                "metadata": {"type": "object"},
                "validation_data": {
                    "type": "object",
                    "description": "Hashes that the data must have, or has already.",
                    "writeOnly": true,
                    "additionalProperties": false,
                    "required": ["os_hash_algo", "os_hash_value"],
                    "properties": {
                        "checksum": {"type": "string", "minLength": 32, "maxLength": 32},
                        "os_hash_algo": {"type": "string", "maxLength": 64},
                        "os_hash_value": {"type": "string", "maxLength": 128},
                    },
                },
            },
        },
    })
}

fn hash(max_length: u32, description: &str) -> Value {
    let mut schema = read_only(["null", "string"], description);
    schema["maxLength"] = json!(max_length);
    schema
}

fn read_only(kind: impl serde::Serialize, description: &str) -> Value {
    json!({"type": kind, "description": description, "readOnly": true})
}
