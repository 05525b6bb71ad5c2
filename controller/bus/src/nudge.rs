//! Wake-ups inside the process. The database is the truth: a lost nudge costs one polling period.

use std::time::Duration;

use tokio::sync::watch;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A task row is due.
    Tasks,
    /// Some host's plan has a new generation.
    HostPlan,
}

/// One counter per topic: raised by [`Nudge::send`], awaited by [`Listener::wait`].
#[derive(Debug)]
pub struct Nudge {
    tasks: watch::Sender<u64>,
    host_plan: watch::Sender<u64>,
}

impl Default for Nudge {
    fn default() -> Self {
        Self { tasks: watch::Sender::new(0), host_plan: watch::Sender::new(0) }
    }
}

/// Hears every nudge of its topic sent since it was made or last waited; several count as one.
#[derive(Debug)]
pub struct Listener {
    receiver: watch::Receiver<u64>,
}

impl Nudge {
    /// Call it after the commit, never before.
    pub fn send(&self, topic: Topic) {
        self.sender(topic).send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Make it before looking at the database, so that nothing falls in between.
    pub fn listen(&self, topic: Topic) -> Listener {
        Listener { receiver: self.sender(topic).subscribe() }
    }

    fn sender(&self, topic: Topic) -> &watch::Sender<u64> {
        match topic {
            Topic::Tasks => &self.tasks,
            Topic::HostPlan => &self.host_plan,
        }
    }
}

impl Listener {
    /// Waits for a nudge, at most for `period`; true when there was one.
    pub async fn wait(&mut self, period: Duration) -> bool {
        matches!(tokio::time::timeout(period, self.receiver.changed()).await, Ok(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Nudge, Topic};

    #[tokio::test]
    async fn a_nudge_sent_before_the_wait_is_not_lost() {
        let nudge = Nudge::default();
        let mut listener = nudge.listen(Topic::Tasks);
        nudge.send(Topic::Tasks);
        nudge.send(Topic::Tasks);
        assert!(listener.wait(Duration::from_secs(60)).await);
        assert!(!listener.wait(Duration::from_millis(1)).await, "two nudges count as one");
    }

    #[tokio::test]
    async fn topics_do_not_disturb_each_other() {
        let nudge = Nudge::default();
        let mut listener = nudge.listen(Topic::HostPlan);
        nudge.send(Topic::Tasks);
        assert!(!listener.wait(Duration::from_millis(1)).await);
    }
}
