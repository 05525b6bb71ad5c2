//! One task for every server that is planned or found here; and the housekeeping that belongs to no single server.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use updraft_base::{ImageId, ServerId};
use updraft_compute_api::plan::HostPlan;

use crate::agent::{Host, network_cards};
use crate::layout::ids_in;
use crate::record::ServerRecord;
use crate::server::console_log::{cut_daemon_log, turn_over};
use crate::server::task::{Planned, ServerTask, Target};

/// How often logs are looked at.
const HOUSE_PERIOD: Duration = Duration::from_secs(1);
/// How often the host is searched for servers that nobody speaks of, and for unused images.
const SEARCH_PERIOD: Duration = Duration::from_secs(10);

/// Keeps the servers' tasks at the plan, for ever.
pub async fn run(host: Arc<Host>, mut confirmed: watch::Receiver<bool>) {
    let mut plan = host.plan.clone();
    let mut targets: HashMap<ServerId, watch::Sender<Target>> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        let now = plan.borrow_and_update().clone();
        let confirmed_now = *confirmed.borrow_and_update();
        targets.retain(|_, target| !target.is_closed());
        for (id, target) in assign(now.as_deref(), &found(&host), confirmed_now) {
            match targets.get(&id) {
                Some(known) => {
                    known.send_if_modified(|now| {
                        let differs = *now != target;
                        if differs {
                            *now = target;
                        }
                        differs
                    });
                }
                None => {
                    let (sender, receiver) = watch::channel(target);
                    tasks.spawn(ServerTask::new(Arc::clone(&host), id, receiver).run());
                    targets.insert(id, sender);
                }
            }
        }
        tokio::select! {
            _ = plan.changed() => {}
            _ = confirmed.changed() => {}
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a server's task has died; it is begun anew");
                }
            }
            () = tokio::time::sleep(SEARCH_PERIOD) => {}
        }
    }
}

/// What should become of each server that is planned or found. What is only found is left alone until the
/// controller itself has spoken: the plan kept on the disk may be older than the server.
fn assign(plan: Option<&HostPlan>, found: &BTreeSet<ServerId>, confirmed: bool) -> HashMap<ServerId, Target> {
    let absent = if confirmed { Target::Absent } else { Target::Hold };
    let mut targets: HashMap<ServerId, Target> = found.iter().map(|id| (*id, absent.clone())).collect();
    if let Some(plan) = plan {
        targets.extend(plan.servers.iter().map(|server| {
            let nics = network_cards(plan, &server.port_ids);
            (server.id, Target::Planned(Arc::new(Planned { server: server.clone(), nics })))
        }));
    }
    targets
}

/// The servers of which anything is on the host.
pub fn found(host: &Host) -> BTreeSet<ServerId> {
    let folders = [host.layout.servers_dir(), host.layout.run_dir().to_path_buf()];
    let mut ids: BTreeSet<ServerId> = folders.iter().flat_map(|dir| ids_in(dir)).collect();
    ids.extend(host.cgroups.servers());
    ids.extend(host.board.all().into_iter().map(|server| server.id));
    ids
}

/// Bounds the logs and removes unused images, for ever.
pub async fn keep_house(host: Arc<Host>, confirmed: watch::Receiver<bool>) {
    let keep = Duration::from_secs(host.config.image_keep_s);
    loop {
        // Without the controller's word the plan kept here may lack the newest image's user.
        if *confirmed.borrow() {
            host.images.remove_unused(keep, |image| uses_image(&host, image)).await;
        }
        let rounds = SEARCH_PERIOD.as_secs() / HOUSE_PERIOD.as_secs();
        for _ in 0..rounds {
            let looking = Arc::clone(&host);
            // A slow disk may hold up the looking, not the agent.
            let _ = tokio::task::spawn_blocking(move || bound_logs(&looking)).await;
            tokio::time::sleep(HOUSE_PERIOD).await;
        }
    }
}

fn bound_logs(host: &Host) {
    for id in ids_in::<ServerId>(&host.layout.servers_dir()) {
        let layout = &host.layout;
        let results = [
            turn_over(&layout.console_log(id)),
            cut_daemon_log(&layout.qemu_log(id)),
            cut_daemon_log(&layout.blkd_log(id)),
        ];
        for error in results.into_iter().filter_map(Result::err) {
            tracing::warn!(server = %id, %error, "a log was not bounded");
        }
    }
}

fn uses_image(host: &Host, image: ImageId) -> bool {
    let planned = host.plan.borrow().clone();
    let planned =
        planned.iter().flat_map(|plan| &plan.servers).any(|server| server.root_disk.image.id == image);
    planned
        || ids_in::<ServerId>(&host.layout.servers_dir()).into_iter().any(|id| {
            match ServerRecord::load(&host.layout.record(id)) {
                Ok(record) => record.is_some_and(|record| record.image_id == image),
                // What cannot be read may be a user.
                Err(_) => true,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::assign;
    use crate::server::task::Target;
    use std::collections::BTreeSet;
    use updraft_base::{HostId, ServerId};
    use updraft_compute_api::plan::HostPlan;

    #[test]
    fn what_is_only_found_waits_for_the_controllers_word() {
        let orphan = ServerId::random();
        let found = BTreeSet::from([orphan]);
        let plan = HostPlan {
            host_id: HostId::random(),
            generation: 1,
            servers: vec![],
            network: Default::default(),
        };
        assert_eq!(assign(None, &found, false)[&orphan], Target::Hold);
        assert_eq!(assign(Some(&plan), &found, false)[&orphan], Target::Hold);
        assert_eq!(assign(Some(&plan), &found, true)[&orphan], Target::Absent);
    }
}
