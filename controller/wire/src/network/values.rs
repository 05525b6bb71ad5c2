//! Looks at values of attributes before they are read, and says what is wrong as Neutron does.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::body::Invalid;
use super::field::{INVALID_INPUT, python};

/// Words that are never null.
const TEXTS: [&str; 5] = ["name", "device_id", "device_owner", "description", "provider:network_type"];
/// Names of DNS, which are never null either, and refused in other words.
const DNS_NAMES: [&str; 2] = ["dns_name", "dns_domain"];
/// Ids that are never null.
const IDS: [&str; 2] = ["network_id", "floating_network_id"];
/// Ids, or null.
const IDS_OR_NULL: [&str; 2] = ["port_id", "subnet_id"];

const UUID_CHARS: usize = 36;

pub(super) fn check(item: &Value) -> Result<(), Invalid> {
    let Value::Object(fields) = item else { return Ok(()) };
    for (name, value) in fields {
        check_one(name, value)?;
    }
    Ok(())
}

fn check_one(name: &str, value: &Value) -> Result<(), Invalid> {
    if TEXTS.contains(&name) && !value.is_string() {
        return Err(wrong(name, format!("'{}' is not a valid string", python(value))));
    }
    if DNS_NAMES.contains(&name) && !value.is_string() {
        let message = format!("{INVALID_INPUT} Input value {} must be string type.", python(value));
        return Err(Invalid { code: "InvalidInput", message });
    }
    if IDS.contains(&name) || IDS_OR_NULL.contains(&name) && !value.is_null() {
        return check_id(name, value);
    }
    match (name, value) {
        // Whatever it looks like, a group that is not there is one that is not found.
        ("security_group_id", value) if value.as_str().is_none_or(|id| id.len() > UUID_CHARS) => {
            Err(wrong(name, format!("'{}' is not a valid string", python(value))))
        }
        ("fixed_ips", Value::Array(elements)) => check_fixed_ips(elements),
        ("security_groups", Value::Array(elements)) => check_ids(name, elements),
        ("extra_dhcp_opts", Value::Array(elements)) => elements.iter().try_for_each(check_dhcp_option),
        ("fixed_ips", Value::Null) => Err(wrong(name, "Invalid data format for fixed IP: 'None'")),
        ("allocation_pools", Value::Null) => Err(wrong(name, "Invalid data format for IP pool: 'None'")),
        _ => Ok(()),
    }
}

fn wrong(name: &str, reason: impl std::fmt::Display) -> Invalid {
    Invalid { code: "HTTPBadRequest", message: format!("Invalid input for {name}. Reason: {reason}.") }
}

fn check_id(name: &str, value: &Value) -> Result<(), Invalid> {
    if value.as_str().is_some_and(is_uuid) {
        return Ok(());
    }
    Err(wrong(name, format!("'{}' is not a valid UUID", python(value))))
}

/// 32 hexadecimal digits, wherever hyphens stand.
fn is_uuid(text: &str) -> bool {
    let digits = || text.bytes().filter(|byte| *byte != b'-');
    digits().count() == 32 && digits().all(|byte| byte.is_ascii_hexdigit())
}

fn check_dhcp_option(element: &Value) -> Result<(), Invalid> {
    if element.get("opt_name").is_some_and(Value::is_string) && element.get("opt_value").is_some() {
        return Ok(());
    }
    let message = format!("{INVALID_INPUT} No valid key specs matched for: {}.", python(element));
    Err(Invalid { code: "InvalidInput", message })
}

fn check_ids(name: &str, elements: &[Value]) -> Result<(), Invalid> {
    let mut seen = HashSet::with_capacity(elements.len());
    for element in elements {
        check_id(name, element)?;
        if !seen.insert(element.as_str()) {
            return Err(wrong(name, format!("Duplicate items in the list: '{}'", python(element))));
        }
    }
    Ok(())
}

fn check_fixed_ips(elements: &[Value]) -> Result<(), Invalid> {
    let mut seen = HashSet::with_capacity(elements.len());
    for element in elements {
        check_fixed_ip(element)?;
        let Some(address) = element.get("ip_address") else { continue };
        if !seen.insert(address.to_string()) {
            return Err(wrong("fixed_ips", format!("Duplicate IP address '{}'", python(address))));
        }
    }
    Ok(())
}

fn check_fixed_ip(element: &Value) -> Result<(), Invalid> {
    let none = Map::new();
    let fields = element.as_object().unwrap_or(&none);
    if fields.get("ip_address").is_some_and(Value::is_null) {
        return Err(wrong("fixed_ips", "'None' is not a valid IP address"));
    }
    fields.get("subnet_id").map_or(Ok(()), |id| check_id("fixed_ips", id))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;

    const ID: &str = "00000000-0000-4000-8000-000000000000";

    fn reason(item: &Value) -> String {
        check(item).map_or_else(|refusal| refusal.message, |()| "accepted".into())
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (json!({"name": 5}), "Invalid input for name. Reason: '5' is not a valid string."),
            (json!({"name": null}), "Invalid input for name. Reason: 'None' is not a valid string."),
            (json!({"dns_name": null}), "Invalid input for operation: Input value None must be string type."),
            (json!({"network_id": "x"}), "Invalid input for network_id. Reason: 'x' is not a valid UUID."),
            (json!({"port_id": null, "network_id": ID}), "accepted"),
            (
                json!({"fixed_ips": [{"subnet_id": "x"}]}),
                "Invalid input for fixed_ips. Reason: 'x' is not a valid UUID.",
            ),
            (
                json!({"fixed_ips": [{"subnet_id": ID, "ip_address": null}]}),
                "Invalid input for fixed_ips. Reason: 'None' is not a valid IP address.",
            ),
            (json!({"security_groups": null}), "accepted"),
            (
                json!({"extra_dhcp_opts": [{"opt_name": "mtu"}]}),
                "Invalid input for operation: No valid key specs matched for: {\"opt_name\":\"mtu\"}.",
            ),
            (
                json!({"security_groups": ["x"]}),
                "Invalid input for security_groups. Reason: 'x' is not a valid UUID.",
            ),
        ];
        for (item, expected) in cases {
            assert_eq!(reason(&item), expected, "{item}");
        }
        assert!(reason(&json!({"security_groups": [ID, ID]})).contains("Duplicate items"));
    }
}
