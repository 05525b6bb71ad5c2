//! A cloud with two tenants, who have one of everything each: the domains `alpha` and `beta`.
//!
//! It is made once and then copied, so that each case that changes something starts from the same state.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Weak};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;
use updraft_core::Config;
use updraft_peers::Database;

use super::world_network;
use crate::compute::tests::Running;
use crate::test_cloud::TestCloud;

/// Who calls: the cloud's administrator; the manager of the domain alpha; three of alpha's project; a service of the
/// cloud; a member of beta's project.
pub(super) const CALLERS: [&str; 7] =
    ["admin", "domain_manager", "manager", "member", "reader", "service", "other"];
/// Everybody of beta.
pub(super) const STRANGERS: [&str; 3] = ["other", "other_manager", "other_domain_manager"];

const PASSWORD: &str = "a good password";
const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0Mu9nyvqWjmrvlNNnTj4TQ9t9JHZ0p1GMUbjM4eA5j somebody";

pub(super) type Values = BTreeMap<String, String>;

/// The cloud as it was made, and what is in it.
pub(super) struct World {
    template: TempDir,
    /// By the name of the collection, alpha's things and the cloud's.
    pub alpha: Values,
    /// The same of beta.
    pub beta: Values,
    /// By caller.
    pub tokens: Values,
}

/// The world while it is made.
pub(super) struct Making {
    pub cloud: TestCloud,
    pub admin: String,
    pub tokens: Values,
    /// What both tenants share.
    shared: Values,
}

/// The one of this process, while a test has it.
static SHARED: Mutex<Weak<World>> = Mutex::const_new(Weak::new());

impl World {
    /// The world, made by the first test that needs it.
    pub async fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().await;
        if let Some(world) = shared.upgrade() {
            return world;
        }
        let world = Arc::new(Self::make().await);
        *shared = Arc::downgrade(&world);
        world
    }

    async fn make() -> Self {
        let cloud = on_sqlite(tempfile::tempdir().unwrap()).await;
        let running = Running::start(&cloud).await;
        let admin = cloud.admin().await;
        let mut making = Making { cloud, admin, tokens: Values::new(), shared: Values::new() };
        making.tokens.insert("admin".into(), making.admin.clone());
        making.identity_of_all().await;
        making.rest_of_all().await;
        let mut tenants = Vec::new();
        for (name, callers) in [
            ("alpha", ["domain_manager", "manager", "member", "reader"]),
            ("beta", ["other_domain_manager", "other_manager", "other", "other_reader"]),
        ] {
            let mut values = making.shared.clone();
            making.people(name, callers, &mut values).await;
            making.identity_of(name, callers, &mut values).await;
            making.image_of(name, callers[2], &mut values).await;
            world_network::make(&making, name, callers[2], &mut values).await;
            making.server_of(name, callers[2], &mut values, &running).await;
            tenants.push(values);
        }
        running.stop().await;
        let task = making.task().await;
        for values in &mut tenants {
            values.insert("tasks".into(), task.clone());
        }
        let Making { cloud, tokens, .. } = making;
        cloud.core.audit.flush(&cloud.core).await;
        let template = cloud.close().await;
        let beta = tenants.pop().unwrap();
        Self { template, alpha: tenants.pop().unwrap(), beta, tokens }
    }

    /// The cloud as it was made.
    pub async fn open(&self) -> TestCloud {
        let directory = tempfile::tempdir().unwrap();
        copy(self.template.path(), directory.path());
        on_sqlite(directory).await
    }

    pub fn token(&self, caller: &str) -> &str {
        &self.tokens[caller]
    }
}

/// Copying a database is for files; and what a sweep asks of the router is the same on any.
async fn on_sqlite(directory: TempDir) -> TestCloud {
    let mut config = Config::new(directory.path().join("images"));
    config.host_credential = Some("the host's own secret".to_owned().into());
    config.host_key = Some("what controllers have in common".to_owned().into());
    config.novnc_directory = Some(directory.path().to_owned());
    config.public_endpoint = Some("http://cloud.test".to_owned());
    let url = format!("sqlite:{}", directory.path().join("updraft.sqlite").display());
    TestCloud::start_on(directory, config, Database::Sqlite { url }).await
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Making {
    pub async fn call(&self, method: Method, path: &str, token: &str, body: Value) -> Value {
        let mut request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header("x-auth-token", token)
            .header("content-type", "application/json");
        if path.starts_with("/compute") {
            request = request.header("openstack-api-version", "compute 2.96");
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.cloud.send(request.body(Body::from(text)).unwrap()).await;
        let shown = String::from_utf8_lossy(&reply.bytes).into_owned();
        assert!(reply.status.is_success(), "{method} {path} {body}: {} {shown}", reply.status);
        reply.json()
    }

    /// Makes something; its id, or what is at another pointer into the answer.
    pub async fn make(&self, path: &str, token: &str, body: Value, id: &str) -> String {
        let made = self.call(Method::POST, path, token, body).await;
        let found = made.pointer(id).unwrap_or_else(|| panic!("{path}: no {id} in {made}"));
        found.as_str().map_or_else(|| found.to_string(), str::to_owned)
    }

    pub async fn put(&self, path: &str, token: &str, body: Value) -> Value {
        self.call(Method::PUT, path, token, body).await
    }

    pub async fn text(&self, path: &str, token: &str, pointer: &str) -> String {
        let shown = self.call(Method::GET, path, token, Value::Null).await;
        let found = shown.pointer(pointer).unwrap_or_else(|| panic!("{path}: no {pointer} in {shown}"));
        found.as_str().map_or_else(|| found.to_string(), str::to_owned)
    }

    fn share(&mut self, name: &str, value: impl Into<String>) {
        self.shared.insert(name.to_owned(), value.into());
    }

    /// Roles, the catalog, federation: the cloud's own.
    async fn identity_of_all(&mut self) {
        let admin = self.admin.clone();
        for role in ["admin", "manager", "member", "reader", "service"] {
            let id = self.text(&format!("/v3/roles?name={role}"), &admin, "/roles/0/id").await;
            self.share(&format!("{role}_role"), id);
        }
        for (name, role) in [("roles", "custom"), ("implies", "implied"), ("spare_role", "spare")] {
            let id = self.make("/v3/roles", &admin, json!({"role": {"name": role}}), "/role/id").await;
            self.share(name, id);
        }
        let implied = format!("/v3/roles/{}/implies/{}", self.shared["roles"], self.shared["implies"]);
        self.put(&implied, &admin, Value::Null).await;
        for (name, region) in [("regions", "region"), ("spare_region", "spare")] {
            let id = self.make("/v3/regions", &admin, json!({"region": {"id": region}}), "/region/id").await;
            self.share(name, id);
        }
        let service = json!({"service": {"type": "custom", "name": "custom"}});
        let service = self.make("/v3/services", &admin, service, "/service/id").await;
        self.share("services", service.clone());
        let endpoint = json!({"endpoint": {"interface": "public", "service_id": service,
                                           "region_id": "region", "url": "http://custom.test"}});
        let id = self.make("/v3/endpoints", &admin, endpoint, "/endpoint/id").await;
        self.share("endpoints", id);
        let policy = json!({"policy": {"blob": "{}", "type": "application/json"}});
        let id = self.make("/v3/policies", &admin, policy, "/policy/id").await;
        for place in [
            format!("endpoints/{}", self.shared["endpoints"]),
            format!("services/{service}"),
            format!("services/{service}/regions/region"),
        ] {
            let path = format!("/v3/policies/{id}/OS-ENDPOINT-POLICY/{place}");
            self.put(&path, &admin, Value::Null).await;
        }
        self.share("policies", id);
        let group = json!({"endpoint_group": {"name": "group", "filters": {"interface": "public"}}});
        let base = "/v3/OS-EP-FILTER/endpoint_groups";
        let id = self.make(base, &admin, group, "/endpoint_group/id").await;
        self.share("endpoint_groups", id);
        for (name, resource) in
            [("registered_limits", "one"), ("spare_registered_limit", "unused"), ("spare_resource", "spare")]
        {
            let limit = json!({"service_id": service, "resource_name": resource, "default_limit": 10});
            let body = json!({"registered_limits": [limit]});
            let id = self.make("/v3/registered_limits", &admin, body, "/registered_limits/0/id").await;
            self.share(name, id);
        }
        self.federation().await;
        let gone = json!({"domain": {"name": "gone", "enabled": false}});
        let id = self.make("/v3/domains", &admin, gone, "/domain/id").await;
        self.share("disabled_domain", id);
        self.share("password", PASSWORD);
        self.share("public_key", PUBLIC_KEY);
        self.share("tags", "tag");
    }

    async fn federation(&mut self) {
        let (admin, base) = (self.admin.clone(), "/v3/OS-FEDERATION");
        let provider = json!({"identity_provider": {"remote_ids": ["https://idp.test"]}});
        self.put(&format!("{base}/identity_providers/idp"), &admin, provider).await;
        let rules = json!([{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "sub"}]}]);
        self.put(&format!("{base}/mappings/mapping"), &admin, json!({"mapping": {"rules": rules}})).await;
        let protocol = json!({"protocol": {"mapping_id": "mapping"}});
        self.put(&format!("{base}/identity_providers/idp/protocols/openid"), &admin, protocol).await;
        let provider = json!({"auth_url": "https://sp.test/auth", "sp_url": "https://sp.test/sp"});
        self.put(&format!("{base}/service_providers/sp"), &admin, json!({"service_provider": provider}))
            .await;
        for (name, id) in [
            ("identity_providers", "idp"),
            ("mappings", "mapping"),
            ("protocols", "openid"),
            ("service_providers", "sp"),
        ] {
            self.share(name, id);
        }
    }

    /// Flavors, an external network, metadata definitions, the service user.
    async fn rest_of_all(&mut self) {
        let admin = self.admin.clone();
        let flavor = json!({"flavor": {"name": "small", "ram": 64, "vcpus": 1, "disk": 1, "id": "1"}});
        let id = self.make("/compute/v2.1/flavors", &admin, flavor, "/flavor/id").await;
        let specs = json!({"extra_specs": {"hw:cpu_policy": "shared"}});
        self.call(Method::POST, &format!("/compute/v2.1/flavors/{id}/os-extra_specs"), &admin, specs).await;
        self.share("flavors", id);
        self.share("os-extra_specs", "hw:cpu_policy");
        let flavor = json!({"flavor": {"name": "private", "ram": 64, "vcpus": 1, "disk": 1,
                                       "os-flavor-access:is_public": false}});
        let id = self.make("/compute/v2.1/flavors", &admin, flavor, "/flavor/id").await;
        self.share("private_flavor", id);
        let host = self.text("/compute/v2.1/os-hypervisors", &admin, "/hypervisors/0/id").await;
        self.share("os-hypervisors", host);
        let service = self.text("/compute/v2.1/os-services", &admin, "/services/0/id").await;
        self.share("os-services", service);
        let agent = self.text("/network/v2.0/agents", &admin, "/agents/0/id").await;
        self.share("agents", agent);
        let network = json!({"network": {"name": "public", "router:external": true,
            "provider:network_type": "flat", "provider:physical_network": "external"}});
        let network = self.make("/network/v2.0/networks", &admin, network, "/network/id").await;
        let subnet = json!({"subnet": {"network_id": network, "cidr": "203.0.113.0/24", "ip_version": 4,
                                       "enable_dhcp": false}});
        self.make("/network/v2.0/subnets", &admin, subnet, "/subnet/id").await;
        self.share("external", network);
        self.metadefs(&admin).await;
        let (_, _, service) = self.cloud.tenant("services", "service").await;
        self.tokens.insert("service".into(), service);
        self.make("/host/v1/hosts", &admin, json!({"name": "spare"}), "/name").await;
        for (name, value) in [("hosts", "spare"), ("extensions", "router"), ("stores", "local")] {
            self.share(name, value);
        }
    }

    async fn metadefs(&mut self, admin: &str) {
        let base = "/image/v2/metadefs/namespaces";
        let namespace = json!({"namespace": "space", "visibility": "public"});
        self.call(Method::POST, base, admin, namespace).await;
        for (collection, body) in [
            ("objects", json!({"name": "object"})),
            ("properties", json!({"name": "property", "title": "one", "type": "string"})),
            ("resource_types", json!({"name": "OS::Nova::Server"})),
        ] {
            self.call(Method::POST, &format!("{base}/space/{collection}"), admin, body).await;
        }
        self.call(Method::POST, &format!("{base}/space/tags/tag"), admin, Value::Null).await;
        for (name, value) in [
            ("namespaces", "space"),
            ("objects", "object"),
            ("properties", "property"),
            ("resource_types", "OS::Nova::Server"),
        ] {
            self.share(name, value);
        }
    }

    /// A domain with a project, its people, and a group.
    async fn people(&mut self, name: &str, callers: [&str; 4], values: &mut Values) {
        let admin = self.admin.clone();
        let domain = json!({"domain": {"name": format!("{name}-domain")}});
        let domain = self.make("/v3/domains", &admin, domain, "/domain/id").await;
        let mut projects = Vec::new();
        for kind in ["project", "spare", "spare2"] {
            let fields = json!({"name": format!("{name}-{kind}"), "domain_id": domain, "tags": ["tag"]});
            projects.push(self.make("/v3/projects", &admin, json!({"project": fields}), "/project/id").await);
        }
        for (caller, role) in callers.iter().zip(["manager", "manager", "member", "reader"]) {
            let fields =
                json!({"name": format!("{name}-{caller}"), "domain_id": domain, "password": PASSWORD});
            let user = self.make("/v3/users", &admin, json!({"user": fields}), "/user/id").await;
            let is_of_domain = caller.ends_with("domain_manager");
            let (target, id) = if is_of_domain { ("domains", &domain) } else { ("projects", &projects[0]) };
            let role = &self.shared[&format!("{role}_role")];
            self.put(&format!("/v3/{target}/{id}/users/{user}/roles/{role}"), &admin, Value::Null).await;
            let scope = if is_of_domain {
                json!({"domain": {"id": domain}})
            } else {
                json!({"project": {"id": projects[0]}})
            };
            let token = self.login(&user, scope).await;
            self.tokens.insert((*caller).to_owned(), token);
            values.insert((*caller).to_owned(), user);
        }
        values.insert("users".into(), values[callers[2]].clone());
        values.insert("reader".into(), values[callers[3]].clone());
        values.insert("token".into(), self.tokens[callers[2]].clone());
        let group = json!({"group": {"name": format!("{name}-group"), "domain_id": domain}});
        let group = self.make("/v3/groups", &admin, group, "/group/id").await;
        self.put(&format!("/v3/groups/{group}/users/{}", values["users"]), &admin, Value::Null).await;
        let fields = [("groups", group), ("domains", domain), ("spare_project2", projects.pop().unwrap())];
        values.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        values.insert("spare_project".into(), projects.pop().unwrap());
        values.insert("projects".into(), projects.pop().unwrap());
    }

    async fn login(&self, user_id: &str, scope: Value) -> String {
        let user = json!({"id": user_id, "password": PASSWORD});
        let auth = json!({"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope});
        let reply = self.cloud.post("/v3/auth/tokens", "", json!({"auth": auth})).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.json());
        reply.header("x-subject-token").to_owned()
    }

    /// Grants of the role `custom` wherever one can be, credentials of every kind, a trust, a limit.
    async fn identity_of(&mut self, name: &str, callers: [&str; 4], values: &mut Values) {
        let admin = self.admin.clone();
        let role = &values["roles"];
        for (actors, actor) in [("users", &values["users"]), ("groups", &values["groups"])] {
            for target in
                [format!("projects/{}", values["projects"]), format!("domains/{}", values["domains"])]
            {
                let path = format!("{target}/{actors}/{actor}/roles/{role}");
                self.put(&format!("/v3/{path}"), &admin, Value::Null).await;
                self.put(&format!("/v3/OS-INHERIT/{path}/inherited_to_projects"), &admin, Value::Null).await;
            }
            self.put(&format!("/v3/system/{actors}/{actor}/roles/{role}"), &admin, Value::Null).await;
        }
        // New grants leave tokens alone; what is granted is asked for at once.
        let (token, user) = (self.tokens[callers[2]].clone(), values["users"].clone());
        let base = format!("/v3/users/{user}");
        for (kind, path) in [("application_credentials", "/v2.1/servers"), ("spare", "/v2.1/flavors")] {
            let rule = json!({"service": "compute", "method": "GET", "path": path});
            let fields = json!({"name": format!("{name}-{kind}"), "access_rules": [rule]});
            let body = json!({"application_credential": fields});
            let made =
                self.call(Method::POST, &format!("{base}/application_credentials"), &token, body).await;
            let id = made["application_credential"]["id"].as_str().unwrap().to_owned();
            let rule = made["application_credential"]["access_rules"][0]["id"].as_str().unwrap().to_owned();
            if kind == "spare" {
                let path = format!("{base}/application_credentials/{id}");
                self.call(Method::DELETE, &path, &token, Value::Null).await;
                values.insert("spare_access_rule".into(), rule);
            } else {
                values.insert("application_credentials".into(), id);
                values.insert("access_rules".into(), rule);
            }
        }
        let ec2 = json!({"tenant_id": values["projects"]});
        let access =
            self.make(&format!("{base}/credentials/OS-EC2"), &token, ec2, "/credential/access").await;
        values.insert("OS-EC2".into(), access);
        let fields = json!({"type": "cert", "blob": format!("{name}-blob"), "user_id": user});
        let id = self.make("/v3/credentials", &token, json!({"credential": fields}), "/credential/id").await;
        values.insert("credentials".into(), id);
        let trust = json!({"trustor_user_id": user, "trustee_user_id": values["reader"], "impersonation": false,
                           "project_id": values["projects"], "roles": [{"name": "member"}]});
        let id = self.make("/v3/OS-TRUST/trusts", &token, json!({"trust": trust}), "/trust/id").await;
        let given = self.text(&format!("/v3/OS-TRUST/trusts/{id}/roles"), &token, "/roles/0/id").await;
        values.insert("trust_role".into(), given);
        values.insert("trusts".into(), id);
        self.filters_of(&admin, values).await;
        let limit = json!({"service_id": values["services"], "project_id": values["projects"],
                           "resource_name": "one", "resource_limit": 5});
        let id = self.make("/v3/limits", &admin, json!({"limits": [limit]}), "/limits/0/id").await;
        values.insert("limits".into(), id);
    }

    /// Which endpoints the project sees, and options of the domain.
    async fn filters_of(&self, admin: &str, values: &Values) {
        let (base, project) = ("/v3/OS-EP-FILTER", &values["projects"]);
        let endpoint = format!("{base}/projects/{project}/endpoints/{}", values["endpoints"]);
        self.put(&endpoint, admin, Value::Null).await;
        let group = format!("{base}/endpoint_groups/{}/projects/{project}", values["endpoint_groups"]);
        self.put(&group, admin, Value::Null).await;
        let config = json!({"config": {"identity": {"driver": "sql"}}});
        self.put(&format!("/v3/domains/{}/config", values["domains"]), admin, config).await;
    }

    async fn image_of(&self, name: &str, member: &str, values: &mut Values) {
        let token = &self.tokens[member];
        for (kind, has_data) in [("images", true), ("queued_image", false)] {
            let fields = json!({"name": format!("{name}-{kind}"), "disk_format": "raw",
                                "container_format": "bare", "tags": ["tag"]});
            let id = self.make("/image/v2/images", token, fields, "/id").await;
            if has_data {
                let upload = Request::builder()
                    .method(Method::PUT)
                    .uri(format!("/image/v2/images/{id}/file"))
                    .header("x-auth-token", token)
                    .header("content-type", "application/octet-stream")
                    .body(Body::from(vec![7; 1 << 20]))
                    .unwrap();
                assert_eq!(self.cloud.send(upload).await.status, StatusCode::NO_CONTENT);
            }
            values.insert(kind.to_owned(), id);
        }
        let path = format!("/image/v2/images/{}/members", values["images"]);
        self.call(Method::POST, &path, token, json!({"member": values["spare_project"]})).await;
        values.insert("members".into(), values["spare_project"].clone());
    }

    /// A task that nobody works on.
    async fn task(&self) -> String {
        let input = json!({"import_from": "http://images.test/one", "import_from_format": "raw",
                           "image_properties": {"name": "new", "disk_format": "raw", "container_format": "bare"}});
        let body = json!({"type": "import", "input": input});
        self.make("/image/v2/tasks", &self.admin, body, "/id").await
    }

    /// A server that runs.
    async fn server_of(&self, name: &str, member: &str, values: &mut Values, running: &Running) {
        let (token, base) = (&self.tokens[member], "/compute/v2.1");
        let key = json!({"keypair": {"name": format!("{name}-key"), "public_key": PUBLIC_KEY}});
        self.make(&format!("{base}/os-keypairs"), token, key, "/keypair/name").await;
        values.insert("os-keypairs".into(), format!("{name}-key"));
        let fields = json!({"name": format!("{name}-server"), "imageRef": values["images"], "flavorRef": "1",
                            "networks": [{"uuid": values["networks"]}], "metadata": {"key": "1"},
                            "tags": ["tag"], "key_name": format!("{name}-key")});
        let id = self.make(&format!("{base}/servers"), token, json!({"server": fields}), "/server/id").await;
        let path = format!("{base}/servers/{id}");
        running.settle(&self.cloud, &path, token).await;
        let port = self.text(&format!("{path}/os-interface"), token, "/interfaceAttachments/0/port_id").await;
        let actions = format!("{path}/os-instance-actions");
        let request = self.text(&actions, token, "/instanceActions/0/request_id").await;
        let more = [
            ("servers", id.clone()),
            ("os-interface", port),
            ("os-instance-actions", request),
            ("ips", format!("{name}-network")),
            ("metadata", "key".to_owned()),
            ("os-quota-sets", values["projects"].clone()),
            ("quotas", values["projects"].clone()),
            ("why", id),
        ];
        values.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
}
