//! The threads that hash.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::argon2id::Memory;

/// Hashes computed at the same time, at most. Each takes [`super::argon2id::MEMORY_KIB`], so this bounds the memory of a
/// login flood.
const MAX_AT_ONCE: usize = 4;
/// How far the threads stand back behind the others (`nice(2)`).
const NICENESS: i32 = 15;
/// The most that there is.
const MAX_NICENESS: i32 = 19;
/// How long a thread without work keeps its memory.
const KEEP: Duration = Duration::from_secs(1);

pub(super) type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// Ends its threads when it is dropped.
#[derive(Debug)]
pub(super) struct Pool {
    queue: Arc<Queue>,
    threads: usize,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    is_over: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Pool {
    pub fn start() -> Self {
        let queue = Arc::<Queue>::default();
        let threads = at_once();
        for number in 0..threads {
            let queue = Arc::clone(&queue);
            let started = thread::Builder::new().name(format!("password-{number}")).spawn(move || {
                stand_back();
                queue.work();
            });
            if let Err(error) = started {
                tracing::error!(%error, "a thread for passwords was not started");
            }
        }
        Self { queue, threads }
    }

    /// How many jobs run at the same time.
    pub fn threads(&self) -> usize {
        self.threads
    }

    pub fn add(&self, job: Job) {
        self.queue.state().jobs.push_back(job);
        self.queue.changed.notify_one();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.state().is_over = true;
        self.queue.changed.notify_all();
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut memory = Memory::default();
        while let Some(job) = self.next(&mut memory) {
            job(&mut memory);
        }
    }

    /// The next job; `None` when there will be none. Waiting for long empties the memory.
    fn next(&self, memory: &mut Memory) -> Option<Job> {
        let mut state = self.state();
        loop {
            if state.is_over {
                return None;
            }
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if memory.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waited = self.changed.wait_timeout(state, KEEP).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
            if waited.1.timed_out() && state.jobs.is_empty() {
                *memory = Memory::default();
            }
        }
    }
}

/// As many as leave one processor to requests that carry a token: hashes fill a processor's caches as well.
fn at_once() -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    processors.saturating_sub(1).clamp(1, MAX_AT_ONCE)
}

/// Of the calling thread alone: Linux keeps the value per thread. Where it fails logins are only less polite.
fn stand_back() {
    let now = rustix::process::getpriority_process(None).unwrap_or_default();
    let _ = rustix::process::setpriority_process(None, (now + NICENESS).min(MAX_NICENESS));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::Pool;
    use crate::password::argon2id;

    #[test]
    fn memory_is_kept_from_hash_to_hash_and_given_back_after_the_last() {
        const HASHES: usize = 8;
        let pool = Pool::start();
        let (sender, receiver) = mpsc::channel();
        let is_empty_before = |hashes: bool| {
            let sender = sender.clone();
            pool.add(Box::new(move |memory| {
                let was_empty = memory.is_empty();
                if hashes {
                    argon2id::hash("secret", memory).unwrap();
                }
                sender.send(was_empty).unwrap();
            }));
        };
        (0..HASHES).for_each(|_| is_empty_before(true));
        let fresh = (0..HASHES).filter(|_| receiver.recv().unwrap()).count();
        assert!((1..HASHES).contains(&fresh), "{fresh} of {HASHES} took memory anew");
        // A busy machine may wake a thread late.
        let is_given_back = (0..60).any(|_| {
            std::thread::sleep(super::KEEP + Duration::from_millis(100));
            (0..pool.threads()).for_each(|_| is_empty_before(false));
            (0..pool.threads()).all(|_| receiver.recv().unwrap())
        });
        assert!(is_given_back);
    }
}
