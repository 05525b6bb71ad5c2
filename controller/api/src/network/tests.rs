//! The Network API through the router, over a real database.

mod floating;
mod ports;
mod rights;
mod routers;
mod rules;
mod subnets;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::{Reply, TestCloud};

/// An id that nothing has.
pub(super) const NOWHERE: &str = "00000000-0000-4000-8000-000000000000";

/// A cloud with an administrator and one tenant.
pub(super) struct Net {
    pub cloud: TestCloud,
    pub admin: String,
    pub project: String,
    pub token: String,
}

impl Net {
    pub async fn start() -> Self {
        let cloud = TestCloud::start().await;
        let admin = cloud.admin().await;
        let (project, _, token) = cloud.tenant("alice", "member").await;
        Self { cloud, admin, project, token }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.cloud.get(&format!("/network/v2.0/{path}"), &self.token).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.cloud.post(&format!("/network/v2.0/{path}"), &self.token, body).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.cloud.call(Method::PUT, &format!("/network/v2.0/{path}"), &self.token, body).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.cloud.delete(&format!("/network/v2.0/{path}"), &self.token).await
    }

    /// Makes a thing by the tenant; answers its id.
    pub async fn make(&self, collection: &str, key: &str, fields: Value) -> String {
        let reply = self.post(collection, json!({key: fields})).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.json());
        reply.text(&format!("/{key}/id"))
    }

    pub async fn network(&self, name: &str) -> String {
        self.make("networks", "network", json!({"name": name})).await
    }

    pub async fn subnet(&self, network: &str, cidr: &str) -> String {
        self.make("subnets", "subnet", json!({"network_id": network, "cidr": cidr, "ip_version": 4})).await
    }

    pub async fn port(&self, network: &str) -> String {
        self.make("ports", "port", json!({"network_id": network})).await
    }

    /// The operator's external network, with a subnet: (network, subnet).
    pub async fn external(&self, cidr: &str) -> (String, String) {
        let fields = json!({"name": "public", "router:external": true, "provider:network_type": "flat",
                            "provider:physical_network": "external"});
        let made = self.cloud.post("/network/v2.0/networks", &self.admin, json!({"network": fields})).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        let network = made.text("/network/id");
        let fields = json!({"network_id": network, "cidr": cidr, "ip_version": 4, "enable_dhcp": false});
        let made = self.cloud.post("/network/v2.0/subnets", &self.admin, json!({"subnet": fields})).await;
        (network, made.text("/subnet/id"))
    }
}

/// The refusal's status and the type on which clients match.
pub(super) fn refusal(reply: &Reply) -> (u16, String) {
    (reply.status.as_u16(), reply.text("/NeutronError/type"))
}

pub(super) fn ids(reply: &Reply, collection: &str) -> Vec<String> {
    let json = reply.json();
    let items = json[collection].as_array().unwrap_or_else(|| panic!("no {collection} in {json}"));
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn discovery() {
    let net = Net::start().await;
    for path in ["/network", "/network/"] {
        let reply = net.cloud.get(path, "").await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.text("/versions/0/links/0/href"), "http://cloud.test:5000/network/v2.0/");
    }
    let resources = net.cloud.get("/network/v2.0/", "").await;
    assert_eq!(
        (resources.status, resources.text("/resources/0/collection")),
        (StatusCode::OK, "networks".into())
    );
    assert_eq!(net.get("extensions/router").await.text("/extension/name"), "Neutron L3 Router");
    assert_eq!(
        net.get("extensions/Availability%20Zone").await.status,
        StatusCode::NOT_FOUND,
        "clients list then"
    );
    let listed = net.get("extensions").await.json();
    assert!(listed["extensions"].as_array().unwrap().iter().any(|one| one["name"] == "Availability Zone"));
    assert_eq!(net.get("availability_zones").await.text("/availability_zones/0/name"), "nova");
}

#[tokio::test]
async fn a_network_from_birth_to_death() {
    let net = Net::start().await;
    let made = net.post("networks", json!({"network": {"name": "lan", "tags": ["b", "a"]}})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let network = made.json()["network"].clone();
    for (key, value) in [
        ("status", json!("ACTIVE")),
        ("mtu", json!(1500)),
        ("admin_state_up", json!(true)),
        ("shared", json!(false)),
        ("router:external", json!(false)),
        ("tenant_id", json!(net.project)),
        ("project_id", json!(net.project)),
        ("tags", json!(["a", "b"])),
        ("subnets", json!([])),
        ("revision_number", json!(1)),
    ] {
        assert_eq!(network[key], value, "{key}");
    }
    assert!(network.get("provider:network_type").is_none(), "not for tenants");
    let id = network["id"].as_str().unwrap();
    let path = format!("networks/{id}");
    let subnet = net.subnet(id, "10.0.0.0/24").await;
    assert_eq!(net.get(&path).await.json()["network"]["subnets"], json!([subnet]));
    assert_eq!(
        net.get(&format!("{path}?fields=id&fields=name")).await.json(),
        json!({"network": {"id": id, "name": "lan"}})
    );
    let changed = net.put(&path, json!({"network": {"name": "wan", "mtu": 1400}})).await;
    assert_eq!((changed.status, changed.text("/network/name")), (StatusCode::OK, "wan".into()));
    assert_eq!(changed.json()["network"]["revision_number"], 2);
    let port = net.port(id).await;
    assert_eq!(refusal(&net.delete(&path).await), (409, "NetworkInUse".into()));
    assert_eq!(net.delete(&format!("ports/{port}")).await.status, StatusCode::NO_CONTENT);
    let with_body = Request::delete(format!("/network/v2.0/{path}"))
        .header("host", "cloud.test:5000")
        .header("x-auth-token", &net.token)
        .header("content-length", "2")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(refusal(&net.cloud.send(with_body).await), (400, "HTTPBadRequest".into()));
    let gone = net.delete(&path).await;
    assert_eq!((gone.status, gone.bytes.len()), (StatusCode::NO_CONTENT, 0));
    assert_eq!(refusal(&net.get(&path).await), (404, "NetworkNotFound".into()));
    assert_eq!(net.get(&format!("subnets/{subnet}")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn lists() {
    let net = Net::start().await;
    let body = json!({"networks": [{"name": "a"}, {"name": "b"}, {"name": "c", "admin_state_up": false}]});
    let made = net.post("networks", body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let all = ids(&made, "networks");
    assert_eq!(ids(&net.get("networks?name=b").await, "networks"), [all[1].clone()]);
    assert_eq!(ids(&net.get(&format!("networks?id={}&id={}", all[0], all[2])).await, "networks").len(), 2);
    assert_eq!(ids(&net.get("networks?admin_state_up=False").await, "networks"), [all[2].clone()]);
    let sorted = ids(&net.get("networks?sort_key=name&sort_dir=desc").await, "networks");
    assert_eq!(sorted, [all[2].clone(), all[1].clone(), all[0].clone()]);
    let mut seen = Vec::new();
    let mut path = "networks?limit=2&sort_key=name&sort_dir=asc".to_owned();
    for _ in 0..5 {
        let page = net.get(&path).await;
        seen.extend(ids(&page, "networks"));
        let json = page.json();
        let links = json["networks_links"].as_array().cloned().unwrap_or_default();
        let Some(next) = links.iter().find(|link| link["rel"] == "next") else { break };
        path = next["href"]
            .as_str()
            .unwrap()
            .strip_prefix("http://cloud.test:5000/network/v2.0/")
            .unwrap()
            .to_owned();
    }
    assert_eq!(seen, all, "links lead through all of them, and end");
    assert_eq!(net.get("networks?limit=x").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(net.get("networks?marker=none").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn wrong_networks() {
    let net = Net::start().await;
    let cases = [
        (json!({"network": {"sauce": 1}}), (400, "HTTPBadRequest")),
        (json!({"network": {"mtu": 20}}), (400, "HTTPBadRequest")),
        (json!({"network": {"mtu": 70000}}), (400, "HTTPBadRequest")),
        (json!({"network": {"name": "x".repeat(256)}}), (400, "HTTPBadRequest")),
        (json!({"network": {"admin_state_up": "perhaps"}}), (400, "InvalidInput")),
        (json!({"network": {"shared": true}}), (403, "PolicyNotAuthorized")),
        (json!({"network": {"router:external": true}}), (403, "PolicyNotAuthorized")),
        (json!({"network": {"provider:network_type": "flat"}}), (403, "PolicyNotAuthorized")),
        (json!({"network": {"project_id": "somebody"}}), (400, "HTTPBadRequest")),
        (json!({"networks": []}), (400, "HTTPBadRequest")),
        (json!([]), (400, "HTTPBadRequest")),
    ];
    for (body, (status, kind)) in cases {
        assert_eq!(refusal(&net.post("networks", body.clone()).await), (status, kind.into()), "{body}");
    }
    let half = json!({"networks": [{"name": "good"}, {"name": "bad", "mtu": 1}]});
    assert_eq!(net.post("networks", half).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(ids(&net.get("networks").await, "networks").len(), 0, "all or none");
}

#[tokio::test]
async fn quotas() {
    let net = Net::start().await;
    let path = format!("quotas/{}", net.project);
    assert_eq!(net.get(&path).await.json()["quota"]["network"], 100);
    assert_eq!(
        refusal(&net.put(&path, json!({"quota": {"network": 1}})).await),
        (403, "PolicyNotAuthorized".into())
    );
    let url = format!("/network/v2.0/{path}");
    let set =
        net.cloud.call(Method::PUT, &url, &net.admin, json!({"quota": {"network": 1, "subnet": 0}})).await;
    assert_eq!((set.status, set.json()["quota"]["network"].clone()), (StatusCode::OK, json!(1)));
    let network = net.network("only").await;
    assert_eq!(refusal(&net.post("networks", json!({"network": {}})).await), (409, "OverQuota".into()));
    let subnet = json!({"subnet": {"network_id": network, "cidr": "10.0.0.0/24", "ip_version": 4}});
    let over = net.post("subnets", subnet).await;
    assert_eq!(over.text("/NeutronError/message"), "Quota exceeded for resources: ['subnet'].");
    let details = net.get(&format!("{path}/details")).await.json();
    assert_eq!(details["quota"]["network"], json!({"limit": 1, "used": 1, "reserved": 0}));
    let below = json!({"quota": {"network": 0}});
    let refused = net.cloud.call(Method::PUT, &url, &net.admin, below).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "one is in use");
    let forced = json!({"quota": {"network": 0, "force": true}});
    assert_eq!(net.cloud.call(Method::PUT, &url, &net.admin, forced).await.status, StatusCode::OK);
    for (limit, kind) in [(json!("many"), "InvalidInput"), (json!(1_i64 << 31), "HTTPBadRequest")] {
        let body = json!({"quota": {"network": limit}});
        let refused = net.cloud.call(Method::PUT, &url, &net.admin, body).await;
        assert_eq!(refusal(&refused), (400, kind.into()));
    }
    assert_eq!(net.get("quotas/project").await.json(), json!({"project": {"project_id": net.project}}));
    let bad = net.cloud.call(Method::PUT, &url, &net.admin, json!({"quota": {"bananas": 1}})).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert_eq!(net.cloud.delete(&url, &net.admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(net.get(&path).await.json()["quota"]["network"], 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_do_not_get_past_a_quota() {
    let net = Net::start().await;
    let network = net.network("lan").await;
    let url = format!("/network/v2.0/quotas/{}", net.project);
    let set = net.cloud.call(Method::PUT, &url, &net.admin, json!({"quota": {"port": 3}})).await;
    assert_eq!(set.status, StatusCode::OK);
    let many = (0..8).map(|_| net.post("ports", json!({"port": {"network_id": network}})));
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(many).await.iter().map(|made| made.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 201, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn tags() {
    let net = Net::start().await;
    let network = net.network("lan").await;
    let path = format!("networks/{network}/tags");
    assert_eq!(net.put(&path, json!({"tags": ["x", "y"]})).await.json(), json!({"tags": ["x", "y"]}));
    assert_eq!(net.put(&format!("{path}/z"), Value::Null).await.status, StatusCode::CREATED);
    assert_eq!(net.get(&format!("{path}/z")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(net.delete(&format!("{path}/x")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(refusal(&net.delete(&format!("{path}/x")).await), (404, "TagNotFound".into()));
    assert_eq!(net.get(&path).await.json(), json!({"tags": ["y", "z"]}));
    assert_eq!(ids(&net.get("networks?tags=y,z").await, "networks"), [network]);
    let wrong = (400, "InvalidInput".to_owned());
    assert_eq!(refusal(&net.put(&path, json!({"tags": ["a", "a"]})).await), wrong);
    assert_eq!(refusal(&net.put(&path, json!({"tags": ["a".repeat(256)]})).await), wrong);
    let nowhere = net.get(&format!("networks/{NOWHERE}/tags")).await;
    assert_eq!(refusal(&nowhere), (404, "TagResourceNotFound".into()));
    assert_eq!(ids(&net.get("networks?tags=x").await, "networks").len(), 0);
    assert_eq!(net.delete(&path).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_change_may_be_bound_to_the_revision_that_was_seen() {
    let net = Net::start().await;
    let id = net.network("lan").await;
    let send = |method: Method, condition: &str| {
        let body = match method {
            Method::DELETE => Body::empty(),
            _ => Body::from(json!({"network": {"name": "wan"}}).to_string()),
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("/network/v2.0/networks/{id}"))
            .header("host", "cloud.test:5000")
            .header("x-auth-token", &net.token)
            .header("content-type", "application/json")
            .header("if-match", condition)
            .body(body)
            .unwrap();
        net.cloud.send(request)
    };
    assert_eq!(send(Method::PUT, "revision_number=1").await.status, StatusCode::OK);
    let late = (412, "RevisionNumberConstraintFailed".to_owned());
    assert_eq!(refusal(&send(Method::PUT, "revision_number=1").await), late);
    assert_eq!(refusal(&send(Method::DELETE, "revision_number=1").await), late);
    assert_eq!(refusal(&send(Method::PUT, "revision_number=x").await), (400, "BadRequest".into()));
    let same = send(Method::PUT, "*").await.json();
    assert_eq!(same["network"]["revision_number"], 2, "nothing is new");
    assert_eq!(send(Method::DELETE, "revision_number=2").await.status, StatusCode::NO_CONTENT);
}
