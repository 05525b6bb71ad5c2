use std::collections::HashSet;
use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{NOWHERE, Net, ids, refusal};

#[tokio::test]
async fn a_port_from_birth_to_death() {
    let net = Net::start().await;
    let network = net.network("lan").await;
    let subnet = net.subnet(&network, "10.0.0.0/24").await;
    let fields =
        json!({"network_id": network, "name": "p", "dns_name": "Web", "device_id": "d", "device_owner": "o"});
    let made = net.post("ports", json!({"port": fields})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let port = made.json()["port"].clone();
    let group = ids(&net.get("security-groups?name=default").await, "security_groups").remove(0);
    for (key, value) in [
        ("status", json!("DOWN")),
        ("fixed_ips", json!([{"subnet_id": subnet, "ip_address": "10.0.0.3"}])),
        ("security_groups", json!([group])),
        ("port_security_enabled", json!(true)),
        ("binding:vnic_type", json!("normal")),
        ("tenant_id", json!(net.project)),
        (
            "dns_assignment",
            json!([{"hostname": "web", "ip_address": "10.0.0.3", "fqdn": "web.openstacklocal."}]),
        ),
        ("allowed_address_pairs", json!([])),
    ] {
        assert_eq!(port[key], value, "{key}");
    }
    assert!(port["mac_address"].as_str().unwrap().starts_with("fa:16:3e:"));
    assert!(port.get("binding:host_id").is_none(), "not for tenants");
    let id = port["id"].as_str().unwrap().to_owned();
    for filter in [
        "fixed_ips=ip_address%3D10.0.0.3".to_owned(),
        format!("fixed_ips=subnet_id%3D{subnet}&device_id=d"),
        "device_owner=o&status=DOWN".into(),
        format!("mac_address={}", port["mac_address"].as_str().unwrap().to_uppercase()),
        format!("security_groups={group}&name=p"),
    ] {
        assert_eq!(
            ids(&net.get(&format!("ports?{filter}")).await, "ports"),
            std::slice::from_ref(&id),
            "{filter}"
        );
    }
    let path = format!("ports/{id}");
    let two = json!([{"subnet_id": subnet}, {"ip_address": "10.0.0.77"}]);
    let changed = net.put(&path, json!({"port": {"fixed_ips": two, "security_groups": []}})).await.json();
    let addresses: HashSet<&str> = changed["port"]["fixed_ips"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fixed| fixed["ip_address"].as_str().unwrap())
        .collect();
    assert_eq!(addresses, HashSet::from(["10.0.0.3", "10.0.0.77"]), "its own address is kept");
    assert_eq!(changed["port"]["security_groups"], json!([]));
    assert_eq!(net.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(refusal(&net.get(&path).await), (404, "PortNotFound".into()));
}

#[tokio::test]
async fn wrong_ports() {
    let net = Net::start().await;
    let network = net.network("lan").await;
    net.subnet(&network, "10.0.0.0/24").await;
    let taken =
        net.post("ports", json!({"port": {"network_id": network, "mac_address": "fa:16:3e:00:00:01"}})).await;
    let address = taken.text("/port/fixed_ips/0/ip_address");
    let with = |key: &str, value: Value| json!({"port": {"network_id": network, key: value}});
    let pairs = |pairs: &[&str]| pairs.iter().map(|pair| json!({"ip_address": pair})).collect::<Vec<_>>();
    let option = |value: &str| json!([{"opt_name": "mtu", "opt_value": value}]);
    let cases = [
        (with("fixed_ips", json!([{"ip_address": address}])), (409, "IpAddressAlreadyAllocated")),
        (with("fixed_ips", json!([{"ip_address": "10.9.0.1"}])), (400, "InvalidIpForNetwork")),
        (with("fixed_ips", json!([{"ip_address": "10.0.0.255"}])), (400, "InvalidIpForNetwork")),
        (with("fixed_ips", json!([{"ip_address": "me"}])), (400, "HTTPBadRequest")),
        (with("fixed_ips", json!([{"subnet_id": "nowhere"}])), (400, "HTTPBadRequest")),
        (with("fixed_ips", json!([{"subnet_id": NOWHERE}])), (404, "SubnetNotFound")),
        (with("fixed_ips", json!([{}])), (400, "InvalidInput")),
        (
            with("fixed_ips", json!([{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.9"}])),
            (400, "HTTPBadRequest"),
        ),
        (with("mac_address", json!("fa:16:3e:00:00:01")), (409, "MacAddressInUse")),
        (with("mac_address", json!("01:00:5e:00:00:01")), (400, "HTTPBadRequest")),
        (with("security_groups", json!([NOWHERE])), (404, "SecurityGroupNotFound")),
        (with("security_groups", json!([NOWHERE, NOWHERE])), (400, "HTTPBadRequest")),
        (with("name", Value::Null), (400, "HTTPBadRequest")),
        (with("admin_state_up", json!("perhaps")), (400, "InvalidInput")),
        (with("allowed_address_pairs", json!(pairs(&["0.0.0.0/0"]))), (400, "HTTPBadRequest")),
        (
            with("allowed_address_pairs", json!(pairs(&["10.0.0.9", "10.0.0.9"]))),
            (400, "DuplicateAddressPairInRequest"),
        ),
        (with("allowed_address_pairs", json!(pairs(&["1.1.1.1"; 11]))), (400, "AllowedAddressPairExhausted")),
        (with("extra_dhcp_opts", option("1\ntag:evil")), (400, "InvalidInput")),
        (with("extra_dhcp_opts", json!([{"opt_name": "mtu"}])), (400, "InvalidInput")),
        (with("dns_name", json!("a\nb")), (400, "HTTPBadRequest")),
        (with("device_owner", json!("network:dhcp")), (403, "PolicyNotAuthorized")),
        (with("binding:host_id", json!("h")), (403, "PolicyNotAuthorized")),
        (with("binding:vnic_type", json!("direct")), (400, "InvalidInput")),
        (with("network_id", json!(NOWHERE)), (404, "NetworkNotFound")),
        (with("network_id", json!("nowhere")), (400, "HTTPBadRequest")),
    ];
    for (body, (status, kind)) in cases {
        assert_eq!(refusal(&net.post("ports", body.clone()).await), (status, kind.into()), "{body}");
    }
    let before = ids(&net.get("ports").await, "ports").len();
    let half = json!({"ports": [{"network_id": network}, {"network_id": network, "mac_address": "x"}]});
    assert_eq!(net.post("ports", half).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(ids(&net.get("ports").await, "ports").len(), before, "all or none");
}

#[tokio::test]
async fn port_security_off_means_no_groups_and_no_pairs() {
    let net = Net::start().await;
    let network = net.network("lan").await;
    net.subnet(&network, "10.0.0.0/24").await;
    let open = json!({"port": {"network_id": network, "port_security_enabled": false}});
    let open = net.post("ports", open).await;
    assert_eq!(open.json()["port"]["security_groups"], json!([]));
    let path = format!("ports/{}", open.text("/port/id"));
    let pairs = json!({"port": {"allowed_address_pairs": [{"ip_address": "10.0.0.9"}]}});
    assert_eq!(refusal(&net.put(&path, pairs).await), (409, "AddressPairAndPortSecurityRequired".into()));
    let group = ids(&net.get("security-groups?name=default").await, "security_groups").remove(0);
    let grouped = json!({"port": {"security_groups": [group]}});
    let needs_security = (400, "PortSecurityAndIPRequiredForSecurityGroups".to_owned());
    assert_eq!(refusal(&net.put(&path, grouped).await), needs_security);
    let grouped = json!({"network_id": network, "port_security_enabled": false, "security_groups": [group]});
    assert_eq!(refusal(&net.post("ports", json!({"port": grouped})).await), needs_security);
    let bare = net.post("ports", json!({"port": {"network_id": network, "security_groups": null}})).await;
    assert_eq!(bare.json()["port"]["security_groups"], json!([]));
    let guarded = net.port(&network).await;
    let off = json!({"port": {"port_security_enabled": false}});
    assert_eq!(
        refusal(&net.put(&format!("ports/{guarded}"), off).await),
        (409, "PortSecurityPortHasSecurityGroup".into())
    );
    let off = json!({"port": {"port_security_enabled": false, "security_groups": []}});
    assert_eq!(net.put(&format!("ports/{guarded}"), off).await.status, StatusCode::OK);
}

/// Every address is given once, however many ask at the same time, and nobody gets more than there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn addresses_are_unique_under_concurrency() {
    let net = Arc::new(Net::start().await);
    let network = net.network("lan").await;
    net.subnet(&network, "10.0.0.0/27").await;
    // 30 usable: the gateway and the DHCP port have two of them.
    let free = 28;
    let tasks: Vec<_> = (0..free + 6)
        .map(|_| {
            let (net, network) = (net.clone(), network.clone());
            tokio::spawn(async move { net.post("ports", json!({"port": {"network_id": network}})).await })
        })
        .collect();
    let (mut addresses, mut macs, mut refused) = (HashSet::new(), HashSet::new(), 0);
    for task in tasks {
        let reply = task.await.unwrap();
        if reply.status == StatusCode::CREATED {
            assert!(addresses.insert(reply.text("/port/fixed_ips/0/ip_address")));
            assert!(macs.insert(reply.text("/port/mac_address")));
        } else {
            assert_eq!(refusal(&reply), (409, "IpAddressGenerationFailure".into()));
            refused += 1;
        }
    }
    assert_eq!((addresses.len(), refused), (free, 6));
}
