use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Net, ids, refusal};

#[tokio::test]
async fn a_subnet_with_what_neutron_fills_in() {
    let net = Net::start().await;
    let network = net.network("lan").await;
    let fields = json!({"network_id": network, "cidr": "10.0.0.0/24", "ip_version": 4, "name": "s"});
    let made = net.post("subnets", json!({"subnet": fields})).await.json();
    let subnet = &made["subnet"];
    assert_eq!(subnet["gateway_ip"], "10.0.0.1");
    assert_eq!(subnet["allocation_pools"], json!([{"start": "10.0.0.2", "end": "10.0.0.254"}]));
    assert_eq!(subnet["enable_dhcp"], true);
    assert_eq!(subnet["ip_version"], 4);
    assert_eq!(subnet["ipv6_ra_mode"], Value::Null);
    let dhcp = net.get(&format!("ports?network_id={network}&device_owner=network:dhcp")).await.json();
    assert_eq!(dhcp["ports"][0]["fixed_ips"][0]["ip_address"], "10.0.0.2");
    assert_eq!(dhcp["ports"][0]["status"], "ACTIVE");

    let path = format!("subnets/{}", subnet["id"].as_str().unwrap());
    let off = net.put(&path, json!({"subnet": {"enable_dhcp": false, "dns_nameservers": ["9.9.9.9"]}})).await;
    assert_eq!(off.json()["subnet"]["dns_nameservers"], json!(["9.9.9.9"]));
    assert_eq!(
        ids(&net.get(&format!("ports?network_id={network}")).await, "ports").len(),
        0,
        "no DHCP, no port"
    );
    let without = net.put(&path, json!({"subnet": {"gateway_ip": null}})).await;
    assert_eq!(without.json()["subnet"]["gateway_ip"], Value::Null);
    assert_eq!(refusal(&net.put(&path, json!({"subnet": {"cidr": "10.9.0.0/24"}})).await).0, 400);
    assert_eq!(net.delete(&path).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn without_a_gateway_and_with_pools() {
    let net = Net::start().await;
    let network = net.network("lan").await;
    let fields = json!({"network_id": network, "cidr": "10.0.0.0/29", "ip_version": 4, "gateway_ip": null,
                        "enable_dhcp": false, "allocation_pools": [{"start": "10.0.0.3", "end": "10.0.0.4"}],
                        "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.6"}]});
    let made = net.post("subnets", json!({"subnet": fields})).await.json();
    assert_eq!(made["subnet"]["gateway_ip"], Value::Null);
    let mut addresses = Vec::new();
    for _ in 0..2 {
        let made = net.post("ports", json!({"port": {"network_id": network}})).await;
        addresses.push(made.text("/port/fixed_ips/0/ip_address"));
    }
    assert_eq!(addresses, ["10.0.0.3", "10.0.0.4"]);
    let full = net.post("ports", json!({"port": {"network_id": network}})).await;
    assert_eq!(refusal(&full), (409, "IpAddressGenerationFailure".into()));
    let outside_the_pool =
        json!({"port": {"network_id": network, "fixed_ips": [{"ip_address": "10.0.0.6"}]}});
    assert_eq!(net.post("ports", outside_the_pool).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn wrong_subnets() {
    let net = Net::start().await;
    let network = net.network("lan").await;
    net.subnet(&network, "10.0.0.0/24").await;
    let base = json!({"network_id": network, "cidr": "10.1.0.0/24", "ip_version": 4});
    let with = |key: &str, value: Value| {
        let mut fields = base.clone();
        fields[key] = value;
        json!({"subnet": fields})
    };
    let cases = [
        (with("cidr", json!("10.0.0.128/25")), (400, "InvalidInput")),
        (with("cidr", json!("10.1.0.0/33")), (400, "InvalidInput")),
        (with("cidr", json!("0.0.0.0/0")), (400, "InvalidInput")),
        (with("cidr", json!("10.1.0.0/31")), (400, "InvalidInput")),
        (with("cidr", Value::Null), (400, "BadRequest")),
        (with("ip_version", json!(6)), (400, "InvalidInput")),
        (with("ip_version", json!(5)), (400, "HTTPBadRequest")),
        (with("gateway_ip", json!("10.1.0.255")), (400, "InvalidInput")),
        (with("gateway_ip", json!("first")), (400, "HTTPBadRequest")),
        (
            with("allocation_pools", json!([{"start": "10.1.0.1", "end": "10.1.0.9"}])),
            (409, "GatewayConflictWithAllocationPools"),
        ),
        (
            with("allocation_pools", json!([{"start": "10.2.0.1", "end": "10.2.0.9"}])),
            (400, "OutOfBoundsAllocationPool"),
        ),
        (with("dns_nameservers", json!(["example.org"])), (400, "HTTPBadRequest")),
        (with("host_routes", json!([{"destination": "x", "nexthop": "10.1.0.2"}])), (400, "HTTPBadRequest")),
        (with("ipv6_ra_mode", json!("slaac")), (400, "InvalidInput")),
        (with("network_id", json!("11111111-1111-1111-1111-111111111111")), (404, "NetworkNotFound")),
        (json!({"subnet": {"cidr": "10.1.0.0/24"}}), (400, "HTTPBadRequest")),
        (json!({"subnet": {"network_id": network, "cidr": "10.1.0.0/24"}}), (400, "HTTPBadRequest")),
        (with("ip_version", Value::Null), (400, "InvalidInput")),
        (with("dns_nameservers", json!(["2001:db8::1"])), (400, "InvalidInput")),
        (
            with("host_routes", json!([{"destination": "10.9.0.1/24", "nexthop": "10.1.0.2"}])),
            (400, "HTTPBadRequest"),
        ),
        (
            with("host_routes", json!([{"destination": "10.9.0.0/24", "nexthop": "2001:db8::1"}])),
            (400, "InvalidInput"),
        ),
    ];
    for (body, (status, kind)) in cases {
        assert_eq!(refusal(&net.post("subnets", body.clone()).await), (status, kind.into()), "{body}");
    }
    let two = json!({"subnets": [base, {"network_id": network, "cidr": "10.1.0.0/25", "ip_version": 4}]});
    assert_eq!(refusal(&net.post("subnets", two).await), (400, "InvalidInput".into()));
    assert_eq!(ids(&net.get("subnets").await, "subnets").len(), 1, "all or none");
}

#[tokio::test]
async fn ranges_and_pools_are_shown_in_their_plain_form() {
    let net = Net::start().await;
    let network = net.network("lan").await;
    let pools =
        json!([{"start": "10.0.0.50", "end": "10.0.0.60"}, {"start": "10.0.0.10", "end": "10.0.0.20"}]);
    let fields =
        json!({"network_id": network, "cidr": "10.0.0.7/24", "ip_version": "4", "allocation_pools": pools});
    let made = net.post("subnets", json!({"subnet": fields})).await.json();
    assert_eq!(made["subnet"]["cidr"], "10.0.0.0/24");
    assert_eq!(made["subnet"]["allocation_pools"][0]["start"], "10.0.0.10");
}

#[tokio::test]
async fn a_subnet_in_use_stays() {
    let net = Net::start().await;
    let network = net.network("lan").await;
    let subnet = net.subnet(&network, "10.0.0.0/24").await;
    let port = net.port(&network).await;
    assert_eq!(refusal(&net.delete(&format!("subnets/{subnet}")).await), (409, "SubnetInUse".into()));
    net.delete(&format!("ports/{port}")).await;
    assert_eq!(net.delete(&format!("subnets/{subnet}")).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn ipv6_addresses_follow_from_the_mac() {
    let net = Net::start().await;
    let network = net.network("lan").await;
    let fields = json!({"network_id": network, "cidr": "2001:db8::/64", "ip_version": 6, "ipv6_ra_mode": "slaac",
                        "ipv6_address_mode": "slaac"});
    assert_eq!(net.post("subnets", json!({"subnet": fields})).await.status, StatusCode::CREATED);
    let made =
        net.post("ports", json!({"port": {"network_id": network, "mac_address": "fa:16:3e:00:00:01"}})).await;
    assert_eq!(made.text("/port/fixed_ips/0/ip_address"), "2001:db8::f816:3eff:fe00:1");
}
