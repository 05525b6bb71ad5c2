use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{NOWHERE, Net, refusal};

struct Scene {
    net: Net,
    public: String,
    network: String,
    subnet: String,
    router: String,
}

async fn scene() -> Scene {
    let net = Net::start().await;
    let (public, _) = net.external("172.24.4.0/29").await;
    let network = net.network("lan").await;
    let subnet = net.subnet(&network, "10.0.0.0/24").await;
    let fields = json!({"external_gateway_info": {"network_id": public}});
    let router = net.make("routers", "router", fields).await;
    net.put(&format!("routers/{router}/add_router_interface"), json!({"subnet_id": subnet})).await;
    Scene { net, public, network, subnet, router }
}

#[tokio::test]
async fn a_floating_ip_comes_and_goes() {
    let Scene { net, public, network, subnet, router } = scene().await;
    let made = net.post("floatingips", json!({"floatingip": {"floating_network_id": public}})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let floating = made.json()["floatingip"].clone();
    assert_eq!((&floating["status"], &floating["port_id"]), (&json!("DOWN"), &Value::Null));
    assert_eq!(floating["floating_ip_address"], "172.24.4.3");
    let path = format!("floatingips/{}", floating["id"].as_str().unwrap());
    let port = net.port(&network).await;
    let shown = net.put(&path, json!({"floatingip": {"port_id": port}})).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.json());
    let shown = shown.json()["floatingip"].clone();
    assert_eq!((&shown["status"], &shown["router_id"]), (&json!("ACTIVE"), &json!(router)));
    assert_eq!(shown["fixed_ip_address"], "10.0.0.3");
    assert_eq!(shown["port_details"]["network_id"], json!(network));
    let second = net
        .post("floatingips", json!({"floatingip": {"floating_network_id": public, "port_id": port}}))
        .await;
    assert_eq!(refusal(&second), (409, "FloatingIPPortAlreadyAssociated".into()));
    let part = json!({"subnet_id": subnet});
    let parted = net.put(&format!("routers/{router}/remove_router_interface"), part).await;
    assert_eq!(refusal(&parted), (409, "RouterInterfaceInUseByFloatingIP".into()));
    let closed =
        net.put(&format!("routers/{router}"), json!({"router": {"external_gateway_info": {}}})).await;
    assert_eq!(refusal(&closed), (409, "RouterExternalGatewayInUseByFloatingIp".into()));
    let address = json!({"floatingip": {"fixed_ip_address": "10.0.0.3"}});
    assert_eq!(refusal(&net.put(&path, address).await), (400, "BadRequest".into()), "without the port");
    let loose = net.put(&path, json!({"floatingip": {"port_id": null}})).await.json()["floatingip"].clone();
    assert_eq!((&loose["status"], &loose["router_id"]), (&json!("DOWN"), &Value::Null));
    net.put(&path, json!({"floatingip": {"port_id": port}})).await;
    assert_eq!(net.delete(&format!("ports/{port}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(net.get(&path).await.json()["floatingip"]["port_id"], Value::Null, "it outlives its port");
    assert_eq!(net.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(refusal(&net.get(&path).await), (404, "FloatingIPNotFound".into()));
}

#[tokio::test]
async fn wrong_floating_ips() {
    let Scene { net, public, network, .. } = scene().await;
    let port = net.port(&network).await;
    let island = net.network("island").await;
    net.subnet(&island, "10.5.0.0/24").await;
    let unreachable = net.port(&island).await;
    let bare = net.make("ports", "port", json!({"network_id": network, "fixed_ips": []})).await;
    let with = |fields: Value| {
        let mut floating = json!({"floating_network_id": public});
        floating.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"floatingip": floating})
    };
    let cases = [
        (with(json!({"port_id": unreachable})), (404, "ExternalGatewayForFloatingIPNotFound")),
        (with(json!({"port_id": NOWHERE})), (404, "PortNotFound")),
        (with(json!({"port_id": "nowhere"})), (400, "HTTPBadRequest")),
        (with(json!({"port_id": bare})), (400, "BadRequest")),
        (with(json!({"port_id": port, "fixed_ip_address": "10.0.0.200"})), (400, "BadRequest")),
        (with(json!({"fixed_ip_address": "10.0.0.3"})), (400, "BadRequest")),
        (with(json!({"floating_ip_address": "172.24.4.5"})), (403, "PolicyNotAuthorized")),
        (with(json!({"floating_network_id": network})), (400, "BadRequest")),
        (with(json!({"floating_network_id": NOWHERE})), (404, "NetworkNotFound")),
        (json!({"floatingip": {}}), (400, "HTTPBadRequest")),
    ];
    for (body, (status, kind)) in cases {
        assert_eq!(refusal(&net.post("floatingips", body.clone()).await), (status, kind.into()), "{body}");
    }
    // 172.24.4.0/29 has six addresses; the gateway and the router have one each.
    for _ in 0..4 {
        assert_eq!(net.post("floatingips", with(json!({}))).await.status, StatusCode::CREATED);
    }
    assert_eq!(
        refusal(&net.post("floatingips", with(json!({}))).await),
        (400, "ExternalIpAddressExhausted".into())
    );
}
