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

const UUID: &str = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$";

fn properties() -> Value {
    json!({
        "id": {"type": "string", "description": "An identifier for the image", "pattern": UUID},
        "name": {"type": ["null", "string"], "description": "Descriptive name for the image", "maxLength": 255},
        "status": read_only("string", "Status of the image"),
        "visibility": {
            "type": "string",
            "description": "Scope of image accessibility",
            "enum": ["community", "public", "private", "shared"],
        },
        "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
        "os_hidden": {"type": "boolean", "description": "If true, image will not appear in default lists."},
        "owner": {"type": ["null", "string"], "description": "Owner of the image", "maxLength": 255},
        "disk_format": {"type": ["null", "string"], "enum": [null, "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso"]},
        "container_format": {"type": ["null", "string"], "enum": [null, "ami", "ari", "aki", "bare"]},
        "min_disk": {"type": "integer", "description": "Amount of disk space (in GB) required to boot image."},
        "min_ram": {"type": "integer", "description": "Amount of ram (in MB) required to boot image."},
        "size": read_only(["null", "integer"], "Size of image file in bytes"),
        "virtual_size": read_only(["null", "integer"], "Virtual size of image in bytes"),
        "checksum": read_only(["null", "string"], "md5 hash of image contents."),
        "os_hash_algo": read_only(["null", "string"], "Algorithm to calculate the os_hash_value"),
        "os_hash_value": read_only(["null", "string"], "Hexdigest of the image contents by os_hash_algo"),
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
    })
}

fn read_only(kind: impl serde::Serialize, description: &str) -> Value {
    json!({"type": kind, "description": description, "readOnly": true})
}
