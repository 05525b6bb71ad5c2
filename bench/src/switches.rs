//! What forwards frames between two guests' ports: netd, Open vSwitch on DPDK, and DPDK's own test program.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use updraft_base::{MacAddress, NetworkId, PortId, SecurityGroupId, ServerId, SubnetId};
use updraft_dataplane_api::SocketRole;
use updraft_dataplane_api::net::{
    Direction, EtherType, FixedIp, NetConfig, NetRequest, NetResponse, Network, Port, RemotePeer,
    SecurityGroup, SecurityGroupRule, Subnet,
};
use updraft_dataplane_api::socket;
use uuid::Uuid;

use crate::backend::{Backend, Core, cores};
use crate::frames::{ALICE, ALLOWED_PORT, BOB, Guest};
use crate::measure::Failure;

/// How long a daemon may take until it listens, and for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Huge pages of 2 MiB that one Open vSwitch takes: its 256 MiB (see [`OpenVswitch::dpdk_settings`]) and some to spare.
const PAGES_PER_SWITCH: u64 = 144;
const VSWITCHD: &str = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk";
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// What stands between the two guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Stateful security groups, and no source address but the port's own.
    SecurityGroups,
    /// Everything passes.
    None,
}

/// The processes of a switch with two ports. Ended, and its files removed, when dropped.
#[derive(Debug)]
pub struct Switch {
    /// The first one forwards.
    processes: Vec<Backend>,
    /// Where Alice's and Bob's ports listen.
    pub sockets: [PathBuf; 2],
    pub policy: Policy,
    _directory: TempDir,
}

impl Switch {
    /// netd, as it stands beside this program, configured over its control socket.
    ///
    /// # Errors
    /// It is not built, or refuses the configuration.
    pub fn ours() -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name);
        let program = std::env::current_exe()?.with_file_name("updraft-netd");
        let (control, file) = (path("control"), path("netd.toml"));
        let text = format!(
            "control_socket = '{}'\nstate_dir = '{}'\nmetadata_socket = '{}'\nworkers = 1\n",
            control.display(),
            path("state").display(),
            path("metadata").display()
        );
        fs::write(&file, text)?;
        let mut command = tied(&program);
        command.env("RUST_LOG", "warn").arg("--config").arg(&file);
        let processes = vec![Backend::start(command, &control, Core::Backend)?];
        let sockets = [path("a"), path("b")];
        let request = NetRequest::Apply { config: network(&sockets)? };
        match socket::call(&control, &request, PATIENCE)? {
            NetResponse::Applied { .. } => {}
            other => return Err(Failure::new(format!("netd does not take the configuration: {other:?}"))),
        }
        Ok(Self { processes, sockets, policy: Policy::SecurityGroups, _directory: directory })
    }

    /// Open vSwitch with its own database, a bridge and two vhost-user ports, forwarding on one core.
    ///
    /// # Errors
    /// It is not installed (package openvswitch-switch-dpdk), or refuses.
    pub fn open_vswitch(policy: Policy) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let ovs = OpenVswitch { directory: directory.path() };
        let database = ovs.start_database()?;
        ovs.vsctl(&["--no-wait", "init"])?;
        ovs.vsctl(&ovs.dpdk_settings()?)?;
        let vswitchd = ovs.start_vswitchd()?;
        let processes = vec![vswitchd, database];
        ovs.vsctl(&["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"])?;
        if ovs.vsctl(&["get", "Open_vSwitch", ".", "dpdk_initialized"])?.trim() != "true" {
            return Err(Failure::new("Open vSwitch could not start DPDK"));
        }
        for (port, number) in [("a", "1"), ("b", "2")] {
            let request = format!("ofport_request={number}");
            let interface = ["--", "set", "Interface", port, "type=dpdkvhostuser", &request];
            ovs.vsctl(&[&["add-port", "br0", port], &interface[..]].concat())?;
        }
        if policy == Policy::SecurityGroups {
            let flows = directory.path().join("flows");
            fs::write(&flows, security_groups_as_flows())?;
            ovs.replace_flows(&flows)?;
        }
        let sockets = ["a", "b"].map(|port| directory.path().join(port));
        Ok(Self { processes, sockets, policy, _directory: directory })
    }

    /// DPDK's test program, which moves bursts from one port to the other and never looks at a frame.
    ///
    /// # Errors
    /// It is not installed (package dpdk).
    pub fn testpmd() -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let sockets = ["a", "b"].map(|port| directory.path().join(port));
        let (first, second) = cores().ok_or_else(|| Failure::new("testpmd needs two cores"))?;
        let mut command = tied(Path::new("dpdk-testpmd"));
        // Where DPDK keeps its files; else in /var/run.
        command.env("RUNTIME_DIRECTORY", directory.path());
        command.args(["--no-huge", "-m", "256", "--no-pci", "--no-telemetry"]);
        command.args(["--file-prefix", "bench", "-l", &format!("{first},{second}")]);
        for (number, socket) in sockets.iter().enumerate() {
            command.args(["--vdev", &format!("net_vhost{number},iface={},queues=1", socket.display())]);
        }
        command.args(["--", "--forward-mode=io", "--nb-cores=1", "--auto-start", "--total-num-mbufs=8192"]);
        // It ends with its input.
        let log = directory.path().join("log");
        command.stdin(Stdio::piped()).stdout(File::create(&log)?).stderr(Stdio::null());
        let processes = vec![Backend::start(command, &sockets[1], Core::Any)?];
        // Its sockets are there before its ports are set up; who connects too early is thrown out.
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(&log)?.contains("Checking link statuses") {
            if Instant::now() > deadline {
                return Err(Failure::new("testpmd does not set its ports up"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { processes, sockets, policy: Policy::None, _directory: directory })
    }

    /// The process that forwards.
    pub fn pid(&self) -> u32 {
        self.processes.first().map_or(0, Backend::pid)
    }

    /// Stops the process where it is: one that looks for work without sleeping would take the core from the others.
    ///
    /// # Errors
    /// It has ended.
    pub fn pause(&self) -> Result<(), Failure> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// It has ended.
    pub fn resume(&self) -> Result<(), Failure> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let pid = i32::try_from(self.pid()).map_err(std::io::Error::other)?;
        kill(Pid::from_raw(pid), signal).map_err(|error| Failure::new(format!("the switch is gone: {error}")))
    }
}

/// A program that ends when this one does, however that ends.
fn tied(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).stdin(Stdio::null());
    command
}

/// One network with two ports in one security group.
fn network(sockets: &[PathBuf; 2]) -> Result<NetConfig, Failure> {
    let (network_id, subnet_id, group) = (NetworkId::random(), SubnetId::random(), SecurityGroupId::random());
    let cidr = "10.0.0.0/24".parse().map_err(|error| Failure::new(format!("10.0.0.0/24: {error}")))?;
    let subnet = Subnet { id: subnet_id, cidr, gateway: None, dhcp: None };
    let port = |guest: Guest, socket: &PathBuf| Port {
        id: PortId::random(),
        server_id: ServerId::random(),
        network_id,
        mac: MacAddress(guest.mac),
        fixed_ips: vec![FixedIp { subnet_id, address: guest.address.into() }],
        allowed_address_pairs: Vec::new(),
        port_security_enabled: true,
        security_groups: vec![group],
        admin_state_up: true,
        hostname: None,
        socket_path: socket.clone(),
        socket_role: SocketRole::Listens,
        queue_pairs: 1,
    };
    let rule = |direction, protocol, port, remote| SecurityGroupRule {
        id: Uuid::new_v4(),
        direction,
        ethertype: EtherType::Ipv4,
        protocol,
        port_range_min: port,
        port_range_max: port,
        remote,
    };
    let rules = vec![
        rule(Direction::Egress, None, None, RemotePeer::Any),
        rule(Direction::Ingress, Some(1), None, RemotePeer::Any),
        rule(Direction::Ingress, Some(6), Some(22), RemotePeer::Any),
        rule(Direction::Ingress, Some(17), Some(ALLOWED_PORT), RemotePeer::Group(group)),
    ];
    let members = [ALICE, BOB].map(|guest| guest.address.into()).to_vec();
    Ok(NetConfig {
        generation: 1,
        networks: vec![Network {
            id: network_id,
            mtu: 1500,
            external: false,
            subnets: vec![subnet],
            names: Default::default(),
        }],
        ports: vec![port(ALICE, &sockets[0]), port(BOB, &sockets[1])],
        security_groups: vec![SecurityGroup { id: group, stateful: true, rules, members }],
        ..NetConfig::default()
    })
}

/// The same policy for Open vSwitch, in as few tables as it takes: only a port's own addresses go out, established
/// connections pass, and a new one needs a rule.
fn security_groups_as_flows() -> String {
    let mac = |guest: Guest| MacAddress(guest.mac);
    let address = |guest: Guest| std::net::Ipv4Addr::from(guest.address);
    let mut flows = "table=0,priority=0,actions=drop\ntable=1,priority=0,actions=drop\n".to_owned();
    for (port, guest) in [(1, ALICE), (2, BOB)] {
        let (mac, ip, other) = (mac(guest), address(guest), 3 - port);
        flows += &format!(
            "table=0,priority=100,in_port={port},ip,dl_src={mac},nw_src={ip},actions=ct(table=1)\n\
             table=0,priority=100,in_port={port},arp,dl_src={mac},arp_spa={ip},actions=output:{other}\n"
        );
        // From here on `guest` is who receives.
        let new = format!("table=1,priority=100,ct_state=+trk+new-inv,dl_dst={mac}");
        flows += &format!(
            "table=1,priority=100,ct_state=+trk+est-inv,ip,dl_dst={mac},actions=output:{port}\n\
             {new},icmp,actions=ct(commit),output:{port}\n\
             {new},tcp,tp_dst=22,actions=ct(commit),output:{port}\n"
        );
        for member in [ALICE, BOB] {
            let source = address(member);
            flows += &format!(
                "{new},udp,nw_src={source},tp_dst={ALLOWED_PORT},actions=ct(commit),output:{port}\n"
            );
        }
    }
    flows
}

/// The programs of one Open vSwitch, whose files all lie in one folder.
struct OpenVswitch<'a> {
    directory: &'a Path,
}

impl OpenVswitch<'_> {
    fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    fn database(&self) -> String {
        format!("unix:{}", self.path("db.sock"))
    }

    fn prepare<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "RUNTIME_DIRECTORY"] {
            command.env(variable, self.directory);
        }
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, Failure> {
        let mut command = Command::new(program);
        let output = self.prepare(&mut command).args(arguments).output().map_err(|error| {
            Failure::new(format!("{program} cannot be started (package openvswitch-switch-dpdk): {error}"))
        })?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!("{program} {arguments:?}: {complaint}")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn vsctl(&self, arguments: &[&str]) -> Result<String, Failure> {
        let database = format!("--db={}", self.database());
        let timeout = format!("--timeout={}", PATIENCE.as_secs());
        self.run("ovs-vsctl", &[&[&*database, &*timeout], arguments].concat())
    }

    fn start_database(&self) -> Result<Backend, Failure> {
        let (file, socket) = (self.path("conf.db"), self.path("db.sock"));
        self.run("ovsdb-tool", &["create", &file, SCHEMA])?;
        let mut command = tied(Path::new("ovsdb-server"));
        self.prepare(&mut command).arg(&file).arg(format!("--remote=punix:{socket}"));
        command.args([format!("--unixctl={}", self.path("db.ctl")), "-vconsole:off".into()]);
        command.arg(format!("--log-file={}", self.path("db.log")));
        Backend::start(command, Path::new(&socket), Core::Any)
    }

    /// One core for its housekeeping, shared with the frontend, and one that forwards. A pool of packets for each port:
    /// the shared one is first tried far larger than the memory, and meanwhile a port that connects finds none. Both are
    /// large against the few hundred packets that are under way. Huge pages are not named in the file system, so that they are free
    /// again however the process ends.
    fn dpdk_settings(&self) -> Result<[&'static str; 9], Failure> {
        match cores() {
            Some((0, 1)) => Ok([
                "--no-wait",
                "set",
                "Open_vSwitch",
                ".",
                "other_config:dpdk-init=true",
                "other_config:dpdk-extra=\"--in-memory -m 256 --socket-limit 256 --no-pci --no-telemetry\"",
                "other_config:per-port-memory=true",
                "other_config:dpdk-lcore-mask=0x1",
                "other_config:pmd-cpu-mask=0x2",
            ]),
            _ => Err(Failure::new("Open vSwitch is measured on the cores 0 and 1, which are not both free")),
        }
    }

    fn start_vswitchd(&self) -> Result<Backend, Failure> {
        let control = self.path("v.ctl");
        // Its bridges are network devices of fixed names: in a namespace of its own, it meets no other Open vSwitch.
        let mut command = tied(Path::new("unshare"));
        command.args(["--net", "--", VSWITCHD]);
        self.prepare(&mut command).arg(self.database()).arg(format!("--unixctl={control}"));
        command.arg(format!("--log-file={}", self.path("v.log"))).arg("-vconsole:off");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Backend::start(command, Path::new(&control), Core::Any)
    }

    fn replace_flows(&self, file: &Path) -> Result<(), Failure> {
        let bridge = format!("unix:{}", self.path("br0.mgmt"));
        self.run("ovs-ofctl", &["-O", "OpenFlow13", "replace-flows", &bridge, &file.display().to_string()])
            .map(drop)
    }
}

/// Huge pages for some Open vSwitches; the number that was set before is set again when dropped.
#[derive(Debug)]
pub struct HugePages {
    before: u64,
}

impl HugePages {
    const FILE: &str = "/proc/sys/vm/nr_hugepages";

    /// # Errors
    /// We may not set them, or memory is too scattered.
    pub fn reserve(switches: u64) -> Result<Self, Failure> {
        let pages = || -> Result<u64, Failure> {
            let text = fs::read_to_string(Self::FILE)?;
            text.trim().parse().map_err(|error| Failure::new(format!("{}: {error}", Self::FILE)))
        };
        let reserved = Self { before: pages()? };
        let wanted = reserved.before + switches * PAGES_PER_SWITCH;
        fs::write(Self::FILE, wanted.to_string())
            .map_err(|error| Failure::new(format!("huge pages cannot be set (as root only): {error}")))?;
        match pages()? {
            got if got < wanted => Err(Failure::new(format!("only {got} of {wanted} huge pages are there"))),
            _ => Ok(reserved),
        }
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        if let Err(error) = fs::write(Self::FILE, self.before.to_string()) {
            eprintln!("bench: huge pages stay reserved: {error}");
        }
    }
}
