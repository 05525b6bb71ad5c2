//! Waiting for events, with limits generous enough for emulated guests on a busy machine.

use std::time::{Duration, Instant};

/// For whatever involves an emulated guest.
pub const GUEST: Duration = Duration::from_secs(420);
/// For the cloud's own processes.
pub const PROCESS: Duration = Duration::from_secs(90);

/// Repeats `probe` until it gives a value.
///
/// # Panics
/// After `limit`, naming `what`.
pub fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
