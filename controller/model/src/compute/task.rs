//! Durable work on a server: one row says which program, at which step, and who works on it until when.
//!
//! A program is a list of steps. Each step changes the database in one transaction that also moves the row to the
//! next step, so a worker that dies repeats a step that did nothing, or continues after one that did all.

use crate::Timestamp;

use super::server::names;

names! {
    /// What is to be done; the name is the action's in the server's journal.
    Program {
        Create => "create",
        Delete => "delete",
        Start => "start",
        Stop => "stop",
        Reboot => "reboot",
    }
}

names! {
    /// One step of a program; the name is the event's in the server's journal.
    Step {
        Place => "compute_place_instance",
        Network => "compute_bind_ports",
        Plan => "compute_plan_instance",
        AwaitBuilt => "compute_build_instance",
        Unplan => "compute_unplan_instance",
        AwaitGone => "compute_terminate_instance",
        Release => "compute_release_instance",
        PowerOn => "compute_power_on_instance",
        AwaitStarted => "compute_start_instance",
        PowerOff => "compute_power_off_instance",
        AwaitStopped => "compute_stop_instance",
        Reboot => "compute_request_reboot",
        AwaitRebooted => "compute_reboot_instance",
    }
}

names! {
    TaskStatus {
        /// Its present step is to be done.
        Running => "running",
        /// A step failed; what was done is being undone, last step first.
        Undoing => "undoing",
        Done => "done",
        /// It failed and is undone.
        Failed => "failed",
        /// Another task (deletion, a hard reboot) took its place.
        Cancelled => "cancelled",
    }
}

/// One task row.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub id: String,
    pub server_id: String,
    pub project_id: String,
    pub user_id: String,
    /// Of the API call, so that log, journal and answer can be joined.
    pub request_id: String,
    pub program: Program,
    pub step: Step,
    pub status: TaskStatus,
    /// The generation of the host's plan that carries the last change, where a later step waits for it.
    pub plan_generation: u64,
    /// How often a worker took it up.
    pub attempts: i64,
    /// Not before this time.
    pub run_at: Timestamp,
    /// After this time its present step fails.
    pub deadline: Timestamp,
    pub lease_owner: Option<String>,
    pub lease_until: Timestamp,
    /// Why it failed, fit for the tenant.
    pub message: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What was done at one step, for the server's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEvent {
    pub task_id: String,
    pub step: Step,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// `None` while it lasts.
    pub succeeded: Option<bool>,
    pub message: Option<String>,
    /// Why it failed, for operators: names of hosts, errors of programs.
    pub cause: Option<String>,
    pub host_id: Option<String>,
}

impl Program {
    pub const fn steps(self) -> &'static [Step] {
        match self {
            Self::Create => &[Step::Place, Step::Network, Step::Plan, Step::AwaitBuilt],
            Self::Delete => &[Step::Unplan, Step::AwaitGone, Step::Release],
            Self::Start => &[Step::PowerOn, Step::AwaitStarted],
            Self::Stop => &[Step::PowerOff, Step::AwaitStopped],
            Self::Reboot => &[Step::Reboot, Step::AwaitRebooted],
        }
    }

    pub const fn first_step(self) -> Step {
        match self {
            Self::Create => Step::Place,
            Self::Delete => Step::Unplan,
            Self::Start => Step::PowerOn,
            Self::Stop => Step::PowerOff,
            Self::Reboot => Step::Reboot,
        }
    }

    /// How long it may take, in seconds. Creation copies and converts an image, under emulation at worst; a stop
    /// gives the guest its minute to obey; a deletion never gives up.
    pub const fn deadline_s(self) -> u64 {
        match self {
            Self::Create => 600,
            Self::Delete => 365 * 86_400,
            Self::Start | Self::Stop | Self::Reboot => 300,
        }
    }

    /// The step after `step`; `None` after the last.
    pub fn after(self, step: Step) -> Option<Step> {
        let steps = self.steps();
        let index = steps.iter().position(|candidate| *candidate == step)?;
        steps.get(index + 1).copied()
    }

    /// The step before `step`; `None` before the first.
    pub fn before(self, step: Step) -> Option<Step> {
        let steps = self.steps();
        let index = steps.iter().position(|candidate| *candidate == step)?;
        index.checked_sub(1).and_then(|previous| steps.get(previous)).copied()
    }
}

impl Step {
    /// Whether the step only waits for the host. Such a step is looked at again whenever the host reports.
    pub const fn waits(self) -> bool {
        matches!(
            self,
            Self::AwaitBuilt
                | Self::AwaitGone
                | Self::AwaitStarted
                | Self::AwaitStopped
                | Self::AwaitRebooted
        )
    }
}

impl TaskStatus {
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::{Program, Step};

    #[test]
    fn programs_walk_forwards_and_back() {
        for program in Program::ALL {
            assert_eq!(program.first_step(), program.steps()[0]);
            let mut step = program.first_step();
            let mut walked = vec![step];
            while let Some(next) = program.after(step) {
                assert_eq!(program.before(next), Some(step));
                step = next;
                walked.push(step);
            }
            assert_eq!(walked, program.steps());
            assert_eq!(program.before(program.first_step()), None);
        }
    }

    #[test]
    fn step_names_are_distinct() {
        for step in Step::ALL {
            assert_eq!(Step::parse(step.as_str()), Some(*step));
        }
    }
}
