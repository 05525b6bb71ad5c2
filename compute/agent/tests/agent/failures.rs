//! What cannot be made is told, in words for the tenant, and leaves nothing behind.

use updraft_base::PortId;
use updraft_compute_api::observed::{HostObserved, ServerState};
use updraft_compute_api::plan::ServerPlan;

use crate::setup::{TestHost, observed_server};

/// Runs a server that cannot be made until the host says so, then takes it back. The message for the tenant.
async fn fail(host: &mut TestHost, server: ServerPlan) -> (String, bool, HostObserved) {
    let id = server.id;
    host.start_agent().await;
    host.controller().change(|plan| plan.servers.push(server));
    let failed = |observed: &HostObserved| {
        observed_server(observed, id).is_some_and(|server| matches!(server.state, ServerState::Failed { .. }))
    };
    let observed = host.controller().until("failed", failed).await;
    let Some(ServerState::Failed { message, permanent, .. }) =
        observed_server(&observed, id).map(|s| s.state.clone())
    else {
        unreachable!()
    };
    let images = host.config.state_dir.join("images");
    host.controller().change(|plan| plan.servers.clear());
    host.controller().until("removed", |observed| observed.servers.is_empty()).await;
    assert!(!host.config.state_dir.join(format!("servers/{id}")).exists());
    assert!(!host.config.run_dir.join(id.to_string()).exists());
    if permanent && message.contains("image is") {
        assert_eq!(std::fs::read_dir(images).unwrap().count(), 0, "no image left");
    }
    let inventory = host.get(updraft_compute_api::path::INVENTORY).await.text().await.unwrap();
    assert!(inventory.contains("\"leaks\":[]"), "{inventory}");
    host.drop_agent().await;
    (message, permanent, observed)
}

#[tokio::test]
async fn an_image_that_is_not_what_was_uploaded() {
    let mut host = TestHost::new(|_| ()).await;
    let mut server = host.server();
    server.root_disk.image.sha512.replace_range(0..1, "x");
    let (message, permanent, _) = fail(&mut host, server).await;
    assert!(message.contains("damaged") && permanent, "{message}");
}

#[tokio::test]
async fn an_image_of_another_format() {
    let mut host = TestHost::new(|_| ()).await;
    let mut server = host.server();
    server.root_disk.image.format = updraft_compute_api::plan::ImageFormat::Qcow2;
    let (message, permanent, _) = fail(&mut host, server).await;
    assert!(message.contains("format") && permanent, "{message}");
}

#[tokio::test]
async fn a_disk_smaller_than_its_image() {
    let mut host = TestHost::new(|_| ()).await;
    let mut server = host.server();
    server.root_disk.size_bytes = 512;
    let (message, permanent, _) = fail(&mut host, server).await;
    assert!(message.contains("too small") && permanent, "{message}");
}

#[tokio::test]
async fn an_image_that_does_not_fit_on_the_disk() {
    let mut host = TestHost::new(|config| config.disk_reserve_gib = 1 << 20).await;
    let server = host.server();
    let (message, permanent, observed) = fail(&mut host, server).await;
    assert!(message.contains("no disk space") && !permanent, "{message}");
    assert!(observed.problems.iter().any(|problem| problem.contains("is full")), "{:?}", observed.problems);
}

#[tokio::test]
async fn a_host_without_qemu() {
    let mut host = TestHost::new(|config| config.qemu_binary = "/nowhere/qemu".into()).await;
    let server = host.server();
    let (message, _, observed) = fail(&mut host, server).await;
    assert!(message.contains("cannot run virtual machines"), "{message}");
    assert!(
        observed.problems.iter().any(|problem| problem.contains("/nowhere/qemu")),
        "{:?}",
        observed.problems
    );
}

#[tokio::test]
async fn a_network_that_nobody_serves() {
    let mut host = TestHost::new(|_| ()).await;
    let mut server = host.server();
    server.port_ids = vec![PortId::random()];
    let (message, _, observed) = fail(&mut host, server).await;
    assert!(message.contains("network"), "{message}");
    assert!(observed.problems.iter().any(|problem| problem.contains("netd does not answer")));
}
