//! A whole guest: our block daemon under its disk, our network daemon under its card, its metadata by way of both; and
//! the agent, blkd and netd killed under it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use updraft_agent::layout::Layout;
use updraft_base::{MacAddress, NetworkId, PortId, SecurityGroupId, ServerId, SubnetId};
use updraft_compute_api::metadata::ServerMetadata;
use updraft_compute_api::observed::ServerState;
use updraft_compute_api::path;
use updraft_compute_api::plan::{HostPlan, ImageFormat, Power, ServerPlan};
use updraft_dataplane_api::net::{
    Dhcp, Direction, EtherType, FixedIp, Network, Port, RemotePeer, SecurityGroup, SecurityGroupRule, Subnet,
};

use crate::controller::CREDENTIAL;
use crate::setup::{TestHost, is_running, observed_server, recorded_pid, sibling};

/// A start under emulation takes ten seconds on an idle machine, and many times that on a busy one.
const PATIENCE: Duration = Duration::from_secs(600);
/// The guest's own check of its disk: what it writes, in MiB, and for how long, in seconds.
const CHECK: &str = "sudo blkcheck /var/tmp/check 16 20";

/// The network daemon, ended with the test.
struct Netd {
    config: PathBuf,
    process: Child,
}

impl Netd {
    fn start(dir: &Path, control: &Path, metadata: &Path) -> Self {
        let config = dir.join("netd.toml");
        let (control, metadata, state) = (control.display(), metadata.display(), dir.join("netd-state"));
        let text = format!(
            "control_socket = '{control}'\nmetadata_socket = '{metadata}'\nstate_dir = '{}'\n",
            state.display()
        );
        std::fs::write(&config, text).unwrap();
        let process = Self::spawn(&config);
        Self { config, process }
    }

    fn spawn(config: &Path) -> Child {
        let mut command = Command::new(sibling("updraft-netd"));
        command.arg("--config").arg(config).stdin(Stdio::null()).spawn().unwrap()
    }

    fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = Self::spawn(&self.config);
    }
}

impl Drop for Netd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The image, made by its recipe when it is not there yet.
fn image() -> Vec<u8> {
    let output = Command::new("../../tests/guest/build.sh").stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    std::fs::read(String::from_utf8(output.stdout).unwrap().trim()).unwrap()
}

/// One network with one port; its server is allowed everything.
fn plan_network(plan: &mut HostPlan, server: ServerId) -> PortId {
    let (network, subnet, group) = (NetworkId::random(), SubnetId::random(), SecurityGroupId::random());
    let dhcp = Dhcp {
        server_address: "10.9.0.2".parse().unwrap(),
        server_mac: MacAddress([2, 0, 0, 9, 0, 2]),
        lease_s: 3600,
        dns_servers: vec![],
        host_routes: vec![],
        domain: None,
    };
    let subnet_plan =
        Subnet { id: subnet, cidr: "10.9.0.0/24".parse().unwrap(), gateway: None, dhcp: Some(dhcp) };
    let rule = |direction| SecurityGroupRule {
        id: uuid::Uuid::new_v4(),
        direction,
        ethertype: EtherType::Ipv4,
        protocol: None,
        port_range_min: None,
        port_range_max: None,
        remote: RemotePeer::Any,
    };
    let rules = vec![rule(Direction::Ingress), rule(Direction::Egress)];
    let port = Port {
        id: PortId::random(),
        server_id: server,
        network_id: network,
        mac: MacAddress([2, 0, 0, 9, 0, 5]),
        fixed_ips: vec![FixedIp { subnet_id: subnet, address: "10.9.0.5".parse().unwrap() }],
        allowed_address_pairs: vec![],
        port_security_enabled: true,
        security_groups: vec![group],
        admin_state_up: true,
        hostname: Some("whole".into()),
        socket_path: PathBuf::new(),
        socket_role: Default::default(),
        queue_pairs: 1,
    };
    let id = port.id;
    let names = Default::default();
    let config = &mut plan.network;
    config.networks.push(Network {
        id: network,
        mtu: 1450,
        external: false,
        subnets: vec![subnet_plan],
        names,
    });
    config.security_groups.push(SecurityGroup { id: group, stateful: true, rules, members: vec![] });
    config.ports.push(port);
    id
}

async fn console_log(host: &TestHost, id: ServerId) -> String {
    let log = host.get(&format!("{}/{id}/console-log", path::SERVERS)).await;
    String::from_utf8_lossy(&log.bytes().await.unwrap()).into_owned()
}

/// Waits until the console log has `text` for the `count`th time.
async fn until_logged(host: &TestHost, id: ServerId, text: &str, count: usize) -> String {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let log = console_log(host, id).await;
            if log.matches(text).count() >= count {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    match waited.await {
        Ok(log) => log,
        Err(_) => panic!("never '{text}' in: {}", console_log(host, id).await),
    }
}

type Console = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn serial(host: &TestHost, id: ServerId) -> Console {
    let mut request =
        format!("ws://{}{}/{id}/serial", host.config.listen, path::SERVERS).into_client_request().unwrap();
    request.headers_mut().insert("Authorization", format!("Bearer {CREDENTIAL}").parse().unwrap());
    connect_async(request).await.unwrap().0
}

async fn type_line(console: &mut Console, text: &str) {
    // A line feed: getty, when it was not yet listening, would not turn later carriage returns into one.
    console.send(Message::binary(format!("{text}\n").into_bytes())).await.unwrap();
}

/// Reads the console until `text` comes.
async fn expect(console: &mut Console, text: &str) {
    let seen = read_until(console, text, PATIENCE).await;
    assert!(seen.contains(text), "no '{text}' in: {seen}");
}

/// What the console says until `text` comes, or for as long as `patience`.
async fn read_until(console: &mut Console, text: &str, patience: Duration) -> String {
    let deadline = tokio::time::Instant::now() + patience;
    let mut seen = String::new();
    while !seen.contains(text) {
        match tokio::time::timeout_at(deadline, console.next()).await {
            Ok(Some(Ok(Message::Binary(bytes)))) => seen += &String::from_utf8_lossy(&bytes),
            Ok(other) => panic!("{other:?} instead of '{text}' after: {seen}"),
            Err(_) => break,
        }
    }
    seen
}

async fn log_in(host: &TestHost, id: ServerId) -> Console {
    let mut console = serial(host, id).await;
    type_line(&mut console, "").await;
    expect(&mut console, "whole login:").await;
    type_line(&mut console, "updraft").await;
    expect(&mut console, "assword:").await;
    // The guest throws away what comes before it listens, so the password is typed until it is taken; a shell that
    // gets it once more does not know such a command.
    for _ in 0..PATIENCE.as_secs() / 3 {
        type_line(&mut console, "updraft").await;
        if read_until(&mut console, "$ ", Duration::from_secs(3)).await.contains("$ ") {
            return console;
        }
    }
    panic!("no shell");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_guest_lives_through_the_death_of_everything_around_it() {
    let _turn = crate::QEMU.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let mut host = TestHost::with_image(image(), ImageFormat::Qcow2, |_| ()).await;
    let mut netd = Netd::start(dir.path(), &host.config.netd_socket, &host.config.metadata_socket);
    let layout = Layout::new(&host.config.state_dir, &host.config.run_dir);
    let mut server = ServerPlan { memory_mib: 256, config_drive: false, ..host.server() };
    server.root_disk.size_bytes = 1 << 30;
    server.metadata = ServerMetadata { hostname: "whole".into(), ..server.metadata };
    let id = server.id;
    host.controller().change(|plan| {
        server.port_ids = vec![plan_network(plan, id)];
        plan.servers.push(server);
    });
    host.start_agent().await;
    let log = until_logged(&host, id, "updraft-mini ready", 1).await;
    assert!(log.contains("=10.9.0.5/24"), "no address by DHCP: {log}");
    let observed =
        host.controller().until("connected", |observed| observed.ports.values().any(|up| *up)).await;
    assert!(is_running(&observed, id));

    let mut console = log_in(&host, id).await;
    let qemu = recorded_pid(&layout.qemu_process(id)).await;
    type_line(&mut console, &format!("{CHECK}; echo check-ended-$?")).await;
    // Echoed: QEMU throws away what the guest has not read when its viewer goes.
    expect(&mut console, "check-ended-$").await;
    drop(console);
    for _ in 0..5 {
        kill_blkd(&layout, id).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    host.drop_agent().await;
    netd.kill_and_restart();
    host.start_agent().await;
    let log = until_logged(&host, id, "check-ended-0", 1).await;
    assert!(!log.contains("I/O error"), "{log}");
    assert_eq!(recorded_pid(&layout.qemu_process(id)).await, qemu);
    host.controller().until("connected again", |observed| observed.ports.values().any(|up| *up)).await;
    let mut console = serial(&host, id).await;
    type_line(&mut console, "curl -s http://169.254.169.254/openstack/latest/meta_data.json; echo").await;
    expect(&mut console, &format!("\"uuid\":\"{id}\"")).await;
    drop(console);

    host.controller().change(|plan| plan.servers[0].power.soft_reboot_epoch = 1);
    let log = until_logged(&host, id, "updraft-mini ready", 2).await;
    assert!(log.contains("root file system is read-only"), "the guest shut down by itself: {log}");
    host.controller().change(|plan| plan.servers[0].power.desired = Power::Off);
    let stopped =
        |observed: &_| observed_server(observed, id).is_some_and(|s| s.state == ServerState::Stopped);
    host.controller().until("stopped", stopped).await;
    let log = console_log(&host, id).await;
    assert_eq!(log.matches("root file system is read-only").count(), 2, "{log}");
    host.controller().change(|plan| plan.servers.clear());
    host.controller().until("removed", |observed| observed.servers.is_empty()).await;
    host.drop_agent().await;
}

async fn kill_blkd(layout: &Layout, id: ServerId) {
    let blkd = recorded_pid(&layout.blkd_process(id)).await;
    kill_process(Pid::from_raw(blkd as i32).unwrap(), Signal::KILL).unwrap();
    while recorded_pid(&layout.blkd_process(id)).await == blkd {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
