use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Net, ids, refusal};

/// One of everything, as (collection, key, id).
async fn one_of_each(net: &Net) -> Vec<(&'static str, &'static str, String)> {
    let (public, _) = net.external("172.24.4.0/24").await;
    let network = net.network("lan").await;
    let subnet = net.subnet(&network, "10.0.0.0/24").await;
    let port = net.port(&network).await;
    let router = net.make("routers", "router", json!({"name": "r"})).await;
    let floating = net.make("floatingips", "floatingip", json!({"floating_network_id": public})).await;
    let group = net.make("security-groups", "security_group", json!({"name": "web"})).await;
    let fields = json!({"security_group_id": group, "direction": "ingress", "protocol": "udp"});
    let rule = net.make("security-group-rules", "security_group_rule", fields).await;
    vec![
        ("networks", "network", network),
        ("subnets", "subnet", subnet),
        ("ports", "port", port),
        ("routers", "router", router),
        ("floatingips", "floatingip", floating),
        ("security-groups", "security_group", group),
        ("security-group-rules", "security_group_rule", rule),
    ]
}

#[tokio::test]
async fn nobody_without_a_token() {
    let net = Net::start().await;
    for (collection, _, id) in one_of_each(&net).await {
        for (method, path) in [
            (Method::GET, format!("/network/v2.0/{collection}")),
            (Method::POST, format!("/network/v2.0/{collection}")),
            (Method::GET, format!("/network/v2.0/{collection}/{id}")),
            (Method::DELETE, format!("/network/v2.0/{collection}/{id}")),
        ] {
            for token in ["", "stolen"] {
                let reply = net.cloud.call(method.clone(), &path, token, Value::Null).await;
                assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{method} {path}");
                assert!(reply.json().get("NeutronError").is_some(), "{}", reply.json());
            }
        }
    }
    for path in ["extensions", "quotas", "availability_zones", "agents"] {
        assert_eq!(
            net.cloud.get(&format!("/network/v2.0/{path}"), "").await.status,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
}

/// What is somebody else's is not there: neither to see, nor to change, nor to refer to.
#[tokio::test]
async fn a_stranger_finds_nothing() {
    let net = Net::start().await;
    let things = one_of_each(&net).await;
    let (stranger_project, _, stranger) = net.cloud.tenant("mallory", "member").await;
    for (collection, key, id) in &things {
        let path = format!("/network/v2.0/{collection}/{id}");
        assert_eq!(net.cloud.get(&path, &stranger).await.status, StatusCode::NOT_FOUND, "GET {path}");
        assert_eq!(net.cloud.delete(&path, &stranger).await.status, StatusCode::NOT_FOUND, "DELETE {path}");
        if *collection != "security-group-rules" {
            let change = json!({*key: {"description": "mine now"}});
            let reply = net.cloud.call(Method::PUT, &path, &stranger, change).await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "PUT {path}");
            let tags =
                net.cloud.call(Method::PUT, &format!("{path}/tags"), &stranger, json!({"tags": ["x"]})).await;
            assert_eq!(tags.status, StatusCode::NOT_FOUND, "PUT {path}/tags");
        }
        let listed = net.cloud.get(&format!("/network/v2.0/{collection}?id={id}"), &stranger).await;
        assert_eq!(ids(&listed, &collection.replace('-', "_")).len(), 0, "{collection}");
    }
    let id = |collection: &str| things.iter().find(|(name, ..)| *name == collection).unwrap().2.clone();
    let network =
        net.cloud.post("/network/v2.0/networks", &stranger, json!({"network": {}})).await.text("/network/id");
    let router =
        net.cloud.post("/network/v2.0/routers", &stranger, json!({"router": {}})).await.text("/router/id");
    let group = net.cloud.get("/network/v2.0/security-groups", &stranger).await.text("/security_groups/0/id");
    let references = [
        (Method::POST, "ports".to_owned(), json!({"port": {"network_id": id("networks")}})),
        (
            Method::POST,
            "subnets".into(),
            json!({"subnet": {"network_id": id("networks"), "cidr": "10.2.0.0/24", "ip_version": 4}}),
        ),
        (
            Method::POST,
            "ports".into(),
            json!({"port": {"network_id": network, "security_groups": [id("security-groups")]}}),
        ),
        (Method::PUT, format!("routers/{router}/add_router_interface"), json!({"subnet_id": id("subnets")})),
        (Method::PUT, format!("routers/{router}/add_router_interface"), json!({"port_id": id("ports")})),
        (
            Method::POST,
            "security-group-rules".into(),
            json!({"security_group_rule": {"security_group_id": group, "direction": "ingress",
                   "remote_group_id": id("security-groups")}}),
        ),
    ];
    for (method, path, body) in references {
        let reply = net.cloud.call(method, &format!("/network/v2.0/{path}"), &stranger, body.clone()).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path} {body}: {}", reply.json());
    }
    let quota = net.cloud.get(&format!("/network/v2.0/quotas/{}", net.project), &stranger).await;
    assert_eq!(refusal(&quota), (403, "PolicyNotAuthorized".into()));
    let own = net.cloud.get(&format!("/network/v2.0/quotas/{stranger_project}"), &stranger).await;
    assert_eq!(own.status, StatusCode::OK);
}

#[tokio::test]
async fn a_reader_reads() {
    let net = Net::start().await;
    let things = one_of_each(&net).await;
    let user =
        net.cloud.post("/v3/users", &net.admin, json!({"user": {"name": "ron", "password": "ron"}})).await;
    net.cloud.grant(&net.admin, &net.project, &user.text("/user/id"), "reader").await;
    let scope = json!({"project": {"id": net.project}});
    let reader = net.cloud.login("ron", "ron", scope).await.header("x-subject-token").to_owned();
    for (collection, key, id) in &things {
        let path = format!("/network/v2.0/{collection}/{id}");
        assert_eq!(net.cloud.get(&path, &reader).await.status, StatusCode::OK, "GET {path}");
        assert_eq!(
            refusal(&net.cloud.delete(&path, &reader).await),
            (403, "PolicyNotAuthorized".into()),
            "{path}"
        );
        if *collection != "security-group-rules" {
            let reply =
                net.cloud.call(Method::PUT, &path, &reader, json!({*key: {"description": "x"}})).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "PUT {path}");
        }
    }
    let made = net.cloud.post("/network/v2.0/networks", &reader, json!({"network": {}})).await;
    assert_eq!(refusal(&made), (403, "PolicyNotAuthorized".into()));
    let agents = net.cloud.get("/network/v2.0/agents", &reader).await;
    assert_eq!((agents.status, agents.json()), (StatusCode::OK, json!({"agents": []})));
}

/// External networks are there for all to see, and shared ones to plug into; neither is there to take over.
#[tokio::test]
async fn what_is_shared_is_seen_but_not_owned() {
    let net = Net::start().await;
    let (public, public_subnet) = net.external("172.24.4.0/24").await;
    assert_eq!(net.get(&format!("networks/{public}")).await.json()["network"]["router:external"], true);
    assert_eq!(
        ids(&net.get("networks?router:external=True").await, "networks"),
        std::slice::from_ref(&public)
    );
    assert_eq!(
        refusal(&net.put(&format!("networks/{public}"), json!({"network": {"name": "x"}})).await).0,
        403
    );
    assert_eq!(refusal(&net.delete(&format!("networks/{public}")).await).0, 403);
    assert_eq!(refusal(&net.post("ports", json!({"port": {"network_id": public}})).await).0, 403);
    assert_eq!(net.get(&format!("subnets/{public_subnet}")).await.status, StatusCode::NOT_FOUND);

    let body = json!({"network": {"name": "office", "shared": true}});
    let office = net.cloud.post("/network/v2.0/networks", &net.admin, body).await.text("/network/id");
    let body = json!({"subnet": {"network_id": office, "cidr": "10.7.0.0/24", "ip_version": 4}});
    let subnet = net.cloud.post("/network/v2.0/subnets", &net.admin, body).await.text("/subnet/id");
    assert_eq!(net.get(&format!("subnets/{subnet}")).await.status, StatusCode::OK);
    net.port(&office).await;
    let (_, _, reader) = net.cloud.tenant("readers", "reader").await;
    let body = json!({"port": {"network_id": office}});
    let plugged = net.cloud.post("/network/v2.0/ports", &reader, body).await;
    assert_eq!(refusal(&plugged).0, 403, "who only reads makes nothing");
    for chosen in [
        json!({"fixed_ips": [{"ip_address": "10.7.0.1"}]}),
        json!({"mac_address": "fa:16:3e:00:00:01"}),
        json!({"port_security_enabled": false}),
        json!({"allowed_address_pairs": [{"ip_address": "10.7.0.1"}]}),
    ] {
        let mut fields = json!({"network_id": office});
        fields.as_object_mut().unwrap().extend(chosen.as_object().unwrap().clone());
        assert_eq!(refusal(&net.post("ports", json!({"port": fields})).await).0, 403, "{chosen}");
    }
    let router = net.make("routers", "router", json!({})).await;
    let taken =
        net.put(&format!("routers/{router}/add_router_interface"), json!({"subnet_id": subnet})).await;
    assert_eq!(refusal(&taken).0, 403, "the gateway's address is the owner's");
    let unshared = json!({"network": {"shared": false}});
    let path = format!("/network/v2.0/networks/{office}");
    let unshared = net.cloud.call(Method::PUT, &path, &net.admin, unshared).await;
    assert_eq!(refusal(&unshared), (409, "InvalidSharedSetting".into()));
}
