//! Ports: making, reading and deleting them. [`super::port_update`] changes them.

use std::collections::{BTreeSet, HashMap};

use updraft_model::Timestamp;
use updraft_model::id::new_uuid;
use updraft_model::network::{
    AddressPair, ExtraDhcpOption, Network, Port, PortStatus, Refusal, Standard, device_owner,
};
use updraft_store::network::network::{self, NetworkFilter};
pub use updraft_store::network::port::PortFilter;
use updraft_store::network::{floating_ip, port};
use updraft_store::{Conn, Tx};
use updraft_wire::network::{AddressPairFields, CreatePort, DhcpOptionFields, FixedIpFields};

use super::Aim;
use super::access::{
    attributes, forbidden, hidden as hidden_by, in_network, is_admin, owner_of_new, reaches, scope,
};
use super::address::{self, Allocation};
use super::change::change;
use super::error::{found, invalid_attribute, invalid_input, network_not_found, port_not_found};
use super::{input, quota, security_group};
use crate::policy::Target;
use crate::{Caller, Core, Error, Result};

pub use super::port_update::update;

/// Characters of the name and of the value of a DHCP option.
const MAX_DHCP_OPTION: usize = 255;
/// DHCP options of one port.
const MAX_DHCP_OPTIONS: usize = 10;
/// The kind of card that every port of ours is.
const VNIC_TYPE: &str = "normal";

/// Makes ports, all or none.
pub async fn create(core: &Core, caller: &Caller, requests: Vec<CreatePort>) -> Result<Vec<Port>> {
    let (caller, now) = (caller.clone(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let mut ports = Vec::with_capacity(requests.len());
            for request in requests {
                ports.push(create_in(tx, &caller, request, now).await?);
            }
            Ok(ports)
        })
    })
    .await
}

/// Makes a port inside a transaction.
pub(super) async fn create_in(
    tx: &mut Tx,
    caller: &Caller,
    request: CreatePort,
    now: Timestamp,
) -> Result<Port> {
    let project_id = owner_of_new(caller, request.project_id.as_deref())?;
    let network = super::network::visible(tx, caller, &request.network_id).await?;
    may_create(caller, &project_id, &network, &request)?;
    quota::check(tx, &project_id, "port").await?;
    let wanted_mac = request.mac_address.as_deref().filter(|mac| !mac.is_empty());
    let wanted_mac = wanted_mac.map(|text| input::mac("mac_address", text)).transpose()?;
    let mac = address::mac(tx, &network.id, wanted_mac).await?;
    let owner = input::text("device_owner", request.device_owner)?;
    let allocation = Allocation { network_id: &network.id, device_owner: &owner, mac, own: &[] };
    let fixed_ips = allocation.allocate(tx, request.fixed_ips.as_deref()).await?;
    let port_security_enabled = request.port_security_enabled.unwrap_or(network.port_security_enabled);
    let groups = match request.security_groups {
        Some(ids) => security_group::check_members(tx, caller, &project_id, ids).await?,
        None if port_security_enabled => vec![security_group::ensure_default(tx, &project_id, now).await?],
        None => Vec::new(),
    };
    let port = Port {
        id: new_uuid(),
        network_id: network.id,
        project_id,
        name: input::text("name", request.name)?,
        mac,
        admin_state_up: request.admin_state_up.unwrap_or(true),
        status: PortStatus::Down,
        device_id: input::text("device_id", request.device_id)?,
        device_owner: owner,
        server_id: None,
        server_position: 0,
        owned_by_server: false,
        host_id: request.host_id.filter(|host| !host.is_empty()),
        binding_profile: request.profile.unwrap_or_default(),
        vnic_type: vnic_type(request.vnic_type)?,
        fixed_ips,
        security_groups: groups,
        allowed_address_pairs: address_pairs(&request.allowed_address_pairs.unwrap_or_default())?,
        extra_dhcp_opts: dhcp_options(request.extra_dhcp_opts.unwrap_or_default())?,
        port_security_enabled,
        dns_name: input::dns_name("dns_name", &request.dns_name.unwrap_or_default())?,
        standard: Standard {
            tags: input::tags(request.tags.unwrap_or_default())?,
            ..Standard::new(now, input::text("description", request.description)?)
        },
    };
    check_groups(&port)?;
    check_security(&port)?;
    port::insert(tx, &port).await?;
    Ok(port)
}

/// By the rule for ports, and those for the attributes that the request says: what only the network's owner, or only a
/// service, may choose.
fn may_create(caller: &Caller, project_id: &str, network: &Network, request: &CreatePort) -> Result<()> {
    check_device_owner(caller, request.device_owner.as_deref(), "create_port:device_owner")?;
    let device_owner = request.device_owner.as_deref();
    let target = Target { device_owner, ..in_network(project_id, network) };
    let is_said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let fixed_ips = request.fixed_ips.as_deref().unwrap_or_default();
    let pairs = request.allowed_address_pairs.as_deref().unwrap_or_default();
    let set = [
        (true, "create_port"),
        (is_said(&request.device_id), "create_port:device_id"),
        (is_said(&request.device_owner), "create_port:device_owner"),
        (request.mac_address.is_some(), "create_port:mac_address"),
        (request.fixed_ips.is_some(), "create_port:fixed_ips"),
        (names_address(fixed_ips), "create_port:fixed_ips:ip_address"),
        (fixed_ips.iter().any(|one| one.subnet_id.is_some()), "create_port:fixed_ips:subnet_id"),
        (request.port_security_enabled.is_some(), "create_port:port_security_enabled"),
        (is_said(&request.host_id), "create_port:binding:host_id"),
        (request.profile.as_ref().is_some_and(|it| !it.is_empty()), "create_port:binding:profile"),
        (request.vnic_type.as_deref().is_some_and(|it| it != VNIC_TYPE), "create_port:binding:vnic_type"),
        (!pairs.is_empty(), "create_port:allowed_address_pairs"),
        (!pairs.is_empty(), "create_port:allowed_address_pairs:ip_address"),
        (
            pairs.iter().any(|pair| pair.mac_address.is_some()),
            "create_port:allowed_address_pairs:mac_address",
        ),
        (request.tags.as_ref().is_some_and(|tags| !tags.is_empty()), "create_port:tags"),
    ];
    attributes(caller, &target, &set)
}

pub(super) fn names_address(fixed_ips: &[FixedIpFields]) -> bool {
    fixed_ips.iter().any(|one| one.ip_address.is_some())
}

/// `network:…` marks the cloud's own ports, which are trusted: no tenant may write it (CVE-2015-5240), whatever rules
/// say, not even in a network of its own.
pub(super) fn check_device_owner(caller: &Caller, owner: Option<&str>, rule: &str) -> Result<()> {
    let is_of_the_cloud = owner.is_some_and(|owner| owner.starts_with(device_owner::CLOUD_PREFIX));
    if is_of_the_cloud && !is_admin(caller) { Err(forbidden(rule)) } else { Ok(()) }
}

pub(super) fn vnic_type(requested: Option<String>) -> Result<String> {
    match requested.as_deref() {
        None | Some(VNIC_TYPE) => Ok(VNIC_TYPE.into()),
        Some(other) => {
            Err(invalid_input(format!("binding:vnic_type '{other}' is not supported; use '{VNIC_TYPE}'")))
        }
    }
}

/// Groups that a request names need port security to act.
pub(super) fn check_groups(port: &Port) -> Result<()> {
    if port.port_security_enabled || port.security_groups.is_empty() {
        return Ok(());
    }
    let message =
        "Port security must be enabled and port must have an IP address in order to use security groups.";
    Err(Error::bad_request("PortSecurityAndIPRequiredForSecurityGroups", message))
}

/// Without port security there is nothing for groups and address pairs to act on.
pub(super) fn check_security(port: &Port) -> Result<()> {
    if port.port_security_enabled {
        return Ok(());
    }
    if !port.security_groups.is_empty() {
        let message = "Port has security group associated. Cannot disable port security or IP address until security \
                       group is removed.";
        return Err(Error::conflict("PortSecurityPortHasSecurityGroup", message));
    }
    if !port.allowed_address_pairs.is_empty() {
        let message = "Port Security must be enabled in order to have allowed address pairs on a port.";
        return Err(Error::conflict("AddressPairAndPortSecurityRequired", message));
    }
    Ok(())
}

/// Further source addresses: few, each once, and never the whole internet, which would switch anti-spoofing off.
pub(super) fn address_pairs(pairs: &[AddressPairFields]) -> Result<Vec<AddressPair>> {
    if pairs.len() > Port::MAX_ADDRESS_PAIRS {
        let message = format!("Exceeded maximum amount of address pairs: {}", Port::MAX_ADDRESS_PAIRS);
        return Err(Error::bad_request("AllowedAddressPairExhausted", message));
    }
    let mut parsed = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let prefix = input::prefix("allowed_address_pairs", &pair.ip_address)?;
        if prefix.prefix_len() == 0 {
            let reason = format!("'{prefix}' is every address; disable port security instead");
            return Err(invalid_attribute("allowed_address_pairs", reason));
        }
        let mac =
            pair.mac_address.as_deref().map(|mac| input::mac("allowed_address_pairs", mac)).transpose()?;
        let pair = AddressPair { prefix, mac };
        if parsed.contains(&pair) {
            let message = format!(
                "Request contains duplicate address pair: mac_address {} ip_address {}.",
                mac.map_or_else(String::new, |mac| mac.to_string()),
                prefix
            );
            return Err(Error::bad_request("DuplicateAddressPairInRequest", message));
        }
        parsed.push(pair);
    }
    Ok(parsed)
}

/// DHCP options: names and values that can be nothing but that (CVE-2021-40085 smuggled a line break).
pub(super) fn dhcp_options(options: Vec<DhcpOptionFields>) -> Result<Vec<ExtraDhcpOption>> {
    let malformed = |reason: String| Refusal::invalid_input(format!("extra_dhcp_opts: {reason}"));
    if options.len() > MAX_DHCP_OPTIONS {
        return Err(too_many_dhcp_options());
    }
    let mut parsed: Vec<ExtraDhcpOption> = Vec::with_capacity(options.len());
    for option in options {
        let name = option.opt_name;
        let is_name = |name: &str| {
            !name.is_empty()
                && name.len() <= MAX_DHCP_OPTION
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if !is_name(&name) {
            return Err(malformed(format!("'{}' is not the name of an option", name.escape_default())).into());
        }
        // A null value removes an option; in a list that replaces the whole, that is leaving it out.
        let Some(value) = option.opt_value else { continue };
        if value.is_empty() || value.len() > MAX_DHCP_OPTION || value.chars().any(char::is_control) {
            return Err(
                malformed(format!("'{}' is not the value of an option", value.escape_default())).into()
            );
        }
        let ip_version = match option.ip_version {
            None | Some(4) => 4,
            Some(6) => 6,
            Some(other) => return Err(malformed(format!("'{other}' is not in [4, 6]")).into()),
        };
        if parsed.iter().any(|known| known.name == name && known.ip_version == ip_version) {
            return Err(malformed(format!("'{name}' is there twice")).into());
        }
        parsed.push(ExtraDhcpOption { name, value, ip_version });
    }
    Ok(parsed)
}

fn too_many_dhcp_options() -> Error {
    invalid_input(format!("extra_dhcp_opts: more than {MAX_DHCP_OPTIONS}"))
}

/// The options of a port after a change: those that it names are replaced, or removed by null; the others stay.
pub(super) fn merged_dhcp_options(
    mut known: Vec<ExtraDhcpOption>,
    options: Vec<DhcpOptionFields>,
) -> Result<Vec<ExtraDhcpOption>> {
    let names = |option: &DhcpOptionFields, known: &ExtraDhcpOption| {
        option.opt_name == known.name && option.ip_version.unwrap_or(4) == i64::from(known.ip_version)
    };
    known.retain(|known| !options.iter().any(|option| names(option, known)));
    known.extend(dhcp_options(options)?);
    if known.len() > MAX_DHCP_OPTIONS { Err(too_many_dhcp_options()) } else { Ok(known) }
}

/// The port, if the caller sees it: their own, or one in a network of their own.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Port> {
    Ok(visible(&mut core.read().await?, caller, id).await?.0)
}

/// The same inside a transaction, with its network.
pub(super) async fn visible(conn: &mut Conn, caller: &Caller, id: &str) -> Result<(Port, Network)> {
    let port = found(port::get(conn, id).await?, || port_not_found(id))?;
    let network = found(network::get(conn, &port.network_id).await?, || network_not_found(&port.network_id))?;
    let is_offered = reaches(caller, &port.project_id) || reaches(caller, &network.project_id);
    let seen = is_offered && caller.may("get_port", &target(&port, &network));
    if seen { Ok((port, network)) } else { Err(port_not_found(id)) }
}

pub(super) fn target<'a>(port: &'a Port, network: &'a Network) -> Target<'a> {
    Target { device_owner: Some(&port.device_owner), ..in_network(&port.project_id, network) }
}

/// Ports that the caller sees.
pub async fn list(core: &Core, caller: &Caller, filter: PortFilter) -> Result<Vec<Port>> {
    let filter = PortFilter { visible_to: scope(caller, "get_port")?, ..filter };
    let mut conn = core.read().await?;
    let mut ports = port::list(&mut conn, &filter).await?;
    let networks = networks_of(&mut conn, &ports).await?;
    ports.retain(|port| {
        let network = networks.get(&port.network_id);
        network.is_some_and(|network| caller.may("get_port", &target(port, network)))
    });
    Ok(ports)
}

/// The networks of these ports, by their ids.
async fn networks_of(conn: &mut Conn, ports: &[Port]) -> Result<HashMap<String, Network>> {
    let ids: BTreeSet<String> = ports.iter().map(|port| port.network_id.clone()).collect();
    let filter = NetworkFilter { ids: Some(ids.into_iter().collect()), ..NetworkFilter::default() };
    let networks = network::list(conn, &filter).await?;
    Ok(networks.into_iter().map(|network| (network.id.clone(), network)).collect())
}

/// The attributes that somebody may be kept from, with their rules.
const SHOWN_BY_RULES: [(&str, &str); 5] = [
    ("binding:host_id", "get_port:binding:host_id"),
    ("binding:profile", "get_port:binding:profile"),
    ("binding:vif_type", "get_port:binding:vif_type"),
    ("binding:vif_details", "get_port:binding:vif_details"),
    ("tags", "get_port:tags"),
];

/// The attributes of each that the caller is not shown.
pub async fn hidden(core: &Core, caller: &Caller, ports: &[Port]) -> Result<Vec<Vec<&'static str>>> {
    let networks = networks_of(&mut core.read().await?, ports).await?;
    let of_one = |port: &Port| match networks.get(&port.network_id) {
        Some(network) => hidden_by(caller, &target(port, network), &SHOWN_BY_RULES),
        None => SHOWN_BY_RULES.iter().map(|(name, _)| *name).collect(),
    };
    Ok(ports.iter().map(of_one).collect())
}

/// Deletes a port; 409 for those of routers, floating IPs and DHCP, which go with what they belong to.
pub async fn delete(core: &Core, caller: &Caller, aim: impl Into<Aim>) -> Result<()> {
    let Aim { id, revision } = aim.into();
    let (caller, now) = (caller.clone(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let (port, network) = visible(tx, &caller, &id).await?;
            revision.check(&port.standard)?;
            caller.enforce("delete_port", &target(&port, &network))?;
            if port.is_of_the_cloud() {
                let message = format!(
                    "Port {id} cannot be deleted directly via the port API: has device owner {}.",
                    port.device_owner
                );
                return Err(Error::conflict("ServicePortInUse", message));
            }
            delete_in(tx, &port, now).await
        })
    })
    .await
}

/// Deletes a port inside a transaction; its floating IPs are free again.
pub(super) async fn delete_in(tx: &mut Tx, port: &Port, now: Timestamp) -> Result<()> {
    let filter =
        floating_ip::FloatingIpFilter { port_ids: Some(vec![port.id.clone()]), ..Default::default() };
    for mut floating in floating_ip::list(tx, &filter).await? {
        floating.port_id = None;
        floating.fixed_address = None;
        floating.router_id = None;
        floating.standard.touch(now);
        floating_ip::update(tx, &floating).await?;
    }
    Ok(port::delete(tx, &port.id).await?)
}

#[cfg(test)]
mod tests {
    use updraft_wire::network::{AddressPairFields, DhcpOptionFields};

    use super::{address_pairs, dhcp_options, merged_dhcp_options};

    fn pair(prefix: &str) -> AddressPairFields {
        AddressPairFields { ip_address: prefix.into(), mac_address: None }
    }

    fn option(name: &str, value: &str) -> DhcpOptionFields {
        DhcpOptionFields { opt_name: name.into(), opt_value: Some(value.into()), ip_version: None }
    }

    #[test]
    fn address_pairs_never_switch_anti_spoofing_off() {
        assert_eq!(address_pairs(&[pair("10.0.0.9"), pair("10.1.0.0/24")]).unwrap().len(), 2);
        for bad in ["0.0.0.0/0", "::/0", "10.0.0.0/33", "everything", ""] {
            assert!(address_pairs(&[pair(bad)]).is_err(), "{bad}");
        }
        let many: Vec<_> = (0..11).map(|last| pair(&format!("10.0.0.{last}"))).collect();
        assert_eq!(address_pairs(&many).unwrap_err().code, "AllowedAddressPairExhausted");
        assert_eq!(
            address_pairs(&[pair("10.0.0.9"), pair("10.0.0.9/32")]).unwrap_err().code,
            "DuplicateAddressPairInRequest"
        );
    }

    #[test]
    fn dhcp_options_are_single_lines() {
        assert_eq!(
            dhcp_options(vec![option("bootfile-name", "pxe.0"), option("66", "10.0.0.1")]).unwrap().len(),
            2
        );
        let bad =
            [("mtu\n", "1"), ("mtu", "1\ntag:x,option:router,6.6.6.6"), ("", "1"), ("mtu", ""), ("a,b", "1")];
        for (name, value) in bad {
            assert!(dhcp_options(vec![option(name, value)]).is_err(), "{name:?} {value:?}");
        }
        assert!(dhcp_options(vec![option("mtu", "1"), option("mtu", "2")]).is_err());
    }

    #[test]
    fn a_change_of_dhcp_options_leaves_the_others() {
        let known = dhcp_options(vec![option("mtu", "1"), option("66", "10.0.0.1")]).unwrap();
        let gone = DhcpOptionFields { opt_value: None, ..option("66", "") };
        let changed = merged_dhcp_options(known.clone(), vec![option("67", "pxe.0"), gone]).unwrap();
        let names: Vec<&str> = changed.iter().map(|option| option.name.as_str()).collect();
        assert_eq!(names, ["mtu", "67"]);
        assert_eq!(merged_dhcp_options(known.clone(), Vec::new()).unwrap(), known);
    }
}
