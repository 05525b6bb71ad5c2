//! Ports: making, reading and deleting them. [`super::port_update`] changes them.

use updraft_model::Timestamp;
use updraft_model::id::new_uuid;
use updraft_model::network::{
    AddressPair, ExtraDhcpOption, Network, Port, PortStatus, Refusal, Standard, device_owner,
};
pub use updraft_store::network::port::PortFilter;
use updraft_store::network::{floating_ip, port};
use updraft_store::{Conn, Tx};
use updraft_wire::network::{AddressPairFields, CreatePort, DhcpOptionFields, FixedIpFields};

use super::access::{admin_attribute, forbidden, is_admin, may_change, owner_of_new, scope};
use super::address::{self, Allocation};
use super::change::change;
use super::error::{found, invalid_attribute, invalid_input, port_not_found};
use super::{input, quota, security_group};
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
    let project_id = owner_of_new(caller, request.project_id.as_deref(), "create_port")?;
    let network = super::network::visible(tx, caller, &request.network_id).await?;
    super::network::may_plug(caller, &network)?;
    check_rights(caller, &network, &request)?;
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
    check_security(&port)?;
    port::insert(tx, &port).await?;
    Ok(port)
}

/// What only the network's owner, or only an administrator, may choose.
fn check_rights(caller: &Caller, network: &Network, request: &CreatePort) -> Result<()> {
    check_device_owner(caller, request.device_owner.as_deref(), "create_port")?;
    admin_attribute(caller, request.host_id.as_ref(), "create_port:binding:host_id")?;
    admin_attribute(
        caller,
        request.profile.as_ref().filter(|it| !it.is_empty()),
        "create_port:binding:profile",
    )?;
    let owns_network = caller.sees(&network.project_id);
    let chosen = Chosen {
        mac: request.mac_address.is_some(),
        address: names_address(request.fixed_ips.as_deref()),
        port_security: request.port_security_enabled.is_some(),
        pairs: request.allowed_address_pairs.as_ref().is_some_and(|pairs| !pairs.is_empty()),
    };
    chosen.check(owns_network, "create_port")
}

/// What a request chooses by itself that, in somebody else's network, could be used against others.
pub(super) struct Chosen {
    pub mac: bool,
    pub address: bool,
    pub port_security: bool,
    pub pairs: bool,
}

impl Chosen {
    pub fn check(&self, owns_network: bool, action: &str) -> Result<()> {
        let choices = [
            (self.mac, "mac_address"),
            (self.address, "fixed_ips:ip_address"),
            (self.port_security, "port_security_enabled"),
            (self.pairs, "allowed_address_pairs"),
        ];
        match choices.into_iter().find(|(chosen, _)| *chosen && !owns_network) {
            Some((_, attribute)) => Err(forbidden(&format!("{action}:{attribute}"))),
            None => Ok(()),
        }
    }
}

pub(super) fn names_address(fixed_ips: Option<&[FixedIpFields]>) -> bool {
    fixed_ips.is_some_and(|wanted| wanted.iter().any(|one| one.ip_address.is_some()))
}

/// `network:…` marks the cloud's own ports, which are trusted: no tenant may write it (CVE-2015-5240).
pub(super) fn check_device_owner(caller: &Caller, owner: Option<&str>, action: &str) -> Result<()> {
    let is_of_the_cloud = owner.is_some_and(|owner| owner.starts_with(device_owner::CLOUD_PREFIX));
    if is_of_the_cloud && !is_admin(caller) {
        Err(forbidden(&format!("{action}:device_owner")))
    } else {
        Ok(())
    }
}

pub(super) fn vnic_type(requested: Option<String>) -> Result<String> {
    match requested.as_deref() {
        None | Some(VNIC_TYPE) => Ok(VNIC_TYPE.into()),
        Some(other) => {
            Err(invalid_input(format!("binding:vnic_type '{other}' is not supported; use '{VNIC_TYPE}'")))
        }
    }
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
    let malformed = |reason: String| Refusal::invalid_attribute("extra_dhcp_opts", reason);
    if options.len() > MAX_DHCP_OPTIONS {
        return Err(malformed(format!("more than {MAX_DHCP_OPTIONS}")).into());
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

/// The port, if the caller sees it: their own, or one in a network of their own.
pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Port> {
    scope(caller, "get_port")?;
    visible(&mut core.read().await?, caller, id).await
}

/// The same inside a transaction.
pub(super) async fn visible(conn: &mut Conn, caller: &Caller, id: &str) -> Result<Port> {
    let port = found(port::get(conn, id).await?, || port_not_found(id))?;
    if caller.sees(&port.project_id) {
        return Ok(port);
    }
    let network = updraft_store::network::network::get(conn, &port.network_id).await?;
    let seen = network.is_some_and(|network| caller.sees(&network.project_id));
    if seen { Ok(port) } else { Err(port_not_found(id)) }
}

/// Ports that the caller sees.
pub async fn list(core: &Core, caller: &Caller, filter: PortFilter) -> Result<Vec<Port>> {
    let filter = PortFilter { visible_to: scope(caller, "get_port")?, ..filter };
    Ok(port::list(&mut core.read().await?, &filter).await?)
}

/// Deletes a port; 409 for those of routers, floating IPs and DHCP, which go with what they belong to.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    let (caller, id, now) = (caller.clone(), id.to_owned(), core.clock.now());
    change(core, move |tx| {
        Box::pin(async move {
            let port = visible(tx, &caller, &id).await?;
            let network = updraft_store::network::network::get(tx, &port.network_id).await?;
            if !network.is_some_and(|network| caller.sees(&network.project_id)) {
                may_change(&caller, &port.project_id, "delete_port")?;
            }
            crate::policy::require_member(&caller).map_err(|_| forbidden("delete_port"))?;
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

    use super::{address_pairs, dhcp_options};

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
}
