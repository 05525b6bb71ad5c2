//! Key pairs (API reference, "Keypairs").

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Microversion;
use super::rules::{self, Field, SchemaError};

const CREATE: &[Field] = &[
    Field::always("name"),
    Field::always("public_key"),
    Field::since("type", 2),
    Field::since("user_id", 10),
];

const MEMBERS: &[Field] = &[
    Field::always("name"),
    Field::always("public_key"),
    Field::always("fingerprint"),
    Field::since("type", 2),
];

/// `POST /os-keypairs`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct CreateKeyPair {
    pub name: String,
    /// Without it the service makes the pair; no longer from 2.92 on.
    pub public_key: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub user_id: Option<String>,
}

impl CreateKeyPair {
    pub fn read(mut body: Value, version: Microversion) -> Result<Self, SchemaError> {
        const IMPORT_ONLY_SINCE: u16 = 92;
        let request: Self = rules::read_filled(&mut body, "keypair", CREATE, version, &[])?;
        if version.at_least(IMPORT_ONLY_SINCE) && request.public_key.is_none() {
            return Err(SchemaError::invalid("keypair", "'public_key' is a required property"));
        }
        Ok(request)
    }
}

/// Everything that any version shows of a key pair.
#[derive(Clone, Debug)]
pub struct KeyPairView {
    pub id: i64,
    pub name: String,
    pub user_id: String,
    pub public_key: String,
    pub fingerprint: String,
    pub kind: &'static str,
    /// With microseconds and without a zone.
    pub created_at: String,
}

impl KeyPairView {
    fn members(&self, version: Microversion) -> Value {
        let mut value = json!({
            "name": self.name,
            "public_key": self.public_key,
            "fingerprint": self.fingerprint,
            "type": self.kind,
        });
        if let Some(object) = value.as_object_mut() {
            rules::keep(object, MEMBERS, version, false);
        }
        value
    }

    /// A member of `GET /os-keypairs`.
    pub fn listed(&self, version: Microversion) -> Value {
        json!({"keypair": self.members(version)})
    }

    /// `GET /os-keypairs/{name}`.
    pub fn shown(&self, version: Microversion) -> Value {
        let mut keypair = self.members(version);
        keypair["user_id"] = json!(self.user_id);
        keypair["id"] = json!(self.id);
        keypair["created_at"] = json!(self.created_at);
        keypair["deleted"] = json!(false);
        keypair["deleted_at"] = Value::Null;
        keypair["updated_at"] = Value::Null;
        json!({ "keypair": keypair })
    }

    /// The answer of `POST /os-keypairs`; `private_key` when the service made the pair.
    pub fn created(&self, version: Microversion, private_key: Option<&str>) -> Value {
        let mut keypair = self.members(version);
        keypair["user_id"] = json!(self.user_id);
        if let Some(private_key) = private_key {
            keypair["private_key"] = json!(private_key);
        }
        json!({ "keypair": keypair })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{CreateKeyPair, KeyPairView};
    use crate::compute::Microversion;

    #[test]
    fn the_type_came_with_2_2_and_generation_went_with_2_92() {
        let read = |body: serde_json::Value, minor| {
            CreateKeyPair::read(json!({ "keypair": body }), Microversion(minor))
        };
        assert!(read(json!({"name": "k", "type": "ssh"}), 1).is_err());
        assert!(read(json!({"name": "k", "type": "ssh"}), 2).is_ok());
        assert!(read(json!({"name": "k", "user_id": "u"}), 9).is_err());
        assert!(read(json!({"name": "k"}), 91).is_ok());
        assert!(read(json!({"name": "k", "public_key": null}), 91).is_err());
        assert!(read(json!({"name": "k", "type": null}), 91).is_err());
        assert!(read(json!({"name": "k"}), 92).is_err());
    }

    #[test]
    fn a_key_pair_shows_its_private_half_once() {
        let view = KeyPairView {
            id: 1,
            name: "k".into(),
            user_id: "u".into(),
            public_key: "ssh-ed25519 AAAA".into(),
            fingerprint: "00".into(),
            kind: "ssh",
            created_at: "2026-01-01T00:00:00.000000".into(),
        };
        let version = Microversion(10);
        assert_eq!(view.created(version, Some("secret"))["keypair"]["private_key"], "secret");
        assert!(view.shown(version)["keypair"].get("private_key").is_none());
        assert!(view.listed(Microversion(1))["keypair"].get("type").is_none());
    }
}
