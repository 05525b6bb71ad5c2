//! Identifiers as OpenStack's clients expect them.
//!
//! Keystone's ids are 32 hexadecimal digits without dashes (and the domain `default`, literally);
//! every other service's are UUIDs with dashes.

use uuid::Uuid;

/// A fresh id for a project, user, role, domain, service or endpoint: 32 hexadecimal digits.
pub fn new_keystone_id() -> String {
    Uuid::new_v4().simple().to_string()
}

/// A fresh id for everything outside identity: a UUID with dashes, lower case.
pub fn new_uuid() -> String {
    Uuid::new_v4().to_string()
}

/// Whether `text` is a UUID with dashes, which is the only form that may become part of a path.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{is_uuid, new_keystone_id, new_uuid};

    #[test]
    fn ids_have_the_shapes_that_clients_check() {
        assert_eq!(new_keystone_id().len(), 32);
        assert!(new_keystone_id().chars().all(|digit| digit.is_ascii_hexdigit()));
        assert!(is_uuid(&new_uuid()));
    }

    #[test]
    fn a_path_is_not_an_id() {
        assert!(!is_uuid("../../etc/passwd"));
        assert!(!is_uuid(&new_keystone_id()));
        assert!(!is_uuid("{12345678-1234-1234-1234-1234567890}"));
    }
}
