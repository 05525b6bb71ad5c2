use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{NOWHERE, Net, ids, refusal};

#[tokio::test]
async fn a_router_joins_subnets_and_the_outside() {
    let net = Net::start().await;
    let (public, public_subnet) = net.external("172.24.4.0/24").await;
    let network = net.network("lan").await;
    let subnet = net.subnet(&network, "10.0.0.0/24").await;
    let fields = json!({"name": "r", "external_gateway_info": {"network_id": public}});
    let made = net.post("routers", json!({"router": fields})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let router = made.json()["router"].clone();
    let gateway = json!({"network_id": public, "enable_snat": true,
                         "external_fixed_ips": [{"subnet_id": public_subnet, "ip_address": "172.24.4.2"}]});
    assert_eq!((&router["external_gateway_info"], &router["status"]), (&gateway, &json!("ACTIVE")));
    let id = router["id"].as_str().unwrap();

    let joined = net.put(&format!("routers/{id}/add_router_interface"), json!({"subnet_id": subnet})).await;
    assert_eq!(joined.status, StatusCode::OK);
    let joined = joined.json();
    assert_eq!(
        (&joined["id"], &joined["subnet_id"], &joined["subnet_ids"]),
        (&json!(id), &json!(subnet), &json!([subnet]))
    );
    assert_eq!((&joined["network_id"], &joined["tenant_id"]), (&json!(network), &json!(net.project)));
    let port = joined["port_id"].as_str().unwrap();
    let shown = net.get(&format!("ports/{port}")).await.json()["port"].clone();
    assert_eq!(shown["fixed_ips"][0]["ip_address"], "10.0.0.1");
    assert_eq!(
        (&shown["device_owner"], &shown["device_id"]),
        (&json!("network:router_interface"), &json!(id))
    );
    assert_eq!(shown["status"], "ACTIVE");

    let again = net.put(&format!("routers/{id}/add_router_interface"), json!({"subnet_id": subnet})).await;
    assert_eq!(refusal(&again), (400, "BadRequest".into()));
    assert_eq!(refusal(&net.delete(&format!("routers/{id}")).await), (409, "RouterInUse".into()));
    assert_eq!(refusal(&net.delete(&format!("ports/{port}")).await), (409, "ServicePortInUse".into()));
    assert_eq!(refusal(&net.delete(&format!("subnets/{subnet}")).await), (409, "SubnetInUse".into()));
    let moved = net.put(&format!("subnets/{subnet}"), json!({"subnet": {"gateway_ip": "10.0.0.254"}})).await;
    assert!(moved.status.is_client_error());

    let parted =
        net.put(&format!("routers/{id}/remove_router_interface"), json!({"subnet_id": subnet})).await;
    assert_eq!((parted.status, parted.text("/port_id")), (StatusCode::OK, port.to_owned()));
    let parted =
        net.put(&format!("routers/{id}/remove_router_interface"), json!({"subnet_id": subnet})).await;
    assert_eq!(refusal(&parted), (404, "RouterInterfaceNotFoundForSubnet".into()));
    let path = format!("/network/v2.0/routers/{id}");
    let gateway = |info: Value| json!({"router": {"external_gateway_info": info}});
    let without = gateway(json!({"network_id": public, "enable_snat": false}));
    let without = net.cloud.call(Method::PUT, &path, &net.admin, without).await.json();
    assert_eq!(without["router"]["external_gateway_info"]["enable_snat"], false);
    let refused = net.cloud.call(Method::PUT, &path, &net.admin, gateway(json!({"enable_snat": true}))).await;
    assert_eq!(refusal(&refused), (400, "HTTPBadRequest".into()), "it is no word about the network");
    let again = net.put(&format!("routers/{id}"), gateway(json!({"network_id": public}))).await.json();
    assert_eq!(again["router"]["external_gateway_info"]["enable_snat"], true, "by default");
    let closed = net.put(&format!("routers/{id}"), json!({"router": {"external_gateway_info": null}})).await;
    assert_eq!(closed.json()["router"]["external_gateway_info"], Value::Null);
    assert_eq!(net.delete(&format!("routers/{id}")).await.status, StatusCode::NO_CONTENT);
    let left = net.cloud.get(&format!("/network/v2.0/ports?network_id={public}"), &net.admin).await;
    assert_eq!(ids(&left, "ports").len(), 0, "the gateway's address is free again");
}

#[tokio::test]
async fn joining_by_port_and_overlaps() {
    let net = Net::start().await;
    let (first, second) = (net.network("a").await, net.network("b").await);
    net.subnet(&first, "10.0.0.0/24").await;
    let overlapping = net.subnet(&second, "10.0.0.0/16").await;
    let router = net.make("routers", "router", json!({"name": "r"})).await;
    let port = net
        .make("ports", "port", json!({"network_id": first, "fixed_ips": [{"ip_address": "10.0.0.9"}]}))
        .await;
    let add = format!("routers/{router}/add_router_interface");
    assert_eq!(net.put(&add, json!({"port_id": port})).await.text("/port_id"), port);
    assert_eq!(refusal(&net.put(&add, json!({"port_id": port})).await), (409, "PortInUse".into()));
    assert_eq!(refusal(&net.put(&add, json!({"subnet_id": overlapping})).await), (400, "BadRequest".into()));
    assert_eq!(refusal(&net.put(&add, json!({})).await), (400, "BadRequest".into()));
    assert_eq!(
        refusal(&net.put(&add, json!({"subnet_id": NOWHERE, "more": 1})).await),
        (404, "SubnetNotFound".into())
    );
    assert_eq!(refusal(&net.put(&add, json!({"port_id": NOWHERE})).await), (404, "PortNotFound".into()));
    assert_eq!(refusal(&net.put(&add, json!({"port_id": "nowhere"})).await), (400, "BadRequest".into()));
    let moved = json!({"port": {"fixed_ips": [{"ip_address": "10.0.0.10"}]}});
    assert_eq!(refusal(&net.put(&format!("ports/{port}"), moved).await), (400, "BadRequest".into()));
    let elsewhere = json!({"port_id": port, "subnet_id": overlapping});
    assert_eq!(
        refusal(&net.put(&format!("routers/{router}/remove_router_interface"), elsewhere).await),
        (400, "SubnetMismatchForPort".into())
    );
    let route = |hop: &str| json!({"router": {"routes": [{"destination": "10.9.0.0/16", "nexthop": hop}]}});
    let path = format!("routers/{router}");
    assert_eq!(
        refusal(&net.put(&path, route("10.0.0.9")).await),
        (400, "InvalidRoutes".into()),
        "the router itself"
    );
    assert_eq!(
        refusal(&net.put(&path, route("10.7.0.1")).await),
        (400, "InvalidRoutes".into()),
        "out of reach"
    );
    assert_eq!(net.put(&path, route("10.0.0.7")).await.status, StatusCode::OK);
    let remove = format!("routers/{router}/remove_router_interface");
    assert_eq!(
        refusal(&net.put(&remove, json!({"port_id": port})).await),
        (409, "RouterInterfaceInUseByRoute".into())
    );
    let more = json!({"router": {"routes": [{"destination": "10.8.0.0/16", "nexthop": "10.0.0.7"}]}});
    let added = net.put(&format!("{path}/add_extraroutes"), more.clone()).await.json();
    assert_eq!(added["router"]["routes"].as_array().unwrap().len(), 2);
    let removed = net.put(&format!("{path}/remove_extraroutes"), more).await.json();
    assert_eq!(removed["router"]["routes"], json!([{"destination": "10.9.0.0/16", "nexthop": "10.0.0.7"}]));
    assert_eq!(net.put(&path, json!({"router": {"routes": []}})).await.status, StatusCode::OK);
    assert_eq!(net.put(&remove, json!({"port_id": port})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn wrong_gateways() {
    let net = Net::start().await;
    let (public, _) = net.external("172.24.4.0/24").await;
    let lan = net.network("lan").await;
    let gateway = |info: Value| json!({"router": {"external_gateway_info": info}});
    let cases = [
        (gateway(json!({"network_id": lan})), (400, "BadRequest")),
        (gateway(json!({"network_id": "nowhere"})), (404, "NetworkNotFound")),
        (gateway(json!({"network_id": public, "enable_snat": false})), (403, "PolicyNotAuthorized")),
        (gateway(json!({"network_id": public, "external_fixed_ips": []})), (403, "PolicyNotAuthorized")),
        (json!({"router": {"ha": true}}), (403, "PolicyNotAuthorized")),
    ];
    for (body, (status, kind)) in cases {
        assert_eq!(refusal(&net.post("routers", body.clone()).await), (status, kind.into()), "{body}");
    }
    assert_eq!(ids(&net.get("routers").await, "routers").len(), 0, "no leftovers");
}
