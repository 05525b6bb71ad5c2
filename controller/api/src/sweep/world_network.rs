//! What each tenant of the [`super::world`] has of the network service.

use axum::http::Method;
use serde_json::{Value, json};

use super::world::{Making, Values};

const BASE: &str = "/network/v2.0";

pub(super) async fn make(making: &Making, name: &str, member: &str, values: &mut Values) {
    let token = &making.tokens[member];
    for (key, kind, cidr) in
        [("networks", "network", "10.0.0.0/24"), ("spare_network", "spare", "10.1.0.0/24")]
    {
        let network = json!({"network": {"name": format!("{name}-{kind}")}});
        let network = making.make(&format!("{BASE}/networks"), token, network, "/network/id").await;
        let fields =
            json!({"network_id": network, "cidr": cidr, "ip_version": 4, "name": format!("{name}-{kind}")});
        let subnet =
            making.make(&format!("{BASE}/subnets"), token, json!({"subnet": fields}), "/subnet/id").await;
        values.insert(key.to_owned(), network);
        values.insert(if key == "networks" { "subnets" } else { "spare_subnet" }.to_owned(), subnet);
    }
    let port = json!({"port": {"network_id": values["networks"], "name": format!("{name}-port")}});
    let port = making.make(&format!("{BASE}/ports"), token, port, "/port/id").await;
    values.insert("ports".into(), port);
    let gateway = json!({"network_id": values["external"]});
    for (key, kind, gateway) in [("routers", "router", gateway), ("spare_router", "spare", Value::Null)] {
        let fields = json!({"name": format!("{name}-{kind}"), "external_gateway_info": gateway});
        let id =
            making.make(&format!("{BASE}/routers"), token, json!({"router": fields}), "/router/id").await;
        values.insert(key.to_owned(), id);
    }
    let path = format!("{BASE}/routers/{}/add_router_interface", values["routers"]);
    making.put(&path, token, json!({"subnet_id": values["subnets"]})).await;
    let floating = json!({"floatingip": {"floating_network_id": values["external"]}});
    let id = making.make(&format!("{BASE}/floatingips"), token, floating, "/floatingip/id").await;
    values.insert("floatingips".into(), id);
    let group = json!({"security_group": {"name": format!("{name}-group")}});
    let group = making.make(&format!("{BASE}/security-groups"), token, group, "/security_group/id").await;
    let rule = json!({"security_group_id": group, "direction": "ingress", "protocol": "tcp",
                      "port_range_min": 22, "port_range_max": 22});
    let body = json!({"security_group_rule": rule});
    let rule =
        making.make(&format!("{BASE}/security-group-rules"), token, body, "/security_group_rule/id").await;
    values.insert("security-group-rules".into(), rule);
    values.insert("security-groups".into(), group.clone());
    values.insert("security_groups".into(), group);
    values.insert("security_group_name".into(), format!("{name}-group"));
    for collection in ["networks", "subnets", "ports", "routers", "floatingips", "security-groups"] {
        let path = format!("{BASE}/{collection}/{}/tags/tag", values[collection]);
        making.call(Method::PUT, &path, token, Value::Null).await;
    }
}
