//! Work that one controller at a time does, again and again: a row in the database says when it is due and who is at it.
//!
//! Each controller looks at the row when it may be due. Who leases it does the work, keeps the lease meanwhile, and gives
//! the row back with the time of the next turn. One that is killed is silent: when its lease runs out, which is at most
//! [`Duty::lease`] later, another one takes over. Leases are by the controllers' clocks, as those of tasks are.
//!
//! A duty has to be safe at any time and from several controllers at once all the same: whoever was only slow may still
//! be at it when the next one begins.

use std::time::Duration;

use tokio::sync::watch;
use updraft_model::id::new_uuid;
use updraft_store::duty;

use crate::{Core, Error, Result};

/// The longest pause between two looks, so that a moved clock or a row that somebody changed is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The shortest, so that controllers whose clocks differ do not spin.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// The pause after a failure, or while this controller cannot do the work.
const RETRY: Duration = Duration::from_secs(1);
/// How long a turn may take to be taken over when nothing else is said.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
const PURGE_PERIOD: Duration = Duration::from_secs(600);

/// What is done, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Duty {
    pub name: &'static str,
    /// From the end of one turn to the next.
    pub period: Duration,
    /// For how long a controller that is silent still has it.
    pub lease: Duration,
    /// Whether this controller can do it now; if not, it leaves it to others.
    pub is_ready: fn(&Core) -> bool,
}

impl Duty {
    pub fn new(name: &'static str, period: Duration) -> Self {
        Self { name, period, lease: LEASE, is_ready: |_| true }
    }

    /// What forgets old rows.
    pub fn purge(name: &'static str) -> Self {
        Self::new(name, PURGE_PERIOD)
    }
}

/// Does the duty whenever it is this controller's turn, until `shutdown` turns true. A turn that ends with an error is
/// logged, and soon followed by another.
pub(crate) async fn run<F>(
    core: Core,
    duty: Duty,
    mut shutdown: watch::Receiver<bool>,
    work: impl Fn(Core) -> F,
) where
    F: Future<Output = Result<()>>,
{
    let owner = new_uuid();
    loop {
        let pause = match turn(&core, &duty, &owner, &work).await {
            Ok(pause) => pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE),
            Err(error) => {
                tracing::warn!(duty = duty.name, %error, source = ?error.source, "a turn failed");
                RETRY
            }
        };
        if tokio::time::timeout(pause, shutdown.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

/// One look, and the work if it is due and nobody is at it; how long there is nothing to do.
async fn turn<F>(core: &Core, duty: &Duty, owner: &str, work: &impl Fn(Core) -> F) -> Result<Duration>
where
    F: Future<Output = Result<()>>,
{
    if !(duty.is_ready)(core) {
        return Ok(RETRY);
    }
    if let Some(pause) = not_yet(core, duty).await? {
        return Ok(pause);
    }
    let (now, name) = (core.clock.now(), duty.name);
    let (leased_by, until) = (owner.to_owned(), now.plus(duty.lease));
    let leased = core
        .write(move |tx| Box::pin(async move { Ok(duty::lease(tx, name, &leased_by, now, until).await?) }));
    if !leased.await? {
        return Ok(SHORTEST_PAUSE);
    }
    let done = tokio::select! {
        done = work(core.clone()) => done,
        () = renew(core, duty, owner) => {
            let message = "the lease ran out before the work was done";
            return Err(Error::conflict("DutyLost", message));
        }
    };
    let pause = if done.is_ok() { duty.period } else { duty.period.min(RETRY) };
    let (run_at, holder) = (core.clock.now().plus(pause), owner.to_owned());
    let given_back =
        core.write(move |tx| Box::pin(async move { Ok(duty::give_back(tx, name, &holder, run_at).await?) }));
    given_back.await?;
    done.map(|()| pause)
}

/// How long it is not due, or somebody is at it. `None`: now.
async fn not_yet(core: &Core, duty: &Duty) -> Result<Option<Duration>> {
    let name = duty.name;
    let Some(row) = duty::get(&mut core.read().await?, name).await? else {
        core.write(move |tx| Box::pin(async move { Ok(duty::ensure(tx, name).await?) })).await?;
        return Ok(None);
    };
    let wait_us = row.run_at.max(row.lease_until).0 - core.clock.now().0;
    Ok(u64::try_from(wait_us).ok().filter(|wait_us| *wait_us > 0).map(Duration::from_micros))
}

/// Returns when the lease is lost.
async fn renew(core: &Core, duty: &Duty, owner: &str) {
    loop {
        tokio::time::sleep(duty.lease / 3).await;
        let (name, owner) = (duty.name, owner.to_owned());
        let until = core.clock.now().plus(duty.lease);
        let renewed =
            core.write(move |tx| Box::pin(async move { Ok(duty::renew(tx, name, &owner, until).await?) }));
        if matches!(renewed.await, Ok(false)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::{Duty, LEASE, turn};
    use crate::tests::TestCore;
    use crate::{Core, Error};

    const DUTY: Duty =
        Duty { name: "test", period: Duration::from_secs(600), lease: LEASE, is_ready: |_| true };

    /// A controller that is killed while it is at it: its future is gone, its lease is not.
    async fn die_at_work(core: &Core, owner: &str) {
        let hanging = turn(core, &DUTY, owner, &|_| std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(300), hanging).await.is_err());
    }

    #[tokio::test]
    async fn a_turn_is_one_controllers_and_the_next_one_comes_in_time() {
        let cloud = TestCore::start().await;
        let (one, other) = (cloud.core().await, cloud.core().await);
        let done = Arc::new(AtomicUsize::new(0));
        let work = |_| {
            let done = Arc::clone(&done);
            async move {
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        };
        let (first, second) =
            tokio::join!(turn(&one, &DUTY, "one", &work), turn(&other, &DUTY, "other", &work));
        assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
        assert_eq!(done.load(Ordering::SeqCst), 1, "two asked at once");
        turn(&one, &DUTY, "one", &work).await.unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 1, "it is not due yet");
        for core in [&one, &other] {
            core.clock.advance(DUTY.period + Duration::from_secs(1));
        }
        turn(&other, &DUTY, "other", &work).await.unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn who_dies_at_work_is_followed_when_the_lease_runs_out() {
        let cloud = TestCore::start().await;
        let (dead, heir) = (cloud.core().await, cloud.core().await);
        die_at_work(&dead, "dead").await;
        let fails = |_| async { Err(Error::internal("it ran before the lease was over")) };
        let pause = turn(&heir, &DUTY, "heir", &fails).await.unwrap();
        assert!(pause <= LEASE, "{pause:?}");
        heir.clock.advance(LEASE + Duration::from_secs(1));
        turn(&heir, &DUTY, "heir", &|_| async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn a_turn_that_fails_is_taken_again_soon() {
        let cloud = TestCore::start().await;
        let core = cloud.core().await;
        let failed = turn(&core, &DUTY, "one", &|_| async { Err(Error::internal("no")) }).await;
        assert!(failed.is_err());
        core.clock.advance(Duration::from_secs(2));
        assert_eq!(turn(&core, &DUTY, "one", &|_| async { Ok(()) }).await.unwrap(), DUTY.period);
    }
}
