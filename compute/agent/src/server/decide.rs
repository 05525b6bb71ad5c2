//! What to do next for one server: a plain function of its plan and of what is. It is asked again after every deed
//! and every event, so it never remembers and never waits.

use std::time::Duration;

use updraft_compute_api::plan::{Power, PowerPlan};

use crate::qemu::machine::RunState;
use crate::record::Epochs;

/// How long a guest may take to obey the power button.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(PowerPlan::SHUTDOWN_TIMEOUT_S);
/// The button is pressed again after this long: a guest that is still starting does not notice the first press.
const PRESS_PERIOD: Duration = Duration::from_secs(10);

/// What is, as far as a decision needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The epochs that were carried out, durably recorded.
    pub done: Epochs,
    pub has_disk: bool,
    /// True also when the plan wants none.
    pub has_config_drive: bool,
    pub blkd_runs: bool,
    /// netd serves all of the server's ports.
    pub has_ports: bool,
    pub guest: Option<Guest>,
}

/// A QEMU that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guest {
    /// For which epochs it was started.
    pub epochs: Epochs,
    pub state: RunState,
    /// Since when the power button has been pressed, in vain so far.
    pub pressed: Option<Pressed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressed {
    pub since_first: Duration,
    pub since_last: Duration,
}

/// The next deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Have the image, clone the root disk from it.
    MakeDisk,
    MakeConfigDrive,
    StartBlkd,
    AwaitPorts,
    /// Start QEMU, its processors waiting.
    StartGuest,
    /// Record that the guest's epochs are carried out, then let its processors go.
    RecordAndRelease,
    /// Let the processors go.
    Release,
    PressPowerButton,
    /// Reset the guest that does not obey a soft reboot, and record that one as carried out.
    ResetForSoftReboot,
    ForceOff,
    StopBlkd,
    /// Wait for the guest to obey, at most so long.
    AwaitShutdown(Duration),
    /// All is as it should be.
    Rest(Settled),
}

/// What a server that needs nothing done is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Running,
    /// QEMU runs, the guest's processors are stopped for good.
    Broken,
    Stopped,
}

/// Decides.
pub fn decide(plan: &PowerPlan, facts: &Facts) -> Action {
    let wanted = Epochs { start: plan.epoch, soft_reboot: plan.soft_reboot_epoch };
    match &facts.guest {
        Some(guest) => decide_with_guest(plan, wanted, facts, guest),
        None if plan.desired == Power::On && wanted.exceeds(facts.done) => decide_start(facts),
        None if facts.blkd_runs => Action::StopBlkd,
        None => Action::Rest(Settled::Stopped),
    }
}

fn decide_start(facts: &Facts) -> Action {
    if !facts.has_disk {
        Action::MakeDisk
    } else if !facts.has_config_drive {
        Action::MakeConfigDrive
    } else if !facts.blkd_runs {
        Action::StartBlkd
    } else if !facts.has_ports {
        Action::AwaitPorts
    } else {
        Action::StartGuest
    }
}

fn decide_with_guest(plan: &PowerPlan, wanted: Epochs, facts: &Facts, guest: &Guest) -> Action {
    if guest.epochs.start < wanted.start && plan.desired == Power::On {
        return Action::ForceOff;
    }
    if !facts.blkd_runs {
        return Action::StartBlkd;
    }
    if plan.desired == Power::Off {
        return decide_shutdown(guest, Action::ForceOff);
    }
    if guest.epochs.exceeds(facts.done) {
        return Action::RecordAndRelease;
    }
    if guest.state == RunState::Waiting {
        return Action::Release;
    }
    if wanted.soft_reboot > facts.done.soft_reboot {
        return decide_shutdown(guest, Action::ResetForSoftReboot);
    }
    Action::Rest(match guest.state {
        RunState::Broken => Settled::Broken,
        // A QEMU that does not answer still runs its guest, as far as anyone can tell.
        RunState::Running | RunState::Silent | RunState::Waiting => Settled::Running,
    })
}

/// Asks the guest to shut down; `at_last` when it cannot or does not.
fn decide_shutdown(guest: &Guest, at_last: Action) -> Action {
    match (guest.state, guest.pressed) {
        (RunState::Waiting | RunState::Broken, _) => at_last,
        (RunState::Running | RunState::Silent, None) => Action::PressPowerButton,
        (RunState::Running | RunState::Silent, Some(Pressed { since_first, since_last })) => {
            if since_first >= SHUTDOWN_TIMEOUT {
                at_last
            } else if since_last >= PRESS_PERIOD {
                Action::PressPowerButton
            } else {
                Action::AwaitShutdown((PRESS_PERIOD - since_last).min(SHUTDOWN_TIMEOUT - since_first))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Facts, Guest, Pressed, Settled, decide};
    use crate::qemu::machine::RunState;
    use crate::record::Epochs;
    use std::time::Duration;
    use updraft_compute_api::plan::{Power, PowerPlan};

    fn plan(desired: Power, epoch: u64, soft_reboot_epoch: u64) -> PowerPlan {
        PowerPlan { desired, epoch, soft_reboot_epoch }
    }

    fn epochs(start: u64, soft_reboot: u64) -> Epochs {
        Epochs { start, soft_reboot }
    }

    /// All there is to start a guest, and none started.
    fn ready(done: Epochs) -> Facts {
        Facts { done, has_disk: true, has_config_drive: true, blkd_runs: true, has_ports: true, guest: None }
    }

    fn with_guest(done: Epochs, started_for: Epochs, state: RunState) -> Facts {
        Facts { guest: Some(Guest { epochs: started_for, state, pressed: None }), ..ready(done) }
    }

    fn pressed(mut facts: Facts, since_first_s: u64, since_last_s: u64) -> Facts {
        let since = Duration::from_secs;
        if let Some(guest) = &mut facts.guest {
            guest.pressed =
                Some(Pressed { since_first: since(since_first_s), since_last: since(since_last_s) });
        }
        facts
    }

    #[test]
    fn a_new_server_gets_what_it_lacks_in_order() {
        let on = plan(Power::On, 1, 0);
        let mut facts = Facts::default();
        let mut expect = |action, provide: fn(&mut Facts)| {
            assert_eq!(decide(&on, &facts), action);
            provide(&mut facts);
        };
        expect(Action::MakeDisk, |facts| facts.has_disk = true);
        expect(Action::MakeConfigDrive, |facts| facts.has_config_drive = true);
        expect(Action::StartBlkd, |facts| facts.blkd_runs = true);
        expect(Action::AwaitPorts, |facts| facts.has_ports = true);
        expect(Action::StartGuest, |facts| {
            facts.guest = Some(Guest { epochs: epochs(1, 0), state: RunState::Waiting, pressed: None });
        });
        expect(Action::RecordAndRelease, |facts| facts.done = epochs(1, 0));
        // The agent died between recording and releasing.
        expect(Action::Release, |facts| facts.guest.as_mut().unwrap().state = RunState::Running);
        expect(Action::Rest(Settled::Running), |_| ());
    }

    #[test]
    fn power() {
        let (on1, off1) = (plan(Power::On, 1, 0), plan(Power::Off, 1, 0));
        let running = with_guest(epochs(1, 0), epochs(1, 0), RunState::Running);
        let dead_blkd = |facts: Facts| Facts { blkd_runs: false, ..facts };
        for (case, plan, facts, expected) in [
            ("a guest that powered itself off stays off", on1, ready(epochs(1, 0)), Action::StopBlkd),
            ("and then rests", on1, dead_blkd(ready(epochs(1, 0))), Action::Rest(Settled::Stopped)),
            ("a start after it", plan(Power::On, 2, 0), ready(epochs(1, 0)), Action::StartGuest),
            ("a hard reboot ends what runs", plan(Power::On, 2, 0), running, Action::ForceOff),
            ("and needs no disk for that", plan(Power::On, 2, 0), dead_blkd(running), Action::ForceOff),
            ("a dead blkd comes back under its guest", on1, dead_blkd(running), Action::StartBlkd),
            (
                "an older plan starts nothing again",
                plan(Power::On, 0, 0),
                running,
                Action::Rest(Settled::Running),
            ),
            ("stop asks first", off1, running, Action::PressPowerButton),
            ("stop waits", off1, pressed(running, 3, 3), Action::AwaitShutdown(Duration::from_secs(7))),
            ("stop asks again", off1, pressed(running, 20, 10), Action::PressPowerButton),
            (
                "stop waits to the end",
                off1,
                pressed(running, 58, 8),
                Action::AwaitShutdown(Duration::from_secs(2)),
            ),
            ("stop forces at last", off1, pressed(running, 60, 9), Action::ForceOff),
            (
                "stop does not ask a guest that hangs",
                off1,
                with_guest(epochs(1, 0), epochs(1, 0), RunState::Broken),
                Action::ForceOff,
            ),
            (
                "stop does not wait for what never ran",
                off1,
                with_guest(epochs(0, 0), epochs(1, 0), RunState::Waiting),
                Action::ForceOff,
            ),
            ("a stopped server stays", off1, dead_blkd(ready(epochs(1, 0))), Action::Rest(Settled::Stopped)),
            (
                "a server that was never on",
                plan(Power::Off, 0, 0),
                Facts::default(),
                Action::Rest(Settled::Stopped),
            ),
        ] {
            assert_eq!(decide(&plan, &facts), expected, "{case}");
        }
    }

    #[test]
    fn soft_reboot() {
        let wanted = plan(Power::On, 1, 1);
        let running = with_guest(epochs(1, 0), epochs(1, 0), RunState::Running);
        for (case, plan, facts, expected) in [
            ("asks the guest", wanted, running, Action::PressPowerButton),
            ("starts it when it has obeyed", wanted, ready(epochs(1, 0)), Action::StartGuest),
            (
                "records the new process",
                wanted,
                with_guest(epochs(1, 0), epochs(1, 1), RunState::Waiting),
                Action::RecordAndRelease,
            ),
            (
                "is over then",
                wanted,
                with_guest(epochs(1, 1), epochs(1, 1), RunState::Running),
                Action::Rest(Settled::Running),
            ),
            (
                "resets a guest that does not obey",
                wanted,
                pressed(running, 60, 10),
                Action::ResetForSoftReboot,
            ),
            (
                "is over after a reset too",
                wanted,
                with_guest(epochs(1, 1), epochs(1, 0), RunState::Running),
                Action::Rest(Settled::Running),
            ),
            ("gives way to a hard one", plan(Power::On, 2, 1), running, Action::ForceOff),
            ("gives way to a stop", plan(Power::Off, 1, 1), ready(epochs(1, 0)), Action::StopBlkd),
        ] {
            assert_eq!(decide(&plan, &facts), expected, "{case}");
        }
    }
}
