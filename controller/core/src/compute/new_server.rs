//! What a new server's request must hold to, before anything is looked up.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::net::IpAddr;
use updraft_model::compute::DEFAULT_AVAILABILITY_ZONE;
use updraft_model::compute::server::DiskConfig;
use updraft_wire::compute::server_create::{BlockDevice, CreateServer, Networks, NewServer};

use super::access::enforce;
use super::text::{is_clean, is_printable};
use crate::{Caller, Error, Result};

const LONGEST_NAME: usize = 255;
/// Characters of base64.
const LONGEST_USER_DATA: usize = 65_535;
/// Servers of one request. The quota is the real limit; this one bounds the transaction.
const MOST_SERVERS: u32 = 100;
const LONGEST_HOSTNAME: usize = 255;

/// How many servers: at least, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub min: u32,
    pub max: u32,
}

/// Where it shall run, as far as the request says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Placement {
    pub availability_zone: Option<String>,
    pub host: Option<String>,
}

fn refuse(message: impl Into<String>) -> Error {
    Error::bad_request("BadRequest", message)
}

/// The checks that need neither database nor caller.
pub(super) fn check(request: &CreateServer) -> Result<()> {
    let server = &request.server;
    check_user_data(server.user_data.as_deref())?;
    for device in &request.block_devices {
        check_block_device(device, server.image_ref.as_deref())?;
    }
    if !server.block_device_mapping.is_empty() {
        return Err(refuse("Block Device Mapping is Invalid: booting from volumes is not offered."));
    }
    if !server.personality.is_empty() {
        return Err(refuse("File injection is not offered; use user data."));
    }
    check_description(server.description.as_deref())?;
    check_destination(server)?;
    check_network_tags(&request.networks)?;
    if server.trusted_image_certificates.is_some() {
        return Err(refuse(
            "Certificates of images are not verified here: leave trusted_image_certificates out.",
        ));
    }
    if let Some(group) = request.hints.get("group").filter(|group| !group.is_null()) {
        return Err(refuse(format!("No instance group found for group: {}", group.as_str().unwrap_or("?"))));
    }
    Ok(())
}

/// A description: up to 255 printable characters.
pub(super) fn check_description(text: Option<&str>) -> Result<()> {
    const LONGEST: usize = 255;
    if text.is_some_and(|text| text.chars().count() > LONGEST || !is_printable(text)) {
        let rule = "up to 255 printable characters";
        return Err(refuse(format!("Invalid input for field/attribute description. It has {rule}")));
    }
    Ok(())
}

/// Where to run is said in one way, and in words that could be names.
fn check_destination(server: &NewServer) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    for host in [&server.host, &server.hypervisor_hostname].into_iter().flatten() {
        if host.is_empty() || host.len() > LONGEST_HOSTNAME || !host.chars().all(plain) {
            return Err(refuse("Invalid input for field/attribute host. It is not the name of a host"));
        }
    }
    let Some(zone) = server.availability_zone.as_deref() else { return Ok(()) };
    if zone.is_empty() || zone.chars().count() > LONGEST_NAME || !is_clean(zone) {
        return Err(refuse("Invalid input for field/attribute availability_zone. It is not a name"));
    }
    if zone.contains(':') && (server.host.is_some() || server.hypervisor_hostname.is_some()) {
        return Err(refuse(
            "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are \
             mutually exclusive.",
        ));
    }
    Ok(())
}

fn check_network_tags(networks: &Networks) -> Result<()> {
    let Networks::These(networks) = networks else { return Ok(()) };
    let mut tags = networks.iter().filter_map(|network| network.tag.clone());
    tags.try_for_each(|tag| super::server::check_tags(&mut vec![tag]))
}

/// The plain boot from an image that clients always spell out. Anything else needs volumes.
fn check_block_device(device: &BlockDevice, image_ref: Option<&str>) -> Result<()> {
    let is = |field: &Option<String>, value: &str| field.as_deref() == Some(value);
    let first = device.boot_index.as_ref().is_some_and(|index| *index == 0 || *index == "0");
    let same_image = image_ref.is_none() || device.uuid.as_deref() == image_ref;
    if is(&device.source_type, "image") && is(&device.destination_type, "local") && first && same_image {
        return Ok(());
    }
    Err(refuse("Block Device Mapping is Invalid: only a local root disk made from the image is offered."))
}

/// The image to boot from: named by itself, or by the block device mapping.
pub(super) fn image_id(request: &CreateServer) -> Result<&str> {
    let named = request.server.image_ref.as_deref().filter(|image| !image.is_empty());
    let mapped = request.block_devices.first().and_then(|device| device.uuid.as_deref());
    named.or(mapped).ok_or_else(|| refuse("Invalid imageRef provided."))
}

fn check_user_data(user_data: Option<&str>) -> Result<()> {
    let Some(user_data) = user_data else { return Ok(()) };
    if user_data.len() > LONGEST_USER_DATA {
        return Err(refuse(
            "Invalid input for field/attribute user_data. It is longer than 65535 characters",
        ));
    }
    let plain: String = user_data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    match STANDARD.decode(plain) {
        Ok(_) => Ok(()),
        Err(_) => Err(refuse("Userdata content cannot be decoded: it must be base64")),
    }
}

/// A display name: 1 to 255 printable characters, no blank at either end.
pub(super) fn checked_name(name: &str) -> Result<String> {
    if name.is_empty() || name.chars().count() > LONGEST_NAME || !is_clean(name) {
        let rule = "1 to 255 printable characters without blanks at the ends";
        return Err(refuse(format!("Invalid input for field/attribute name. It needs {rule}")));
    }
    Ok(name.to_owned())
}

/// A host name: DNS labels with dots between them.
pub(super) fn checked_hostname(hostname: &str) -> Result<String> {
    const LONGEST_LABEL: usize = 63;
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        !label.is_empty()
            && label.len() <= LONGEST_LABEL
            && plain
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if hostname.len() > LONGEST_HOSTNAME || !hostname.split('.').all(label) {
        return Err(refuse("Invalid input for field/attribute hostname. It is not a host name"));
    }
    Ok(hostname.to_owned())
}

pub(super) fn count(server: &NewServer) -> Result<Count> {
    let min = server.min_count.unwrap_or(1);
    let max = server.max_count.unwrap_or(min);
    if min == 0 || max == 0 {
        return Err(refuse("Invalid input for field/attribute min_count. At least 1 is expected"));
    }
    if min > max {
        return Err(refuse("min_count must be <= max_count"));
    }
    if max > MOST_SERVERS {
        return Err(refuse(format!("max_count must be <= {MOST_SERVERS}")));
    }
    if max > 1 && server.hostname.is_some() {
        return Err(refuse("A multi-create request cannot have one hostname for all its servers"));
    }
    Ok(Count { min, max })
}

/// Manual, unless the other is asked for.
pub(super) fn disk_config(text: Option<&str>) -> Result<DiskConfig> {
    match text {
        Some("AUTO") => Ok(DiskConfig::Auto),
        None | Some("MANUAL") => Ok(DiskConfig::Manual),
        Some(_) => {
            Err(refuse("Invalid input for field/attribute OS-DCF:diskConfig. AUTO or MANUAL is expected"))
        }
    }
}

pub(super) fn access_ip(text: Option<&str>, version: u8) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    let address = text.parse::<IpAddr>().ok().filter(|address| address.is_ipv4() == (version == 4));
    match address {
        // In its shortest form.
        Some(address) => Ok(Some(address.to_string())),
        None => {
            Err(refuse(format!("Invalid input for field/attribute accessIPv{version}. It is not an address")))
        }
    }
}

/// `availability_zone` (`zone:host` and `zone:host:node` by rules of their own), `host`, `hypervisor_hostname`.
pub(super) fn placement(server: &NewServer, caller: &Caller) -> Result<Placement> {
    let mut placement = Placement::default();
    if let Some(text) = server.availability_zone.as_deref() {
        let mut parts = text.splitn(3, ':');
        let zone = parts.next().unwrap_or_default();
        let named: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        if !zone.is_empty() && zone != DEFAULT_AVAILABILITY_ZONE {
            return Err(refuse("The requested availability zone is not available"));
        }
        placement.availability_zone = Some(zone.to_owned()).filter(|zone| !zone.is_empty());
        if let Some(host) = named.first() {
            enforce(caller, "os_compute_api:servers:create:forced_host")?;
            placement.host = Some((*host).to_owned());
        }
    }
    for host in [&server.host, &server.hypervisor_hostname].into_iter().flatten() {
        enforce(caller, "compute:servers:create:requested_destination")?;
        placement.host = Some(host.clone());
    }
    Ok(placement)
}

/// Whether a hint was given that this scheduler knows nothing of. They are taken, as Nova takes them, without effect.
pub(super) fn unknown_hints(hints: &serde_json::Map<String, Value>) -> Vec<&str> {
    hints.keys().map(String::as_str).filter(|name| *name != "group").collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use updraft_wire::compute::Microversion;
    use updraft_wire::compute::server_create::CreateServer;

    use updraft_model::compute::server::DiskConfig;

    use super::{
        Count, access_ip, check, check_description, checked_hostname, checked_name, count, disk_config,
        image_id,
    };

    fn request(extra: Value) -> CreateServer {
        let mut server = json!({"name": "n", "imageRef": "i", "flavorRef": "1"});
        server.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        CreateServer::read(json!({ "server": server }), Microversion(1)).unwrap()
    }

    /// (what is added to a good request, whether it is still good)
    #[test]
    fn only_what_is_offered_is_taken() {
        let device = |source: &str, destination: &str, index: i64| {
            json!({"block_device_mapping_v2": [{"uuid": "i", "source_type": source, "destination_type": destination,
                "boot_index": index}]})
        };
        for (extra, good) in [
            (json!({}), true),
            (device("image", "local", 0), true),
            (device("image", "volume", 0), false),
            (device("volume", "volume", 0), false),
            (device("blank", "local", -1), false),
            (json!({"user_data": "aGVsbG8="}), true),
            (json!({"user_data": "not base64!"}), false),
            (json!({"user_data": "a".repeat(65_536)}), false),
            (json!({"personality": [{"path": "/x", "contents": ""}]}), false),
            (json!({"block_device_mapping": [{"volume_id": "v"}]}), false),
            (json!({"availability_zone": "nova:node-1"}), true),
            (json!({"availability_zone": ""}), false),
        ] {
            assert_eq!(check(&request(extra.clone())).is_ok(), good, "{extra}");
        }
    }

    #[test]
    fn the_image_may_be_in_the_mapping_alone() {
        let mapped = json!({"imageRef": "", "block_device_mapping_v2": [{"uuid": "m", "source_type": "image",
            "destination_type": "local", "boot_index": 0}]});
        assert_eq!(image_id(&request(mapped)).unwrap(), "m");
        assert!(image_id(&request(json!({"imageRef": ""}))).is_err());
    }

    #[test]
    fn counts() {
        let count = |extra| count(&request(extra).server);
        assert_eq!(count(json!({})).unwrap(), Count { min: 1, max: 1 });
        assert_eq!(count(json!({"min_count": 2})).unwrap(), Count { min: 2, max: 2 });
        assert_eq!(count(json!({"max_count": 3})).unwrap(), Count { min: 1, max: 3 });
        for bad in
            [json!({"min_count": 0}), json!({"min_count": 3, "max_count": 2}), json!({"max_count": 101})]
        {
            assert!(count(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn names() {
        assert!(checked_name("a name; with 'anything' <printable>").is_ok());
        assert!(check_description(Some("")).is_ok());
        assert!(check_description(Some("a\nb")).is_err());
        assert!(check_description(Some(&"x".repeat(256))).is_err());
        for bad in ["", " a", "a ", "a\nb", "\u{200b}", &"x".repeat(256)] {
            assert!(checked_name(bad).is_err(), "{bad:?}");
        }
        assert!(checked_hostname("web-1.example.org").is_ok());
        for bad in ["", "-a", "a-", "a..b", "a b", "a\n", &"x".repeat(64)] {
            assert!(checked_hostname(bad).is_err(), "{bad:?}");
        }
        assert!(access_ip(Some("1.2.3.4"), 4).is_ok() && access_ip(Some("1.2.3.4"), 6).is_err());
        assert!(access_ip(Some(""), 4).is_err());
        assert_eq!(access_ip(Some("FE80:0::1"), 6).unwrap().as_deref(), Some("fe80::1"));
        assert_eq!(disk_config(None).unwrap(), DiskConfig::Manual);
    }
}
