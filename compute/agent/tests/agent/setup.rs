//! A host of one test, and plans for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha512};
use tempfile::TempDir;
use tokio::sync::watch;
use updraft_agent::agent::Agent;
use updraft_agent::config::{AcceleratorChoice, Config};
use updraft_agent::host::cgroup::Cgroups;
use updraft_agent::host::process::{Identity, start_ticks};
use updraft_agent::layout::{Layout, ids_in};
use updraft_base::{DiskId, HostId, ImageId, ServerId};
use updraft_compute_api::metadata::ServerMetadata;
use updraft_compute_api::observed::{HostObserved, ServerObserved, ServerState};
use updraft_compute_api::plan::{HostPlan, ImageFormat, ImageSource, Power, PowerPlan, RootDisk, ServerPlan};

use crate::controller::{CREDENTIAL, Controller, Shared};

/// A boot sector that says `hello` on the first serial port, echoes what it reads there, and at a `p` powers the
/// machine off (q35's PM1a control register is at 0x604: ACPI S5).
const BOOT_SECTOR: [u8; 72] = [
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0x40, 0x7c, 0xac, 0x84, 0xc0, 0x74, 0x05, 0xe8, 0x21, 0x00, 0xeb,
    0xf6, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf8, 0xba, 0xf8, 0x03, 0xec, 0x3c, 0x70, 0x74, 0x05,
    0xe8, 0x0c, 0x00, 0xeb, 0xeb, 0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, 0xeb, 0xfd, 0x50, 0xba,
    0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xf8, 0x58, 0xba, 0xf8, 0x03, 0xee, 0xc3, b'h', b'e', b'l', b'l',
    b'o', b'\r', b'\n', 0,
];
pub const IMAGE_BYTES: usize = 1 << 20;

/// The raw image of a disk that holds the boot sector.
pub fn bootable_image() -> Vec<u8> {
    let mut image = vec![0; IMAGE_BYTES];
    image[..BOOT_SECTOR.len()].copy_from_slice(&BOOT_SECTOR);
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image
}

/// The folders of a host, its controller, and its agent when that runs.
pub struct TestHost {
    _dir: TempDir,
    pub controller: Option<Controller>,
    pub config: Config,
    pub agent: Option<Agent>,
    pub image: ImageSource,
}

impl TestHost {
    /// Everything but the agent. `change` may spoil the configuration.
    pub async fn new(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_image(bootable_image(), ImageFormat::Raw, change).await
    }

    /// The same with another image.
    pub async fn with_image(content: Vec<u8>, format: ImageFormat, change: impl FnOnce(&mut Config)) -> Self {
        let _ = tracing_subscriber::fmt().with_env_filter("info").with_test_writer().try_init();
        let dir = tempfile::tempdir().unwrap();
        let image = ImageSource {
            id: ImageId::random(),
            format,
            size_bytes: content.len() as u64,
            sha512: Sha512::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        let host_id = HostId::random();
        let plan = HostPlan { host_id, generation: 1, servers: vec![], network: Default::default() };
        let shared = Shared {
            plan: watch::Sender::new(plan),
            observed: watch::Sender::new(None),
            images: [(image.id.to_string(), content)].into(),
            downloads: Default::default(),
        };
        let controller = Controller::start(SocketAddr::from(([127, 0, 0, 1], 0)), Arc::new(shared)).await;
        let credential_file = dir.path().join("credential");
        std::fs::write(&credential_file, CREDENTIAL).unwrap();
        let mut config = Config {
            host_id: Some(host_id),
            controller_url: format!("http://{}", controller.address),
            ca_file: None,
            credential_file,
            enrolment_file: None,
            listen: free_address(),
            tls: None,
            agent_url: None,
            state_dir: dir.path().join("state"),
            run_dir: dir.path().join("run"),
            netd_socket: dir.path().join("netd"),
            metadata_socket: dir.path().join("metadata"),
            blkd_binary: sibling("updraft-blkd"),
            qemu_binary: "qemu-system-x86_64".into(),
            accelerator: AcceleratorChoice::Tcg,
            tcg_cpu_model: "Nehalem".into(),
            cgroup_parent: None,
            cpu_overcommit: 4.0,
            memory_reserve_mib: 512,
            disk_reserve_gib: 0,
            image_keep_s: 3600,
        };
        change(&mut config);
        Self { _dir: dir, controller: Some(controller), config, agent: None, image }
    }

    pub async fn start_agent(&mut self) {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_updraft-agent"));
        self.agent = Some(Agent::start(self.config.clone(), binary).await.unwrap());
    }

    /// As kill -9 does, seen from the guests: everything of the agent stops at once.
    pub async fn drop_agent(&mut self) {
        self.agent = None;
        // The aborted tasks are dropped by the runtime a little later.
        let listen = self.config.listen;
        while tokio::net::TcpListener::bind(listen).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn controller(&self) -> &Controller {
        self.controller.as_ref().unwrap()
    }

    /// A server that boots the test's image.
    pub fn server(&self) -> ServerPlan {
        ServerPlan {
            id: ServerId::random(),
            power: PowerPlan { desired: Power::On, epoch: 1, soft_reboot_epoch: 0 },
            vcpus: 1,
            memory_mib: 32,
            root_disk: RootDisk { id: DiskId::random(), image: self.image.clone(), size_bytes: 4 << 20 },
            port_ids: vec![],
            config_drive: true,
            metadata: ServerMetadata { hostname: "vm".into(), ..ServerMetadata::default() },
        }
    }

    /// An answer of the agent's own HTTP.
    pub async fn get(&self, path: &str) -> reqwest::Response {
        let url = format!("http://{}{path}", self.config.listen);
        reqwest::Client::new().get(url).bearer_auth(CREDENTIAL).send().await.unwrap()
    }
}

pub fn observed_server(observed: &HostObserved, id: ServerId) -> Option<&ServerObserved> {
    observed.servers.iter().find(|server| server.id == id)
}

pub fn is_running(observed: &HostObserved, id: ServerId) -> bool {
    observed_server(observed, id).is_some_and(|server| server.state == ServerState::Running)
}

/// The pid in a process record, as soon as that is readable: a new process is just writing it.
pub async fn recorded_pid(record: &Path) -> u32 {
    loop {
        if let Some(identity) = identity(record) {
            return identity.pid;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn identity(record: &Path) -> Option<Identity> {
    serde_json::from_slice(&std::fs::read(record).ok()?).ok()
}

/// A test that failed half-way has guests left, which no agent ends.
impl Drop for TestHost {
    fn drop(&mut self) {
        self.agent = None;
        self.kill_processes();
        let (cgroups, _) = Cgroups::open(None, self.config.host_id.unwrap());
        for dir in cgroups.servers().into_iter().filter_map(|id| cgroups.existing(id)) {
            for leaf in [dir.join("qemu"), dir.join("blkd"), dir] {
                // The kernel lets go of a cgroup a little after its last process has ended.
                while leaf.exists() && std::fs::remove_dir(&leaf).is_err() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
        cgroups.remove_root_if_empty();
    }
}

impl TestHost {
    fn kill_processes(&self) {
        let layout = Layout::new(&self.config.state_dir, &self.config.run_dir);
        for id in ids_in::<ServerId>(&layout.servers_dir()) {
            for identity in
                [layout.qemu_process(id), layout.blkd_process(id)].iter().filter_map(|path| identity(path))
            {
                let lives = start_ticks(identity.pid).is_ok_and(|ticks| ticks == identity.start_ticks);
                if let Some(pid) = Pid::from_raw(identity.pid as i32).filter(|_| lives) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
        }
    }
}

/// Another program of the workspace, built into the same folder.
pub fn sibling(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_updraft-agent")).with_file_name(name)
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
