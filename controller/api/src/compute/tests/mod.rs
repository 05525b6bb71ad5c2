//! The compute API through the whole router, over a real database, with a simulated host behind real HTTP.

mod admin;
mod consoles;
mod journal;
mod lifecycle;
mod refusals;
mod shapes;
mod trust;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use updraft_core::Config;
use updraft_sim::{SimulatedHost, agent};

use crate::test_cloud::{Reply, TestCloud};

const CREDENTIAL: &str = "the simulated host's own secret";
/// How often, and how many times, a test looks for what it waits for: a minute in all.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: usize = 3000;

/// A cloud with a host, workers, an image, a flavor and a network.
struct ComputeCloud {
    cloud: TestCloud,
    host: agent::Shared,
    /// Where the same router is served, for WebSockets and the agent.
    address: std::net::SocketAddr,
    admin: String,
    /// A member's token.
    member: String,
    image_id: String,
    network_id: String,
    _running: Running,
}

/// A simulated host, and the background work of a controller that is served to it.
pub(crate) struct Running {
    host: agent::Shared,
    address: std::net::SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Running {
    /// The cloud's configuration has a host credential.
    pub(crate) async fn start(cloud: &TestCloud) -> Self {
        updraft_core::host::register_own(&cloud.core).await.unwrap();
        let credential = cloud.core.config.host_credential.as_ref().unwrap().expose().to_owned();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let router = crate::router(cloud.core.clone());
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        tasks.spawn(updraft_core::run_background(cloud.core.clone(), stopping));
        let host = Arc::new(Mutex::new(SimulatedHost::new("node-1")));
        let agent = agent::run(Arc::clone(&host), format!("http://{address}"), credential);
        tasks.spawn(async move { agent.await.unwrap() });
        let this = Self { host, address, stop, tasks };
        this.report(cloud).await;
        this
    }

    /// Waits until the host has reported.
    async fn report(&self, cloud: &TestCloud) {
        let admin = cloud.admin().await;
        for _ in 0..LOOKS {
            let hosts = cloud.get("/compute/v2.1/os-hypervisors", &admin).await;
            if hosts.json()["hypervisors"].as_array().is_some_and(|hosts| !hosts.is_empty()) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("the host does not report");
    }

    /// Waits until a server runs.
    pub(crate) async fn settle(&self, cloud: &TestCloud, path: &str, token: &str) {
        let mut last = Value::Null;
        for _ in 0..LOOKS {
            last = cloud.get(path, token).await.json();
            let settled = last.pointer("/server/OS-EXT-STS:task_state").is_some_and(Value::is_null);
            if last["server"]["status"] == "ACTIVE" && settled {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("{path} does not run: {last}");
    }

    pub(crate) async fn stop(mut self) {
        let _ = self.stop.send(true);
        self.tasks.shutdown().await;
    }
}

impl ComputeCloud {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::new(directory.path().join("images"));
        config.host_credential = Some(CREDENTIAL.to_owned().into());
        config.host_key = Some("what controllers have in common".to_owned().into());
        config.novnc_directory = Some(directory.path().to_owned());
        let cloud = TestCloud::start_with(directory, config).await;
        let running = Running::start(&cloud).await;
        let admin = cloud.admin().await;
        let (_, _, member) = cloud.tenant("tenant", "member").await;
        let mut this = Self {
            cloud,
            host: Arc::clone(&running.host),
            address: running.address,
            admin,
            member,
            image_id: String::new(),
            network_id: String::new(),
            _running: running,
        };
        this.offer().await;
        this
    }

    async fn offer(&mut self) {
        let flavor = json!({"flavor": {"name": "small", "ram": 64, "vcpus": 1, "disk": 1, "id": "1"}});
        assert_eq!(self.post("/flavors", &self.admin, 1, flavor).await.status, StatusCode::OK);
        let image = json!({"name": "i", "disk_format": "raw", "container_format": "bare"});
        let image = self.cloud.post("/image/v2/images", &self.member, image).await;
        self.image_id = image.text("/id");
        let upload = Request::builder()
            .method(Method::PUT)
            .uri(format!("/image/v2/images/{}/file", self.image_id))
            .header("x-auth-token", &self.member)
            .header("content-type", "application/octet-stream")
            .body(Body::from(vec![7; 1 << 20]))
            .unwrap();
        assert_eq!(self.cloud.send(upload).await.status, StatusCode::NO_CONTENT);
        let network = json!({"network": {"name": "private"}});
        let network = self.cloud.post("/network/v2.0/networks", &self.member, network).await;
        self.network_id = network.text("/network/id");
        let subnet =
            json!({"subnet": {"network_id": self.network_id, "cidr": "10.0.0.0/24", "ip_version": 4}});
        let subnet = self.cloud.post("/network/v2.0/subnets", &self.member, subnet).await;
        assert_eq!(subnet.status, StatusCode::CREATED, "{}", subnet.json());
    }

    /// A call of the compute API in microversion 2.`minor`.
    async fn call(&self, method: Method, path: &str, token: &str, minor: u16, body: Value) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/compute/v2.1{path}"))
            .header("host", "cloud.test")
            .header("openstack-api-version", format!("compute 2.{minor}"));
        if !token.is_empty() {
            request = request.header("x-auth-token", token);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.cloud.send(request.body(body).unwrap()).await
    }

    async fn get(&self, path: &str, token: &str, minor: u16) -> Reply {
        self.call(Method::GET, path, token, minor, Value::Null).await
    }

    async fn post(&self, path: &str, token: &str, minor: u16, body: Value) -> Reply {
        self.call(Method::POST, path, token, minor, body).await
    }

    /// The body of a request for a server named "one", with `extra` put in.
    fn new_server(&self, extra: Value) -> Value {
        let mut server = json!({
            "name": "one", "imageRef": self.image_id, "flavorRef": "1", "networks": [{"uuid": self.network_id}],
        });
        server.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({ "server": server })
    }

    /// A new server's id; it is still in BUILD.
    async fn create(&self, extra: Value) -> String {
        let reply = self.post("/servers", &self.member, 96, self.new_server(extra)).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.json());
        reply.text("/server/id")
    }

    async fn create_active(&self) -> String {
        let id = self.create(json!({})).await;
        self.wait_for(&id, "ACTIVE").await;
        id
    }

    async fn show(&self, id: &str) -> Reply {
        self.get(&format!("/servers/{id}"), &self.member, 96).await
    }

    async fn act(&self, id: &str, action: Value) -> Reply {
        self.post(&format!("/servers/{id}/action"), &self.member, 96, action).await
    }

    /// Waits for a status; "" waits for the server to be gone.
    async fn wait_for(&self, id: &str, status: &str) {
        let mut last = Value::Null;
        for _ in 0..LOOKS {
            let reply = self.show(id).await;
            last = reply.json();
            let gone = reply.status == StatusCode::NOT_FOUND;
            let settled = last.pointer("/server/OS-EXT-STS:task_state").is_some_and(Value::is_null);
            if (status.is_empty() && gone) || (last["server"]["status"] == status && settled) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("{id} does not become '{status}': {last}");
    }
}
