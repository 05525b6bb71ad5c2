//! What a host's report means for a server that no task is working on.

use updraft_compute_api::observed::{ServerObserved, ServerState};
use updraft_model::Timestamp;
use updraft_model::compute::{Fault, PowerState, Server, VmState};

/// Brings `server` in line with what its host observes. True when something changed.
///
/// A guest that powered itself off is SHUTOFF, and shall stay so until it is started. A server that its host gave up
/// is ERROR. Everything else is the host's to bring in line with the plan, not the plan's with the host.
pub(crate) fn settle(server: &mut Server, seen: &ServerObserved, now: Timestamp) -> bool {
    if server.task_state.is_some() || !server.planned {
        return false;
    }
    let current = seen.epoch >= server.power.epoch;
    match (&seen.state, server.vm_state) {
        (ServerState::Stopped, VmState::Active) if current => {
            server.vm_state = VmState::Stopped;
            server.power_state = PowerState::Shutdown;
            server.power.on = false;
        }
        (ServerState::Failed { message, permanent: true, .. }, VmState::Active) => {
            server.vm_state = VmState::Error;
            server.power_state = PowerState::NoState;
            server.fault = Some(Fault { code: 500, message: message.clone(), created_at: now });
        }
        _ => return false,
    }
    server.updated_at = now;
    true
}

#[cfg(test)]
mod tests {
    use updraft_compute_api::observed::{ServerObserved, ServerState};
    use updraft_model::Timestamp;
    use updraft_model::compute::{TaskState, VmState};

    use super::settle;
    use crate::tasks::tests::server;

    fn seen(state: ServerState, epoch: u64) -> ServerObserved {
        ServerObserved {
            id: updraft_base::ServerId::random(),
            state,
            epoch,
            soft_reboot_epoch: 0,
            started_at_us: None,
        }
    }

    fn failed(permanent: bool) -> ServerState {
        ServerState::Failed { message: "disk lost".into(), detail: String::new(), permanent }
    }

    /// (state, task under way, observed, its epoch) → state
    #[test]
    fn reports_move_a_settled_server_only_so() {
        use VmState::{Active, Error, Stopped};
        for (vm_state, task_state, state, epoch, expected) in [
            (Active, None, ServerState::Stopped, 1, Stopped),
            (Active, None, ServerState::Stopped, 0, Active),
            (Active, Some(TaskState::PoweringOff), ServerState::Stopped, 1, Active),
            (Active, None, failed(true), 1, Error),
            (Active, None, failed(false), 1, Active),
            (Active, None, ServerState::Running, 1, Active),
            (Stopped, None, ServerState::Running, 1, Stopped),
            (Error, None, ServerState::Running, 1, Error),
        ] {
            let mut server = server(vm_state, task_state);
            let changed = settle(&mut server, &seen(state.clone(), epoch), Timestamp(5));
            assert_eq!(server.vm_state, expected, "{vm_state:?} {task_state:?} {state:?} {epoch}");
            assert_eq!(changed, expected != vm_state);
        }
    }

    #[test]
    fn a_guest_that_powered_itself_off_stays_off() {
        let mut server = server(VmState::Active, None);
        assert!(settle(&mut server, &seen(ServerState::Stopped, 1), Timestamp(5)));
        assert!(!server.power.on);
    }
}
