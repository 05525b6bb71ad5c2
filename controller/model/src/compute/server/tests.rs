use super::{
    Action, DiskConfig, Lock, PowerIntent, PowerState, Refusal, RootDiskSpec, Server, ServerSpec, TaskState,
    VmState, status_of, vm_states_of_status,
};
use crate::Timestamp;
use crate::compute::FlavorSnapshot;

fn server(vm_state: VmState, task_state: Option<TaskState>) -> Server {
    Server {
        id: "s".into(),
        project_id: "p".into(),
        user_id: "u".into(),
        name: "n".into(),
        spec: ServerSpec {
            description: None,
            hostname: "n".into(),
            flavor: FlavorSnapshot {
                id: "1".into(),
                name: "m1".into(),
                vcpus: 1,
                memory_mib: 64,
                disk_gib: 1,
                ephemeral_gib: 0,
                swap_mib: 0,
                extra_specs: Default::default(),
            },
            root_disk: RootDiskSpec {
                disk_id: "d".into(),
                image_id: "i".into(),
                image_format: "raw".into(),
                image_bytes: 1,
                image_sha512: String::new(),
                size_bytes: (1 << 30) + 1,
            },
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
        },
        vm_state,
        task_state,
        power_state: PowerState::NoState,
        fault: None,
        locked: None,
        host_id: None,
        planned: true,
        power: PowerIntent::default(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        launched_at: None,
        deleted_at: None,
        revision: 0,
    }
}

/// Which actions may start, by state: one line a state, in the order start, stop, soft reboot, hard reboot, delete.
#[test]
fn every_state_allows_exactly_these_actions() {
    use TaskState::{Deleting, PoweringOff, PoweringOn, Rebooting, RebootingHard, Spawning};
    use VmState::{Active, Building, Deleted, Error, Stopped};
    let actions = [Action::Start, Action::Stop, Action::RebootSoft, Action::RebootHard, Action::Delete];
    for (vm_state, task_state, allowed) in [
        (Building, Some(Spawning), "....d"),
        (Active, None, ".srhd"),
        (Active, Some(PoweringOff), "....d"),
        (Active, Some(Rebooting), "...hd"),
        (Active, Some(RebootingHard), "...hd"),
        (Active, Some(Deleting), "....d"),
        (Stopped, None, "S..hd"),
        (Stopped, Some(PoweringOn), "....d"),
        (Error, None, ".s.hd"),
        (Deleted, None, "....."),
    ] {
        let server = server(vm_state, task_state);
        let got: String = actions
            .iter()
            .zip("Ssrhd".chars())
            .map(|(action, letter)| if server.allow(*action, false).is_ok() { letter } else { '.' })
            .collect();
        assert_eq!(got, allowed, "{vm_state:?} {task_state:?}");
    }
}

#[test]
fn refusals_speak_as_nova_does() {
    let refusal = server(VmState::Active, None).allow(Action::Start, false).unwrap_err();
    assert_eq!(refusal.to_string(), "Cannot 'start' instance s while it is in vm_state active");
    let refusal =
        server(VmState::Active, Some(TaskState::PoweringOff)).allow(Action::RebootSoft, false).unwrap_err();
    assert_eq!(refusal.to_string(), "Cannot 'reboot' instance s while it is in task_state powering-off");
}

#[test]
fn a_lock_stops_everyone_but_an_administrator() {
    let mut server = server(VmState::Active, None);
    server.locked = Some(Lock { by_admin: false, reason: None });
    assert_eq!(server.allow(Action::Delete, false), Err(Refusal::Locked { id: "s".into() }));
    assert_eq!(server.allow(Action::Delete, true), Ok(()));
    for groups in [Action::AddSecurityGroup, Action::RemoveSecurityGroup] {
        assert_eq!(server.allow(groups, false), Ok(()), "the network service has the groups");
    }
}

#[test]
fn a_server_that_never_reached_a_host_cannot_be_rebooted() {
    let mut server = server(VmState::Error, None);
    server.planned = false;
    assert!(server.allow(Action::RebootHard, false).is_err());
    assert!(server.allow(Action::Delete, false).is_ok());
}

/// Terraform's wait lists: a status outside of them makes `apply` fail.
#[test]
fn statuses_stay_inside_the_wait_lists() {
    for vm_state in VmState::ALL {
        for task_state in TaskState::ALL.iter().copied().map(Some).chain([None]) {
            let status = status_of(*vm_state, task_state);
            let pending: &[&str] = match vm_state {
                VmState::Building => &["BUILD"],
                VmState::Active => &["ACTIVE", "REBOOT", "HARD_REBOOT"],
                VmState::Stopped => &["SHUTOFF", "HARD_REBOOT"],
                VmState::Error => &["ERROR"],
                VmState::Deleted => &["DELETED"],
            };
            assert!(pending.contains(&status), "{vm_state:?} {task_state:?} shows {status}");
            let deleting = status_of(*vm_state, Some(TaskState::Deleting));
            assert_eq!(deleting, status_of(*vm_state, None), "a server keeps its status while it is deleted");
        }
    }
}

#[test]
fn a_status_filter_names_its_states() {
    assert_eq!(vm_states_of_status("ACTIVE"), [VmState::Active]);
    assert_eq!(vm_states_of_status("HARD_REBOOT"), [VmState::Active, VmState::Stopped]);
    assert!(vm_states_of_status("MIGRATING").is_empty());
}

#[test]
fn disk_claims_round_up() {
    assert_eq!(server(VmState::Active, None).claimed_disk_gib(), 2);
}
