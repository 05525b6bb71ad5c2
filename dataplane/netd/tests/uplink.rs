//! netd with an uplink: the real program, real namespaces, real XDP. The guest is a card without a guest.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "../../net/tests/guest/mod.rs"]
mod guest;
#[path = "../../net/tests/world/mod.rs"]
mod world;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use guest::{LINUX, PATIENCE, Plugged};
use updraft_dataplane_api::net::{NetConfig, NetRequest, NetResponse, NetStatus};
use updraft_dataplane_api::socket::call;
use world::{ALICE, ALICE_FLOATING, FRONT_ROUTER_MAC, GATEWAY, NEXT_HOP, config, from};

const UPLINK: &str = "uplink0";
const OUTSIDE: &str = "ext0";

fn run(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.unwrap_or_else(|error| panic!("{program} is needed: {error}")).success()
}

/// Two namespaces with a wire between them: the host's uplink, and the world outside at 203.0.113.1.
struct Wire {
    up: String,
    outside: String,
    bpffs: PathBuf,
}

impl Wire {
    fn new() -> Self {
        let own = std::process::id();
        let wire = Self {
            up: format!("updraft-t{own}-up"),
            outside: format!("updraft-t{own}-out"),
            bpffs: PathBuf::from(format!("/sys/fs/bpf/updraft-t{own}")),
        };
        let must = |arguments: &[&str]| assert!(run("ip", arguments), "ip {arguments:?}");
        must(&["netns", "add", &wire.up]);
        must(&["netns", "add", &wire.outside]);
        must(&[
            "-n",
            &wire.up,
            "link",
            "add",
            UPLINK,
            "type",
            "veth",
            "peer",
            "name",
            OUTSIDE,
            "netns",
            &wire.outside,
        ]);
        must(&["-n", &wire.up, "link", "set", UPLINK, "up"]);
        must(&["-n", &wire.outside, "link", "set", OUTSIDE, "up"]);
        must(&["-n", &wire.outside, "link", "set", "lo", "up"]);
        must(&["-n", &wire.outside, "addr", "add", &format!("{}/24", dotted(NEXT_HOP)), "dev", OUTSIDE]);
        // A veth passes checksums on undone; a wire would not, and XDP sees what is on the wire.
        must(&["netns", "exec", &wire.outside, "ethtool", "-K", OUTSIDE, "tx", "off"]);
        wire
    }

    fn ping(&self, address: [u8; 4], seconds: u32) -> Command {
        let mut command = Command::new("ip");
        let (address, seconds) = (dotted(address), seconds.to_string());
        command.args(["netns", "exec", &self.outside, "ping", "-c", "1", "-W", &seconds, &address]);
        command.stdout(Stdio::null());
        command
    }

    fn netns_path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.up)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Err(error) = updraft_xdp::remove(&self.bpffs) {
            eprintln!("{error}");
        }
        run("ip", &["netns", "del", &self.up]);
        run("ip", &["netns", "del", &self.outside]);
    }
}

fn dotted([a, b, c, d]: [u8; 4]) -> String {
    format!("{a}.{b}.{c}.{d}")
}

/// A running netd.
struct Netd {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Netd {
    fn new(wire: &Wire) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "control_socket = '{folder}/control.sock'\nstate_dir = '{folder}/state'\nbpffs_dir = '{bpffs}'\n\
             metadata_socket = '{folder}/metadata.sock'\n[uplink]\ninterface = '{UPLINK}'\nnetns = '{netns}'\n",
            folder = folder.path().display(),
            bpffs = wire.bpffs.display(),
            netns = wire.netns_path().display(),
        );
        std::fs::write(folder.path().join("netd.toml"), text).unwrap();
        let mut netd = Self { folder, child: None };
        netd.start();
        netd
    }

    fn start(&mut self) {
        let file = self.folder.path().join("netd.toml");
        let child = Command::new(env!("CARGO_BIN_EXE_updraft-netd")).arg("--config").arg(file).spawn();
        self.child = Some(child.unwrap());
    }

    fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn call(&self, request: &NetRequest) -> NetResponse {
        let socket = self.folder.path().join("control.sock");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match call(&socket, request, PATIENCE) {
                Ok(response) => return response,
                Err(error) if Instant::now() > deadline => panic!("netd does not answer: {error}"),
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn status(&self) -> NetStatus {
        match self.call(&NetRequest::Status) {
            NetResponse::Status { status } => status,
            other => panic!("{other:?}"),
        }
    }

    fn config(&self, generation: u64) -> NetConfig {
        let mut config = config();
        config.generation = generation;
        for port in &mut config.ports {
            port.socket_path = self.socket(port.id.0.as_u128());
        }
        config
    }

    fn apply(&self, generation: u64) {
        let response = self.call(&NetRequest::Apply { config: self.config(generation) });
        assert_eq!(response, NetResponse::Applied { generation });
    }

    fn socket(&self, port: u128) -> PathBuf {
        self.folder.path().join(format!("{port}.sock"))
    }
}

impl Drop for Netd {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

fn is_ping(frame: &[u8]) -> bool {
    frame[12..14] == [8, 0] && frame[23] == 1 && frame[34] == 8
}

/// Pings an address from outside while Alice answers what reaches her.
fn ping_through(wire: &Wire, alice: &mut Plugged) {
    let mut ping = wire.ping(ALICE_FLOATING, 20).spawn().unwrap();
    let request = loop {
        let received = alice.receive();
        if is_ping(&received.frame) {
            break received.frame;
        }
    };
    assert_eq!(request[..12], [ALICE.mac, FRONT_ROUTER_MAC].concat());
    assert_eq!((&request[26..30], &request[30..34]), (&NEXT_HOP[..], &ALICE.address[..]), "translated");
    alice.send(&updraft_net::respond::icmp::echo_reply(&request).unwrap());
    assert!(ping.wait().unwrap().success(), "the answer gets back");
}

#[test]
fn the_world_reaches_a_guest_through_xdp() {
    let wire = Wire::new();
    let mut netd = Netd::new(&wire);
    netd.apply(1);
    let mut alice = Plugged::plug(&netd.socket(ALICE.id));
    assert!(wire.ping(GATEWAY, 20).status().unwrap().success(), "the router's gateway answers");
    ping_through(&wire, &mut alice);

    let uplink = netd.status().uplink.unwrap();
    assert!(uplink.xdp_attached && uplink.xdp_mode == "native");
    assert!(uplink.xdp_counters["floating_ip"] >= 1, "{:?}", uplink.xdp_counters);
    assert!(uplink.rx_packets >= 2 && uplink.tx_packets >= 2);

    a_connection_survives_a_kill(&wire, &mut netd, &mut alice);
    taking_the_program_off_stops_the_traffic(&wire, &netd, &mut alice);

    // A graceful end leaves the program on the interface: enforcement never pauses.
    let mut child = netd.child.take().unwrap();
    assert!(run("kill", &["-TERM", &child.id().to_string()]));
    assert!(child.wait().unwrap().success());
    assert!(updraft_xdp::attachment(&wire.bpffs).unwrap().is_some());
    assert!(!netd.socket(ALICE.id).exists());
}

/// kill -9, and nobody tells the successor anything: ports, policy, flows and next hops are there.
fn a_connection_survives_a_kill(wire: &Wire, netd: &mut Netd, alice: &mut Plugged) {
    // A flow that Alice opens outwards; only its answers may come in.
    let outward = from(ALICE, FRONT_ROUTER_MAC, NEXT_HOP).udp((6000, 7000), b"out");
    let listener = OutsideSocket::open(wire, 7000);
    alice.send(&outward.bytes);
    assert_eq!(listener.receive(), (b"out".to_vec(), (dotted(ALICE_FLOATING), 6000)));
    netd.kill();
    assert!(updraft_xdp::attachment(&wire.bpffs).unwrap().is_some(), "the program stays");
    netd.start();
    alice.reconnect(&netd.socket(ALICE.id), LINUX);
    listener.send(b"back", ALICE_FLOATING, 6000);
    let frame = alice.receive().frame;
    assert_eq!(&frame[frame.len() - 4..], b"back", "the flow survived");
    ping_through(wire, alice);
    assert_eq!(netd.status().generation, 1);
}

fn taking_the_program_off_stops_the_traffic(wire: &Wire, netd: &Netd, alice: &mut Plugged) {
    updraft_xdp::detach(&wire.bpffs).unwrap();
    let uplink = netd.status().uplink.unwrap();
    assert!(!uplink.xdp_attached && uplink.xdp_mode.is_empty());
    assert!(!wire.ping(GATEWAY, 1).status().unwrap().success(), "nothing gets in");
    // The same configuration again changes nothing; a new one puts the program back.
    netd.apply(1);
    assert!(!netd.status().uplink.unwrap().xdp_attached);
    netd.apply(2);
    assert!(netd.status().uplink.unwrap().xdp_attached);
    ping_through(wire, alice);
}

/// A UDP socket in the outside namespace.
struct OutsideSocket(std::net::UdpSocket);

impl OutsideSocket {
    fn open(wire: &Wire, port: u16) -> Self {
        let path = Path::new("/run/netns").join(&wire.outside);
        let opener = thread::spawn(move || {
            let namespace = std::fs::File::open(path).unwrap();
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            std::net::UdpSocket::bind(("0.0.0.0", port)).unwrap()
        });
        let socket = opener.join().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn receive(&self) -> (Vec<u8>, (String, u16)) {
        let mut bytes = [0; 2048];
        let (len, from) = self.0.recv_from(&mut bytes).unwrap();
        (bytes[..len].to_vec(), (from.ip().to_string(), from.port()))
    }

    fn send(&self, bytes: &[u8], address: [u8; 4], port: u16) {
        self.0.send_to(bytes, (std::net::Ipv4Addr::from(address), port)).unwrap();
    }
}
