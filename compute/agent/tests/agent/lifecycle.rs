//! One guest from its plan to its end, with the agent, its block daemon and the controller killed in between. The
//! guest is a boot sector that our own block daemon serves: see [`setup`](crate::setup).

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustix::process::{Pid, Signal, kill_process};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use updraft_agent::host::process::start_ticks;
use updraft_agent::layout::Layout;
use updraft_base::ServerId;
use updraft_compute_api::inventory::HostInventory;
use updraft_compute_api::observed::ServerState;
use updraft_compute_api::path;
use updraft_compute_api::plan::Power;

use crate::controller::{CREDENTIAL, Controller};
use crate::setup::{TestHost, is_running, observed_server, recorded_pid};

/// How often a guest said hello, as the console log has it.
async fn hellos(host: &TestHost, id: ServerId) -> usize {
    let log = host.get(&format!("{}/{id}/console-log", path::SERVERS)).await;
    assert_eq!(log.status(), 200);
    log.text().await.unwrap().matches("hello").count()
}

async fn until_hellos(host: &TestHost, id: ServerId, count: usize) {
    while hellos(host, id).await < count {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Types on the guest's serial console; the answer.
async fn type_on_serial(host: &TestHost, id: ServerId, text: &str) -> Option<Vec<u8>> {
    let url = format!("ws://{}{}/{id}/serial", host.config.listen, path::SERVERS);
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("Authorization", format!("Bearer {CREDENTIAL}").parse().unwrap());
    let (mut console, _) = connect_async(request).await.unwrap();
    console.send(Message::binary(text.as_bytes().to_vec())).await.unwrap();
    match tokio::time::timeout(Duration::from_secs(60), console.next()).await.unwrap() {
        Some(Ok(Message::Binary(bytes))) => Some(bytes.to_vec()),
        _ => None,
    }
}

async fn inventory(host: &TestHost) -> HostInventory {
    host.get(path::INVENTORY).await.json().await.unwrap()
}

fn set_power(host: &TestHost, desired: Power, epoch: u64) {
    host.controller().change(|plan| {
        plan.servers[0].power.desired = desired;
        plan.servers[0].power.epoch = epoch;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_from_plan_to_end() {
    let _turn = crate::QEMU.lock().await;
    let mut host = TestHost::new(|_| ()).await;
    let layout = Layout::new(&host.config.state_dir, &host.config.run_dir);
    let server = host.server();
    let id = server.id;
    host.controller().change(|plan| plan.servers.push(server));
    host.start_agent().await;
    let first = host.controller().until("running", |observed| is_running(observed, id)).await;
    assert_eq!(observed_server(&first, id).unwrap().epoch, 1);
    until_hellos(&host, id, 1).await;
    assert_eq!(type_on_serial(&host, id, "x").await.unwrap(), b"x");
    let qemu = recorded_pid(&layout.qemu_process(id)).await;
    let cgroup = std::fs::read_to_string(format!("/proc/{qemu}/cgroup")).unwrap();
    if inventory(&host).await.servers[0].cgroup.is_some() {
        assert!(
            cgroup
                .lines()
                .any(|line| line.starts_with("0::") && line.ends_with(&format!("server-{id}/qemu")))
        );
    }

    agent_and_controller_die(&mut host, id, qemu).await;
    blkd_dies(&host, &layout, id, qemu).await;
    the_guest_is_rebooted_and_powers_itself_off(&host, &layout, id, qemu).await;
    the_server_is_deleted(&mut host, &layout, id).await;
}

async fn agent_and_controller_die(host: &mut TestHost, id: ServerId, qemu: u32) {
    let layout = Layout::new(&host.config.state_dir, &host.config.run_dir);
    host.drop_agent().await;
    let (shared, address) = {
        let controller = host.controller.take().unwrap();
        (controller.shared.clone(), controller.address)
    };
    shared.observed.send_replace(None);
    host.start_agent().await;
    // On the kept plan alone: adopted, not started again.
    assert_eq!(type_on_serial(host, id, "y").await.unwrap(), b"y");
    host.controller = Some(Controller::start(address, shared).await);
    host.controller().until("running again", |observed| is_running(observed, id)).await;
    assert_eq!(recorded_pid(&layout.qemu_process(id)).await, qemu);
    assert_eq!(hellos(host, id).await, 1);
}

async fn blkd_dies(host: &TestHost, layout: &Layout, id: ServerId, qemu: u32) {
    let blkd = recorded_pid(&layout.blkd_process(id)).await;
    kill_process(Pid::from_raw(blkd as i32).unwrap(), Signal::KILL).unwrap();
    while recorded_pid(&layout.blkd_process(id)).await == blkd {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(recorded_pid(&layout.qemu_process(id)).await, qemu);
    assert_eq!(type_on_serial(host, id, "z").await.unwrap(), b"z");
}

async fn the_guest_is_rebooted_and_powers_itself_off(
    host: &TestHost,
    layout: &Layout,
    id: ServerId,
    qemu: u32,
) {
    set_power(host, Power::On, 2);
    host.controller()
        .until("hard rebooted", |observed| {
            is_running(observed, id) && observed_server(observed, id).unwrap().epoch == 2
        })
        .await;
    assert_ne!(recorded_pid(&layout.qemu_process(id)).await, qemu);
    assert!(start_ticks(qemu).is_err(), "the old QEMU is gone");
    until_hellos(host, id, 2).await;

    type_on_serial(host, id, "p").await;
    let stopped =
        |observed: &_| observed_server(observed, id).is_some_and(|s| s.state == ServerState::Stopped);
    host.controller().until("powered off", stopped).await;
    let blkd = recorded_pid(&layout.blkd_process(id)).await;
    assert!(start_ticks(blkd).is_err(), "a stopped server holds no process");
    // A new plan without a new epoch starts nothing.
    set_power(host, Power::On, 2);
    let generation = host.controller().shared.plan.borrow().generation;
    host.controller()
        .until("seen", |observed| observed.plan_generation == generation && stopped(observed))
        .await;
    set_power(host, Power::On, 3);
    host.controller().until("started", |observed| is_running(observed, id)).await;
    until_hellos(host, id, 3).await;
}

async fn the_server_is_deleted(host: &mut TestHost, layout: &Layout, id: ServerId) {
    let processes =
        [recorded_pid(&layout.qemu_process(id)).await, recorded_pid(&layout.blkd_process(id)).await];
    host.controller().change(|plan| plan.servers.clear());
    host.controller().until("removed", |observed| observed.servers.is_empty()).await;
    for pid in processes {
        assert!(start_ticks(pid).is_err(), "process {pid} is left");
    }
    assert!(!layout.server_dir(id).exists() && !layout.server_run_dir(id).exists());
    let inventory = inventory(host).await;
    assert_eq!((inventory.servers.len(), inventory.leaks.len()), (0, 0), "{inventory:?}");
    let missing = host.get(&format!("{}/{id}/console-log", path::SERVERS)).await;
    assert_eq!(missing.status(), 404);
    let url = format!("http://{}{}", host.config.listen, path::INVENTORY);
    assert_eq!(reqwest::get(url).await.unwrap().status(), 401);
    assert_eq!(host.controller().shared.downloads.load(std::sync::atomic::Ordering::Relaxed), 1);
    host.drop_agent().await;
}
