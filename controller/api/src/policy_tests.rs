//! An operator's policy file tightens and loosens the calls of every service, at once.
//!
//! Norah has a role that no rule knows: nothing by default. Each row is a call; with a rule that names her role she may,
//! and with one that lets nobody not even those may who could before.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::test_cloud::{Reply, TestCloud, project};

struct House {
    cloud: TestCloud,
    admin: String,
    /// A member of the project `house`.
    alice: String,
    /// In the same project, with the role `odd`.
    norah: String,
    norah_id: String,
}

/// A call that rules decide about.
struct Row<'a> {
    /// The rule that decides, and others that stand before it.
    rules: &'a [&'a str],
    method: Method,
    path: String,
    body: Value,
    /// What those get who may, and those who may not.
    allowed: u16,
    refused: u16,
}

impl House {
    async fn start() -> Self {
        let cloud = TestCloud::start_with_rules().await;
        let admin = cloud.admin().await;
        let (project_id, _, alice) = cloud.tenant("house", "member").await;
        let role = cloud.post("/v3/roles", &admin, json!({"role": {"name": "odd"}})).await;
        assert_eq!(role.status, StatusCode::CREATED);
        let user = json!({"user": {"name": "norah", "password": "norah"}});
        let norah_id = cloud.post("/v3/users", &admin, user).await.text("/user/id");
        cloud.grant(&admin, &project_id, &norah_id, "odd").await;
        let login = cloud.login("norah", "norah", project("house")).await;
        let norah = login.header("x-subject-token").to_owned();
        Self { cloud, admin, alice, norah, norah_id }
    }

    async fn call(&self, row: &Row<'_>, token: &str) -> Reply {
        let request = Request::builder()
            .method(row.method.clone())
            .uri(&row.path)
            .header("x-auth-token", token)
            .header("openstack-api-version", "compute 2.96")
            .header(
                "content-type",
                match row.method {
                    Method::PATCH if row.path.starts_with("/image") => {
                        "application/openstack-images-v2.1-json-patch"
                    }
                    _ => "application/json",
                },
            );
        let body = if row.body.is_null() { Body::empty() } else { Body::from(row.body.to_string()) };
        self.cloud.send(request.body(body).unwrap()).await
    }

    /// `may` is somebody who passes the rule by default; `seen` is the rule by which Norah sees what the call is about,
    /// if she has to.
    async fn judge(&self, may: &str, seen: &str, row: Row<'_>) {
        let (rule, path) = (row.rules[0], &row.path);
        let seen = match seen {
            "" => String::new(),
            seen => format!("'{seen}': 'role:odd or role:reader'\n"),
        };
        self.cloud.rules(&seen);
        let refused = self.call(&row, &self.norah).await;
        assert_eq!(refused.status.as_u16(), row.refused, "by default, {rule} {path}: {}", refused.json());
        self.cloud.rules(&format!("{seen}'{rule}': '!'\n"));
        let refused = self.call(&row, may).await;
        assert_eq!(refused.status.as_u16(), row.refused, "for nobody, {rule} {path}: {}", refused.json());
        let loose: String = row.rules.iter().map(|rule| format!("'{rule}': 'role:odd'\n")).collect();
        self.cloud.rules(&format!("{seen}{loose}"));
        let allowed = self.call(&row, &self.norah).await;
        assert_eq!(allowed.status.as_u16(), row.allowed, "for norah, {rule} {path}: {}", allowed.json());
        self.cloud.rules("");
    }

    async fn image(&self, fields: Value) -> String {
        let made = self.cloud.post("/image/v2/images", &self.alice, fields).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
        made.text("/id")
    }
}

fn row<'a>(
    rules: &'a [&'a str],
    method: Method,
    path: impl Into<String>,
    body: Value,
    allowed: u16,
    refused: u16,
) -> Row<'a> {
    Row { rules, method, path: path.into(), body, allowed, refused }
}

#[tokio::test]
async fn identity() {
    let house = House::start().await;
    let user = json!({"user": {"name": "new"}});
    let id = house.cloud.post("/v3/users", &house.admin, json!({"user": {"name": "old"}})).await;
    let path = format!("/v3/users/{}", id.text("/user/id"));
    let description = json!({"user": {"description": "d"}});
    let idp = "/v3/OS-FEDERATION/identity_providers/idp";
    let credential = json!({"credential": {"type": "cert", "blob": "b", "user_id": id.text("/user/id")}});
    for row in [
        row(&["identity:list_users"], Method::GET, "/v3/users", Value::Null, 200, 403),
        row(&["identity:get_user"], Method::GET, &path, Value::Null, 200, 403),
        row(&["identity:create_user"], Method::POST, "/v3/users", user, 201, 403),
        row(&["identity:update_user"], Method::PATCH, &path, description, 200, 403),
        row(&["identity:create_credential"], Method::POST, "/v3/credentials", credential, 201, 403),
        row(&["identity:list_trusts"], Method::GET, "/v3/OS-TRUST/trusts", Value::Null, 200, 403),
        row(
            &["identity:create_identity_provider"],
            Method::PUT,
            idp,
            json!({"identity_provider": {}}),
            201,
            403,
        ),
        row(&["identity:get_identity_provider"], Method::GET, idp, Value::Null, 200, 403),
        row(&["identity:delete_identity_provider"], Method::DELETE, idp, Value::Null, 204, 403),
        row(&["identity:list_policies"], Method::GET, "/v3/policies", Value::Null, 200, 403),
        row(&["identity:delete_user"], Method::DELETE, &path, Value::Null, 204, 403),
    ] {
        house.judge(&house.admin, "", row).await;
    }
    let own = format!("/v3/users/{}/application_credentials", house.norah_id);
    assert_eq!(house.cloud.get(&own, &house.norah).await.status, StatusCode::OK, "what is one's own");
    house.cloud.rules("'identity:list_application_credentials': 'rule:admin_required'");
    assert_eq!(house.cloud.get(&own, &house.norah).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn images() {
    let house = House::start().await;
    let path = format!("/image/v2/images/{}", house.image(json!({"name": "old"})).await);
    let set =
        |name: &str, value: &str| json!([{"op": "replace", "path": format!("/{name}"), "value": value}]);
    let members = format!("/image/v2/images/{}/members", house.image(json!({"name": "shared"})).await);
    for row in [
        row(&["get_images"], Method::GET, "/image/v2/images", Value::Null, 200, 403),
        row(&["get_image"], Method::GET, &path, Value::Null, 200, 404),
        row(&["add_image"], Method::POST, "/image/v2/images", json!({"name": "new"}), 201, 403),
    ] {
        house.judge(&house.alice, "", row).await;
    }
    for row in [
        row(&["modify_image"], Method::PATCH, &path, set("name", "changed"), 200, 403),
        row(
            &["publicize_image", "modify_image"],
            Method::PATCH,
            &path,
            set("visibility", "public"),
            200,
            403,
        ),
        row(
            &["communitize_image", "modify_image"],
            Method::PATCH,
            &path,
            set("visibility", "community"),
            200,
            403,
        ),
        row(&["add_member"], Method::POST, &members, json!({"member": "p"}), 200, 403),
        row(&["delete_image"], Method::DELETE, &path, Value::Null, 204, 403),
    ] {
        house.judge(&house.admin, "get_image", row).await;
    }
    let namespaces = "/image/v2/metadefs/namespaces";
    for row in [
        row(&["add_metadef_namespace"], Method::POST, namespaces, json!({"namespace": "OS::Odd"}), 201, 403),
        row(&["tasks_api_access"], Method::GET, "/image/v2/tasks", Value::Null, 200, 403),
        row(&["stores_info_detail"], Method::GET, "/image/v2/info/stores/detail", Value::Null, 200, 403),
    ] {
        house.judge(&house.admin, "", row).await;
    }
}

/// What is somebody else's stays hidden, however loose a rule is.
#[tokio::test]
async fn a_rule_that_forgets_the_project_opens_nothing() {
    let house = House::start().await;
    let image = house.image(json!({"visibility": "private"})).await;
    let network = json!({"network": {"name": "lan"}});
    let network = house.cloud.post("/network/v2.0/networks", &house.alice, network).await.text("/network/id");
    let (_, _, stranger) = house.cloud.tenant("mallory", "member").await;
    house.cloud.rules(
        "get_image: '@'\nmodify_image: '@'\ndelete_image: '@'\nget_network: '@'\ndelete_network: '@'\n",
    );
    for path in [format!("/image/v2/images/{image}"), format!("/network/v2.0/networks/{network}")] {
        assert_eq!(house.cloud.get(&path, &stranger).await.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(house.cloud.delete(&path, &stranger).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn networks() {
    let house = House::start().await;
    let root = "/network/v2.0/networks";
    let made = house.cloud.post(root, &house.alice, json!({"network": {"name": "lan"}})).await;
    let path = format!("{root}/{}", made.text("/network/id"));
    let named = |name: &str| json!({"network": {"name": name}});
    let shared = json!({"network": {"shared": true}});
    for row in [
        row(&["get_network"], Method::GET, &path, Value::Null, 200, 404),
        row(&["create_network"], Method::POST, root, named("new"), 201, 403),
        row(&["create_network:shared", "create_network"], Method::POST, root, shared.clone(), 201, 403),
    ] {
        house.judge(&house.admin, "", row).await;
    }
    for row in [
        row(&["update_network"], Method::PUT, &path, named("changed"), 200, 403),
        row(&["update_network:shared", "update_network"], Method::PUT, &path, shared, 200, 403),
        row(&["update_network:tags"], Method::PUT, format!("{path}/tags/t"), Value::Null, 201, 403),
        row(&["delete_network"], Method::DELETE, &path, Value::Null, 204, 403),
    ] {
        house.judge(&house.admin, "get_network", row).await;
    }
    // Lists leave out what may not be seen, and answers the attributes that may not.
    house.cloud.rules("get_network: '!'");
    let none = house.cloud.get(root, &house.admin).await;
    assert_eq!((none.status, &none.json()["networks"]), (StatusCode::OK, &json!([])));
    for (rule, count) in [("", 0), ("'get_availability_zone': 'role:odd'", 2)] {
        house.cloud.rules(rule);
        let zones = house.cloud.get("/network/v2.0/availability_zones", &house.norah).await.json();
        assert_eq!(zones["availability_zones"].as_array().map(Vec::len), Some(count), "{rule}: {zones}");
    }
    let kind = "provider:network_type";
    for (rule, is_shown) in [("", false), ("'get_network:provider:network_type': 'role:reader'", true)] {
        house.cloud.rules(rule);
        let shown = house.cloud.get(root, &house.alice).await.json();
        assert_eq!(shown["networks"][0].get(kind).is_some(), is_shown, "{rule}: {shown}");
    }
}

fn flavor(id: &str, disk: u32) -> Value {
    json!({"flavor": {"name": id, "id": id, "ram": 64, "vcpus": 1, "disk": disk}})
}

fn server(image: &str, flavor: &str) -> Value {
    json!({"server": {"name": "s", "imageRef": image, "flavorRef": flavor, "networks": "none"}})
}

const SERVERS: &str = "/compute/v2.1/servers";

/// Flavors with a disk and without, an image with data, and a server of Alice's: (image's id, server's path).
async fn offer(house: &House) -> (String, String) {
    let image = house.image(json!({"disk_format": "raw", "container_format": "bare"})).await;
    let upload = Request::put(format!("/image/v2/images/{image}/file"))
        .header("x-auth-token", &house.alice)
        .header("content-type", "application/octet-stream")
        .body(Body::from(vec![7; 1 << 20]));
    assert_eq!(house.cloud.send(upload.unwrap()).await.status, StatusCode::NO_CONTENT);
    for (id, disk) in [("1", 1), ("0", 0)] {
        let made = house.cloud.post("/compute/v2.1/flavors", &house.admin, flavor(id, disk)).await;
        assert_eq!(made.status, StatusCode::OK);
    }
    let new = row(&[""], Method::POST, SERVERS, server(&image, "1"), 202, 202);
    let made = house.call(&new, &house.alice).await;
    assert_eq!(made.status, StatusCode::ACCEPTED, "{}", made.json());
    (image, format!("{SERVERS}/{}", made.text("/server/id")))
}

#[tokio::test]
async fn servers() {
    let house = House::start().await;
    let (image, path) = offer(&house).await;
    let create =
        ["os_compute_api:servers:create", "get_image", "os_compute_api:servers:create:zero_disk_flavor"];
    let zero_disk = [create[2], create[0], create[1]];
    let renamed = json!({"server": {"name": "changed"}});
    let action = format!("{path}/action");
    let everywhere = format!("{SERVERS}?all_tenants=1");
    let all_projects = ["os_compute_api:servers:index:get_all_tenants", "os_compute_api:servers:index"];
    let unlock = json!({"unlock": null});
    for row in [
        row(&["os_compute_api:servers:index"], Method::GET, SERVERS, Value::Null, 200, 403),
        row(&["os_compute_api:servers:show"], Method::GET, &path, Value::Null, 200, 403),
        row(&create, Method::POST, SERVERS, server(&image, "1"), 202, 403),
        row(&zero_disk, Method::POST, SERVERS, server(&image, "0"), 202, 403),
        row(&["os_compute_api:servers:update"], Method::PUT, &path, renamed, 200, 403),
        row(&["os_compute_api:os-lock-server:unlock"], Method::POST, &action, unlock, 202, 403),
        row(&all_projects, Method::GET, &everywhere, Value::Null, 200, 403),
    ] {
        house.judge(&house.admin, "", row).await;
    }
    let attributes = "'os_compute_api:os-extended-server-attributes': 'role:reader'";
    for (rule, is_shown) in [("", false), (attributes, true)] {
        house.cloud.rules(rule);
        let shown = house.cloud.get(&path, &house.alice).await.json();
        let is_there = shown["server"].get("OS-EXT-SRV-ATTR:instance_name").is_some();
        assert_eq!(is_there, is_shown, "{rule}: {shown}");
    }
    let gone = row(&["os_compute_api:servers:delete"], Method::DELETE, &path, Value::Null, 204, 403);
    house.judge(&house.admin, "", gone).await;
}

#[tokio::test]
async fn what_servers_are_made_of() {
    let house = House::start().await;
    let (hosts, flavors) = ("/compute/v2.1/os-hypervisors", "/compute/v2.1/flavors");
    let keys = "/compute/v2.1/os-keypairs?user_id=somebody";
    for row in [
        row(&["os_compute_api:os-hypervisors:list"], Method::GET, hosts, Value::Null, 200, 403),
        row(&["os_compute_api:os-keypairs:index"], Method::GET, keys, Value::Null, 200, 403),
        row(&["os_compute_api:os-flavor-manage:create"], Method::POST, flavors, flavor("2", 1), 200, 403),
    ] {
        house.judge(&house.admin, "", row).await;
    }
}

#[tokio::test]
async fn what_operators_ask() {
    let house = House::start().await;
    for (rule, path) in [
        ("cloud:get_status", "/host/v1/status"),
        ("cloud:list_operations", "/host/v1/ops"),
        ("cloud:list_audit_events", "/host/v1/audit"),
        ("cloud:list_hosts", "/host/v1/hosts"),
    ] {
        house.judge(&house.admin, "", row(&[rule], Method::GET, path, Value::Null, 200, 403)).await;
    }
}
