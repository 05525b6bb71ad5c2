//! Servers' ports, and the plan of the host that they are on, against a real database.

use std::collections::BTreeMap;

use serde_json::json;
use tempfile::TempDir;
use updraft_dataplane_api::net::{self, NetConfig};
use updraft_model::network::{Port, PortStatus};
use updraft_peers::Database;
use updraft_store::{DatabaseUrl, Store};
use updraft_token::{KeyRepository, Tokens};
use uuid::Uuid;

use super::server_port::{self, Card, NewPort};
use super::{floating_ip, network, plan, port, router, router_interface, rule, security_group, subnet};
use crate::{Caller, Config, Core, Result};

const HOST: &str = "7b1a4c1e-8f5e-4d0f-9a3a-0a1b2c3d4e5f";

struct Scene {
    core: Core,
    caller: Caller,
    admin: Caller,
    network: String,
    subnet: String,
    router: String,
    public: String,
    _database: Database,
    _directory: TempDir,
}

fn caller(roles: &[&str], project: &str) -> Caller {
    Caller {
        user_id: "u".into(),
        user_name: "u".into(),
        user_domain_id: "default".into(),
        project_id: Some(project.into()),
        project_name: None,
        domain_id: None,
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        audit_id: String::new(),
        ..Caller::default()
    }
}

fn read<T: serde::de::DeserializeOwned>(fields: serde_json::Value) -> Vec<T> {
    vec![serde_json::from_value(fields).unwrap()]
}

/// A network with a router to the outside, as the demonstration makes them.
async fn scene() -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::new(directory.path());
    let store = Store::open(database.url().parse::<DatabaseUrl>().unwrap()).await.unwrap();
    let keys = KeyRepository::open_or_create(&directory.path().join("keys")).unwrap();
    let core = Core::new(store, Tokens::new(keys).unwrap(), Config::new(directory.path().join("images")));
    let (admin, caller) =
        (caller(&["admin", "member", "reader"], "cloud"), caller(&["member", "reader"], "alice"));
    let fields = read(json!({"name": "public", "router:external": true}));
    let public = network::create(&core, &admin, fields).await.unwrap().remove(0).id;
    let fields =
        json!({"network_id": public, "cidr": "172.24.4.0/24", "ip_version": 4, "enable_dhcp": false});
    subnet::create(&core, &admin, read(fields)).await.unwrap();
    let network = network::create(&core, &caller, read(json!({"name": "lan"}))).await.unwrap().remove(0).id;
    let fields = json!({"network_id": network, "cidr": "10.0.0.0/24", "ip_version": 4, "dns_nameservers": ["9.9.9.9"]});
    let subnet = subnet::create(&core, &caller, read(fields)).await.unwrap().remove(0).id;
    let fields = read(json!({"external_gateway_info": {"network_id": public}}));
    let router = router::create(&core, &caller, fields).await.unwrap().remove(0).id;
    let interface = serde_json::from_value(json!({"subnet_id": subnet})).unwrap();
    router_interface::add(&core, &caller, &router, interface).await.unwrap();
    Scene { core, caller, admin, network, subnet, router, public, _database: database, _directory: directory }
}

impl Scene {
    /// Plugs a new server into the network and puts it on the host.
    async fn server(&self, name: &'static str) -> (String, Port) {
        let server = Uuid::new_v4().to_string();
        let (caller, id, now) = (self.caller.clone(), server.clone(), self.core.clock.now());
        let new = NewPort { network_id: self.network.clone(), ..NewPort::default() };
        let made = self.core.write(move |tx| {
            Box::pin(async move {
                let card = Card { server_id: &id, position: 0, host_name: name };
                let port = server_port::create(tx, &caller, &card, new, now).await?;
                server_port::bind(tx, &id, Some(HOST), now).await?;
                Ok(port)
            })
        });
        (server, made.await.unwrap())
    }

    async fn plan(&self) -> NetConfig {
        plan::of_host(&mut self.core.read().await.unwrap(), HOST, 7).await.unwrap()
    }

    async fn release(&self, server: &str) {
        let (server, now) = (server.to_owned(), self.core.clock.now());
        let done =
            self.core.write(move |tx| Box::pin(async move { server_port::release(tx, &server, now).await }));
        done.await.unwrap();
    }
}

#[tokio::test]
async fn an_empty_host_needs_nothing() {
    let scene = scene().await;
    assert_eq!(scene.plan().await, NetConfig { generation: 7, ..NetConfig::default() });
}

#[tokio::test]
async fn the_plan_follows_a_port_to_all_that_it_can_reach() {
    let scene = scene().await;
    let (server, port) = scene.server("web").await;
    let plan = scene.plan().await;

    let ids: Vec<String> = plan.networks.iter().map(|network| network.id.to_string()).collect();
    assert_eq!(ids, [scene.public.clone(), scene.network.clone()]);
    let lan = &plan.networks[1];
    assert!(plan.networks[0].external && !lan.external);
    assert!(plan.networks[0].subnets[0].dhcp.is_none(), "DHCP is off there");
    let dhcp = lan.subnets[0].dhcp.as_ref().unwrap();
    assert_eq!(dhcp.server_address.to_string(), "10.0.0.2");
    assert_eq!(
        (dhcp.dns_servers[0].to_string(), dhcp.domain.as_deref()),
        ("9.9.9.9".into(), Some("openstacklocal"))
    );
    assert_eq!(lan.subnets[0].gateway.unwrap().to_string(), "10.0.0.1");
    let address = port.first_address().unwrap();
    assert_eq!(lan.names, BTreeMap::from([("web.openstacklocal".to_owned(), vec![address])]));

    let router = &plan.routers[0];
    assert_eq!((plan.routers.len(), router.id.to_string()), (1, scene.router.clone()));
    assert_eq!(router.interfaces[0].address.to_string(), "10.0.0.1");
    assert_eq!(router.interfaces[0].subnet_id.to_string(), scene.subnet);
    let gateway = router.gateway.as_ref().unwrap();
    assert_eq!((gateway.address.to_string(), gateway.prefix_len), ("172.24.4.2".into(), 24));
    assert_eq!(gateway.next_hop.unwrap().to_string(), "172.24.4.1");
    assert!(gateway.enable_snat);

    let planned = &plan.ports[0];
    assert_eq!((planned.id.to_string(), planned.server_id.to_string()), (port.id.clone(), server));
    assert_eq!((planned.mac, planned.hostname.as_deref()), (port.mac, Some("web")));
    assert!(planned.admin_state_up && planned.port_security_enabled);

    let group = &plan.security_groups[0];
    assert_eq!(planned.security_groups, [group.id]);
    assert_eq!(group.members, [address]);
    assert_eq!(group.rules.len(), 4);
    assert!(group.rules.iter().any(|rule| rule.remote == net::RemotePeer::Group(group.id)));
}

#[tokio::test]
async fn groups_named_by_rules_come_with_their_members() {
    let scene = scene().await;
    let fields = read(json!({"name": "clients"}));
    let clients = security_group::create(&scene.core, &scene.caller, fields).await.unwrap().remove(0).id;
    let fields = read(json!({"network_id": scene.network, "security_groups": [clients]}));
    let client = port::create(&scene.core, &scene.caller, fields).await.unwrap().remove(0);
    let (_, port) = scene.server("db").await;
    let fields = json!({"security_group_id": port.security_groups[0], "direction": "ingress", "protocol": "tcp",
                        "port_range_min": 5432, "port_range_max": 5432, "remote_group_id": clients});
    rule::create(&scene.core, &scene.caller, read(fields)).await.unwrap();
    let plan = scene.plan().await;
    let named = plan.security_groups.iter().find(|group| group.id.to_string() == clients).unwrap();
    assert_eq!(named.members, [client.first_address().unwrap()]);
    assert!(named.rules.is_empty(), "its own rules bind nobody here");
    let rule = plan.security_groups[0].rules.iter().find(|rule| rule.port_range_min.is_some()).unwrap();
    assert_eq!((rule.protocol, rule.remote.clone()), (Some(6), net::RemotePeer::Group(named.id)));
}

#[tokio::test]
async fn floating_ips_of_the_hosts_ports() {
    let scene = scene().await;
    let (server, port) = scene.server("web").await;
    let fields = read(json!({"floating_network_id": scene.public, "port_id": port.id}));
    let made = floating_ip::create(&scene.core, &scene.caller, fields).await.unwrap().remove(0).floating_ip;
    let planned = scene.plan().await.floating_ips;
    assert_eq!(planned.len(), 1);
    assert_eq!(planned[0].address.to_string(), made.address.to_string());
    assert_eq!(planned[0].router_id.to_string(), scene.router);
    assert_eq!(Some(planned[0].fixed_address.into()), port.first_address());
    scene.release(&server).await;
    let left = floating_ip::get(&scene.core, &scene.caller, &made.id).await.unwrap();
    assert!(left.port.is_none(), "the address stays the project's");
    assert_eq!(scene.plan().await.ports, []);
}

#[tokio::test]
async fn ports_of_the_tenant_outlive_the_server() {
    let scene = scene().await;
    let own = port::create(&scene.core, &scene.caller, read(json!({"network_id": scene.network})))
        .await
        .unwrap()
        .remove(0);
    let server = Uuid::new_v4().to_string();
    let claim = |caller: Caller, server: String| {
        let (id, now) = (own.id.clone(), scene.core.clock.now());
        scene.core.write(move |tx| {
            Box::pin(async move {
                let card = Card { server_id: &server, position: 0, host_name: "web" };
                server_port::claim(tx, &caller, &card, &id, now).await
            })
        })
    };
    let claimed = claim(scene.caller.clone(), server.clone()).await.unwrap();
    assert_eq!(
        (claimed.device_owner.as_str(), claimed.device_id.as_str()),
        ("compute:nova", server.as_str())
    );
    let second = claim(scene.caller.clone(), Uuid::new_v4().to_string()).await.unwrap_err();
    assert_eq!(second.code, "PortInUse");
    let stranger = claim(caller(&["member"], "mallory"), Uuid::new_v4().to_string()).await.unwrap_err();
    assert_eq!(stranger.code, "PortNotFound");
    let stolen = serde_json::from_value(json!({"device_id": Uuid::new_v4().to_string()})).unwrap();
    let stolen = port::update(&scene.core, &scene.caller, &own.id, stolen).await.unwrap_err();
    assert_eq!(stolen.code, "PortBound", "a tenant's device_id never becomes an identity");
    scene.release(&server).await;
    let free = port::get(&scene.core, &scene.caller, &own.id).await.unwrap();
    assert_eq!((free.server_id, free.device_id.as_str(), free.status), (None, "", PortStatus::Down));
}

#[tokio::test]
async fn what_a_host_reports_counts_for_its_own_ports_only() {
    let scene = scene().await;
    let (_, port) = scene.server("web").await;
    let observe = |host: &'static str, connected: bool| {
        let (seen, now) = (vec![(port.id.clone(), connected)], scene.core.clock.now());
        scene.core.write(move |tx| Box::pin(async move { server_port::observe(tx, host, &seen, now).await }))
    };
    assert!(!observe("another-host", true).await.unwrap());
    assert!(observe(HOST, true).await.unwrap());
    assert!(!observe(HOST, true).await.unwrap(), "nothing new");
    let shown = port::get(&scene.core, &scene.admin, &port.id).await.unwrap();
    assert_eq!(shown.status, PortStatus::Active);
    assert!(observe(HOST, false).await.unwrap());
}

#[tokio::test]
async fn groups_by_name_or_id() -> Result<()> {
    let scene = scene().await;
    for name in ["web", "twin", "twin"] {
        security_group::create(&scene.core, &scene.caller, read(json!({"name": name}))).await?;
    }
    let mut conn = scene.core.read().await?;
    let web = server_port::resolve_groups(&mut conn, "alice", &["web".into(), "default".into()]).await?;
    let again = server_port::resolve_groups(&mut conn, "alice", &web).await?;
    assert_eq!(web, again, "ids name themselves");
    for (name, code) in [("twin", "NoUniqueMatch"), ("nobody", "SecurityGroupNotFound")] {
        let refused = server_port::resolve_groups(&mut conn, "alice", &[name.to_owned()]).await.unwrap_err();
        assert_eq!(refused.code, code);
    }
    Ok(())
}
