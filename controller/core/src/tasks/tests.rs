//! Tasks against a real database and a simulated host. Workers die and fail at every step; what is left must be whole.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use updraft_model::Timestamp;
use updraft_model::compute::server::{DiskConfig, PowerIntent, RootDiskSpec, ServerSpec};
use updraft_model::compute::{
    Flavor, FlavorSnapshot, PowerState, Program, Server, Step, TaskState, TaskStatus, VmState,
};
use updraft_model::image::{DiskFormat, Image, ImageData, ImageStatus, Visibility};
use updraft_peers::Database;
use updraft_sim::SimulatedHost;
use updraft_store::compute::{flavor, host, server, task};
use updraft_store::image::record;
use updraft_store::{DatabaseUrl, Store};
use updraft_token::{KeyRepository, Tokens};
use updraft_wire::compute::Microversion;
use updraft_wire::compute::server_create::CreateServer;

use super::{Halt, Worker};
use crate::compute::{create_server, server_action};
use crate::config::Config;
use crate::{Caller, Core, Error};

const IMAGE: &str = "11111111-1111-4111-8111-111111111111";
const CREDENTIAL: &str = "a host's own secret";
/// Longer than a lease.
const LEASE_OVER: Duration = Duration::from_secs(11);
/// Rounds of "work, pull, report" after which a test gives up.
const ROUNDS: usize = 50;

/// A server in some state, planned on a host and switched on once.
pub(crate) fn server(vm_state: VmState, task_state: Option<TaskState>) -> Server {
    let flavor = FlavorSnapshot {
        id: "1".into(),
        name: "m1".into(),
        vcpus: 1,
        memory_mib: 64,
        disk_gib: 1,
        ephemeral_gib: 0,
        swap_mib: 0,
        extra_specs: Default::default(),
    };
    let root_disk = RootDiskSpec {
        disk_id: updraft_model::id::new_uuid(),
        image_id: IMAGE.into(),
        image_format: "qcow2".into(),
        image_bytes: 1,
        image_sha512: String::new(),
        size_bytes: 1 << 30,
    };
    let spec = ServerSpec {
        description: None,
        hostname: "n".into(),
        flavor,
        root_disk,
        key_name: None,
        public_key: None,
        user_data: None,
        config_drive: false,
        admin_password: None,
        access_ip_v4: None,
        access_ip_v6: None,
        availability_zone: None,
        requested_host: None,
        disk_config: DiskConfig::Auto,
        metadata: Default::default(),
        tags: Vec::new(),
        reservation_id: "r-1".into(),
        launch_index: 0,
    };
    Server {
        id: updraft_model::id::new_uuid(),
        project_id: "p".into(),
        user_id: "u".into(),
        name: "n".into(),
        spec,
        vm_state,
        task_state,
        power_state: PowerState::NoState,
        fault: None,
        locked: None,
        host_id: None,
        planned: true,
        power: PowerIntent { on: true, epoch: 1, soft_reboot_epoch: 0 },
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        launched_at: None,
        deleted_at: None,
        revision: 0,
    }
}

/// A controller with one simulated host that is driven by hand.
struct Cloud {
    core: Core,
    host: SimulatedHost,
    caller: Caller,
    _database: Database,
    _directory: TempDir,
}

impl Cloud {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::new(directory.path().join("images"));
        config.host_credential = Some(CREDENTIAL.to_owned().into());
        let database = Database::new(directory.path());
        let store = Store::open(database.url().parse::<DatabaseUrl>().unwrap()).await.unwrap();
        let keys = KeyRepository::open_or_create(&directory.path().join("keys")).unwrap();
        let core = Core::new(store, Tokens::new(keys).unwrap(), config);
        crate::host::register_own(&core).await.unwrap();
        let caller = Caller {
            user_id: "u".into(),
            user_name: "u".into(),
            user_domain_id: "default".into(),
            project_id: Some("p".into()),
            project_name: Some("p".into()),
            domain_id: None,
            roles: vec!["member".into(), "reader".into()],
            audit_id: String::new(),
            request_id: "req-1".into(),
            ..Caller::default()
        };
        let cloud = Self {
            core,
            host: SimulatedHost::new("node-1"),
            caller,
            _database: database,
            _directory: directory,
        };
        cloud.offer().await;
        cloud.report().await;
        cloud
    }

    /// A flavor and an image to make servers of.
    async fn offer(&self) {
        let flavor = Flavor {
            id: "1".into(),
            name: "m1".into(),
            vcpus: 1,
            memory_mib: 64,
            disk_gib: 1,
            ephemeral_gib: 0,
            swap_mib: 0,
            rxtx_factor: 1.0,
            is_public: true,
            disabled: false,
            description: None,
            extra_specs: Default::default(),
        };
        let data = ImageData { size_bytes: 10, virtual_size_bytes: 10, md5: "0".into(), sha512: "0".into() };
        let image = Image {
            id: IMAGE.into(),
            name: None,
            owner: "p".into(),
            status: ImageStatus::Active,
            visibility: Visibility::Private,
            protected: false,
            hidden: false,
            disk_format: Some(DiskFormat::Raw),
            container_format: None,
            min_disk_gib: 0,
            min_ram_mib: 0,
            data: Some(data),
            properties: Default::default(),
            tags: BTreeSet::new(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        let offered = self.core.write(move |tx| {
            Box::pin(async move {
                flavor::insert(tx, &flavor).await?;
                record::insert(tx, &image).await?;
                Ok(())
            })
        });
        offered.await.unwrap();
    }

    async fn report(&self) {
        let credential = crate::host::authenticate(&self.core, CREDENTIAL).await.unwrap();
        crate::host::report(&self.core, credential, self.host.observed()).await.unwrap();
    }

    async fn pull(&mut self) {
        let plan = crate::host::plan(&self.core, &self.host.id.to_string()).await.unwrap();
        self.host.apply(&plan);
    }

    async fn create(&self) -> Result<String, Error> {
        let body =
            json!({"server": {"name": "one", "imageRef": IMAGE, "flavorRef": "1", "networks": "none"}});
        let request = CreateServer::read(body, Microversion::MAX).unwrap();
        create_server::create(&self.core, &self.caller, request).await.map(|made| made.id)
    }

    async fn server(&self, id: &str) -> Server {
        server::get(&mut self.core.read().await.unwrap(), id).await.unwrap().unwrap()
    }

    async fn has_open_tasks(&self) -> bool {
        !task::list_open(&mut self.core.read().await.unwrap()).await.unwrap().is_empty()
    }

    /// Works, pulls and reports until nothing is under way.
    async fn settle(&mut self) {
        let worker = Worker::new(self.core.clone());
        for _ in 0..ROUNDS {
            while worker.run_one().await.unwrap() {}
            self.pull().await;
            self.report().await;
            if !self.has_open_tasks().await {
                return;
            }
        }
        panic!("tasks do not come to an end");
    }

    /// The same with a worker that comes to grief once, wherever `halt` says.
    async fn settle_after(&mut self, halt: Halt) {
        let doomed = Worker::halting(self.core.clone(), halt);
        for _ in 0..ROUNDS {
            if !doomed.run_one().await.unwrap() {
                self.pull().await;
                self.report().await;
            }
            let open = task::list_open(&mut self.core.read().await.unwrap()).await.unwrap();
            let died = open.first().is_none_or(|task| task.lease_owner.is_some());
            if died {
                break;
            }
        }
        self.core.clock.advance(LEASE_OVER);
        self.report().await;
        self.settle().await;
    }

    /// The host's row has exactly what its servers claim, and the host has exactly the planned servers.
    async fn assert_whole(&mut self) {
        self.pull().await;
        let mut conn = self.core.read().await.unwrap();
        let row = host::get(&mut conn, &self.host.id.to_string()).await.unwrap().unwrap();
        let servers = server::list(&mut conn, &server::ServerFilter::default()).await.unwrap();
        let placed = servers.iter().filter(|server| server.host_id.is_some()).count();
        assert_eq!(
            row.claimed.vcpus,
            u64::try_from(placed).unwrap(),
            "one vCPU for each server that has a host"
        );
        assert_eq!(row.claimed.memory_mib, row.claimed.vcpus * 64);
        let planned: BTreeSet<String> =
            servers.iter().filter(|server| server.planned).map(|server| server.id.clone()).collect();
        let there: BTreeSet<String> = self.host.server_ids().iter().map(ToString::to_string).collect();
        assert_eq!(there, planned);
        assert!(servers.iter().all(|server| server.task_state.is_none()), "no task, no task state");
    }
}

#[tokio::test]
async fn a_server_lives_and_dies() {
    let mut cloud = Cloud::start().await;
    let id = cloud.create().await.unwrap();
    assert_eq!(cloud.server(&id).await.status(), "BUILD");
    cloud.settle().await;
    let running = cloud.server(&id).await;
    assert_eq!((running.status(), running.power_state), ("ACTIVE", PowerState::Running));
    assert!(running.spec.admin_password.is_none() && running.launched_at.is_some());

    server_action::stop(&cloud.core, &cloud.caller, &id).await.unwrap();
    assert_eq!(cloud.server(&id).await.task_state, Some(TaskState::PoweringOff));
    cloud.settle().await;
    assert_eq!(cloud.server(&id).await.status(), "SHUTOFF");

    server_action::start(&cloud.core, &cloud.caller, &id).await.unwrap();
    cloud.settle().await;
    assert_eq!(cloud.server(&id).await.status(), "ACTIVE");

    for (hard, status) in [(false, "REBOOT"), (true, "HARD_REBOOT")] {
        server_action::reboot(&cloud.core, &cloud.caller, &id, hard).await.unwrap();
        assert_eq!(cloud.server(&id).await.status(), status, "before anything is done");
        cloud.settle().await;
        assert_eq!(cloud.server(&id).await.status(), "ACTIVE");
    }
    assert_eq!(
        cloud.host.starts.values().copied().collect::<Vec<u64>>(),
        [4],
        "created, started, rebooted twice"
    );

    server_action::delete(&cloud.core, &cloud.caller, &id).await.unwrap();
    assert_eq!(cloud.server(&id).await.status(), "ACTIVE", "the status stays while it is deleted");
    cloud.settle().await;
    assert!(cloud.server(&id).await.deleted_at.is_some());
    assert!(cloud.host.server_ids().is_empty());
    cloud.assert_whole().await;
}

/// A worker dies within, or right after, each step of each program; another goes on, and the end is the same.
#[tokio::test]
async fn a_worker_may_die_at_any_step() {
    for program in Program::ALL {
        for step in program.steps() {
            for halt in [Halt::Within(*step), Halt::After(*step)] {
                let mut cloud = Cloud::start().await;
                let id = cloud.create().await.unwrap();
                if *program != Program::Create {
                    cloud.settle().await;
                    begin(&mut cloud, *program, &id).await;
                }
                cloud.settle_after(halt).await;
                let server = cloud.server(&id).await;
                let expected = match program {
                    Program::Create | Program::Start | Program::Reboot => VmState::Active,
                    Program::Stop => VmState::Stopped,
                    Program::Delete => VmState::Deleted,
                };
                assert_eq!(server.vm_state, expected, "{program:?} {halt:?}");
                let starts: u64 = cloud.host.starts.values().sum();
                let expected = if matches!(program, Program::Start | Program::Reboot) { 2 } else { 1 };
                assert_eq!(starts, expected, "{program:?} {halt:?}: no guest starts twice for one request");
                cloud.assert_whole().await;
            }
        }
    }
}

async fn begin(cloud: &mut Cloud, program: Program, id: &str) {
    let (core, caller) = (cloud.core.clone(), cloud.caller.clone());
    match program {
        Program::Create => {}
        Program::Delete => server_action::delete(&core, &caller, id).await.unwrap(),
        Program::Stop => server_action::stop(&core, &caller, id).await.unwrap(),
        Program::Reboot => server_action::reboot(&core, &caller, id, false).await.unwrap(),
        Program::Start => {
            server_action::stop(&core, &caller, id).await.unwrap();
            cloud.settle().await;
            server_action::start(&core, &caller, id).await.unwrap();
        }
    }
}

/// Each step of the creation fails: ERROR, a reason, nothing left on the host; and the server can be deleted.
#[tokio::test]
async fn a_creation_that_fails_is_undone() {
    for step in Program::Create.steps() {
        let mut cloud = Cloud::start().await;
        let id = cloud.create().await.unwrap();
        cloud.settle_after(Halt::Fail(*step)).await;
        let server = cloud.server(&id).await;
        assert_eq!(server.status(), "ERROR", "{step:?}");
        assert_eq!(server.fault.unwrap().message, "it was made to fail");
        assert_eq!((server.host_id, server.planned), (None, false), "{step:?}");
        cloud.assert_whole().await;
        let tasks = task::list_of_server(&mut cloud.core.read().await.unwrap(), &id).await.unwrap();
        assert_eq!(tasks[0].status, TaskStatus::Failed);
        server_action::delete(&cloud.core, &cloud.caller, &id).await.unwrap();
        cloud.settle().await;
        assert!(cloud.server(&id).await.deleted_at.is_some());
        cloud.assert_whole().await;
    }
}

#[tokio::test]
async fn a_failed_start_or_stop_leaves_the_server_as_it_was() {
    for (program, step, state) in
        [(Program::Start, Step::AwaitStarted, "SHUTOFF"), (Program::Stop, Step::AwaitStopped, "ACTIVE")]
    {
        let mut cloud = Cloud::start().await;
        let id = cloud.create().await.unwrap();
        cloud.settle().await;
        begin(&mut cloud, program, &id).await;
        cloud.settle_after(Halt::Fail(step)).await;
        assert_eq!(cloud.server(&id).await.status(), state);
        cloud.assert_whole().await;
    }
}

#[tokio::test]
async fn a_host_that_refuses_says_why() {
    let mut cloud = Cloud::start().await;
    cloud.host.refuses = Some("The image is not what it says it is.".into());
    let id = cloud.create().await.unwrap();
    cloud.settle().await;
    let server = cloud.server(&id).await;
    assert_eq!(server.status(), "ERROR");
    assert_eq!(server.fault.unwrap().message, "The image is not what it says it is.");
    cloud.assert_whole().await;
}

#[tokio::test]
async fn a_full_cloud_says_what_is_missing() {
    let mut cloud = Cloud::start().await;
    cloud.host.capacity.memory_mib = 32;
    cloud.report().await;
    let id = cloud.create().await.unwrap();
    cloud.settle().await;
    let fault = cloud.server(&id).await.fault.unwrap();
    let words = "No valid host was found. 1 host: not enough memory (64 MiB needed, 32 MiB left).";
    assert_eq!(fault.message, words);
    cloud.assert_whole().await;
}

/// An agent that was restarted may be out of sorts for a moment: placement waits, but not for ever.
#[tokio::test]
async fn a_passing_problem_is_waited_for() {
    let mut cloud = Cloud::start().await;
    cloud.host.problems = vec!["QEMU is not installed".into()];
    cloud.report().await;
    let id = cloud.create().await.unwrap();
    let worker = Worker::new(cloud.core.clone());
    while worker.run_one().await.unwrap() {}
    assert_eq!(cloud.server(&id).await.status(), "BUILD");
    cloud.core.clock.advance(Duration::from_secs(21));
    cloud.settle().await;
    let fault = cloud.server(&id).await.fault.unwrap();
    assert_eq!(fault.message, "No valid host was found. 1 host: QEMU is not installed.");
}

#[tokio::test]
async fn a_creation_that_takes_too_long_fails() {
    let mut cloud = Cloud::start().await;
    cloud.host.stalls = true;
    let id = cloud.create().await.unwrap();
    let worker = Worker::new(cloud.core.clone());
    while worker.run_one().await.unwrap() {}
    cloud.pull().await;
    cloud.core.clock.advance(Duration::from_secs(Program::Create.deadline_s() + 1));
    cloud.settle().await;
    let server = cloud.server(&id).await;
    assert!(server.fault.unwrap().message.contains("timed out after 600 seconds"));
    cloud.assert_whole().await;
}

#[tokio::test]
async fn a_server_is_deleted_while_it_is_built() {
    let mut cloud = Cloud::start().await;
    cloud.host.stalls = true;
    let id = cloud.create().await.unwrap();
    let worker = Worker::new(cloud.core.clone());
    while worker.run_one().await.unwrap() {}
    cloud.pull().await;
    server_action::delete(&cloud.core, &cloud.caller, &id).await.unwrap();
    server_action::delete(&cloud.core, &cloud.caller, &id).await.unwrap();
    cloud.settle().await;
    assert!(cloud.server(&id).await.deleted_at.is_some());
    cloud.assert_whole().await;
    let tasks = task::list_of_server(&mut cloud.core.read().await.unwrap(), &id).await.unwrap();
    let ends: Vec<_> = tasks.iter().map(|task| (task.program, task.status)).collect();
    assert_eq!(ends, [(Program::Delete, TaskStatus::Done), (Program::Create, TaskStatus::Cancelled)]);
}

#[tokio::test]
async fn a_guest_that_powers_itself_off_is_shown_off_and_stays_off() {
    let mut cloud = Cloud::start().await;
    let id = cloud.create().await.unwrap();
    cloud.settle().await;
    cloud.host.power_off_guest(id.parse().unwrap());
    cloud.report().await;
    assert_eq!(cloud.server(&id).await.status(), "SHUTOFF");
    cloud.settle().await;
    assert_eq!(cloud.host.starts.values().sum::<u64>(), 1);
    server_action::start(&cloud.core, &cloud.caller, &id).await.unwrap();
    cloud.settle().await;
    assert_eq!(cloud.server(&id).await.status(), "ACTIVE");
}

/// A host that is away cannot hold a deletion up; when it is back, what it has is not in its plan.
#[tokio::test]
async fn a_silent_host_does_not_hold_up_deletion() {
    let mut cloud = Cloud::start().await;
    let id = cloud.create().await.unwrap();
    cloud.settle().await;
    cloud.core.clock.advance(Duration::from_secs(61));
    server_action::delete(&cloud.core, &cloud.caller, &id).await.unwrap();
    let worker = Worker::new(cloud.core.clone());
    while worker.run_one().await.unwrap() {}
    assert!(cloud.server(&id).await.deleted_at.is_some());
    assert_eq!(cloud.host.server_ids().len(), 1, "the host knows nothing yet");
    cloud.pull().await;
    assert!(cloud.host.server_ids().is_empty());
}

/// Many workers, many tasks: each step is done once. A step done twice would start a guest twice or claim twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_do_not_get_in_each_others_way() {
    const SERVERS: usize = 8;
    let mut cloud = Cloud::start().await;
    cloud.host.capacity.vcpus = 8;
    cloud.report().await;
    for _ in 0..SERVERS {
        cloud.create().await.unwrap();
    }
    for _ in 0..ROUNDS {
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let worker = Worker::new(cloud.core.clone());
            workers.spawn(async move { while worker.run_one().await.unwrap() {} });
        }
        workers.join_all().await;
        cloud.pull().await;
        cloud.report().await;
        if !cloud.has_open_tasks().await {
            break;
        }
    }
    cloud.assert_whole().await;
    let mut conn = cloud.core.read().await.unwrap();
    let servers = server::list(&mut conn, &server::ServerFilter::default()).await.unwrap();
    assert_eq!(servers.iter().filter(|server| server.status() == "ACTIVE").count(), SERVERS);
    assert!(servers.iter().all(|server| server.power.epoch == 1), "planned once each");
    assert!(cloud.host.starts.values().all(|starts| *starts == 1));
    for server in servers {
        let tasks = task::list_of_server(&mut conn, &server.id).await.unwrap();
        let events = task::list_events(&mut conn, &tasks[0].id).await.unwrap();
        assert_eq!(events.len(), Program::Create.steps().len());
        assert!(events.iter().all(|event| event.succeeded == Some(true)));
    }
}

#[tokio::test]
async fn a_credential_is_one_hosts() {
    let cloud = Cloud::start().await;
    let credential = crate::host::authenticate(&cloud.core, CREDENTIAL).await.unwrap();
    assert_eq!(credential.host_id, Some(cloud.host.id.to_string()));
    let other = SimulatedHost::new("node-2").observed();
    assert!(crate::host::report(&cloud.core, credential, other).await.is_err());
    assert!(crate::host::authenticate(&cloud.core, "a guess").await.is_err());
}
