//! Request rates: a bucket per address, user and project, and one per address for logins.
//!
//! The buckets lie in a table of fixed size: whoever comes from ever new addresses only pushes out the buckets of
//! others, which then start full again. Each controller counts for itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use updraft_core::RateLimits;

/// Buckets at once; the oldest goes when another is needed.
const MAX_BUCKETS: usize = 1 << 16;

/// Whose requests a bucket counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    Address(IpAddr),
    Login(IpAddr),
    User(String),
    Project(String),
}

/// The buckets of this process.
#[derive(Debug)]
pub struct Limiter {
    limits: RateLimits,
    buckets: Mutex<HashMap<Counted, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl Limiter {
    pub fn new(limits: RateLimits) -> Self {
        Self { limits, buckets: Mutex::default() }
    }

    /// Counts one request; when there were too many, how long to wait for the next.
    pub fn take(&self, counted: Counted) -> Result<(), Duration> {
        self.take_at(counted, Instant::now())
    }

    fn take_at(&self, counted: Counted, now: Instant) -> Result<(), Duration> {
        let per_minute = match counted {
            Counted::Address(_) => self.limits.requests_per_address,
            Counted::Login(_) => self.limits.logins_per_address,
            Counted::User(_) => self.limits.requests_per_user,
            Counted::Project(_) => self.limits.requests_per_project,
        };
        let Some(per_minute) = per_minute else { return Ok(()) };
        let (size, per_second) = (f64::from(per_minute), f64::from(per_minute) / 60.0);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&counted) {
            make_room(&mut buckets);
        }
        let bucket = buckets.entry(counted).or_insert(Bucket { tokens: size, filled_at: now });
        let since = now.saturating_duration_since(bucket.filled_at).as_secs_f64();
        bucket.tokens = (bucket.tokens + since * per_second).min(size);
        bucket.filled_at = now;
        if bucket.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.tokens) / per_second));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

/// Half of the buckets go, those that were not asked for the longest.
fn make_room(buckets: &mut HashMap<Counted, Bucket>) {
    let mut ages: Vec<Instant> = buckets.values().map(|bucket| bucket.filled_at).collect();
    let middle = ages.len() / 2;
    let (_, median, _) = ages.select_nth_unstable(middle);
    let median = *median;
    buckets.retain(|_, bucket| bucket.filled_at > median);
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    use super::{Counted, Limiter, MAX_BUCKETS, RateLimits};

    fn address(number: u32) -> Counted {
        Counted::Address(IpAddr::V4(Ipv4Addr::from(number)))
    }

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let limiter = Limiter::new(RateLimits { requests_per_address: Some(60), ..RateLimits::default() });
        let start = Instant::now();
        for _ in 0..60 {
            assert!(limiter.take_at(address(1), start).is_ok());
        }
        let wait = limiter.take_at(address(1), start).unwrap_err();
        assert!(wait <= Duration::from_secs(1) && !wait.is_zero());
        assert!(limiter.take_at(address(2), start).is_ok(), "another address has a bucket of its own");
        assert!(limiter.take_at(Counted::User("u".into()), start).is_ok(), "no limit, no bucket");
        assert!(limiter.take_at(address(1), start + wait).is_ok());
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_memory() {
        let limiter = Limiter::new(RateLimits { requests_per_address: Some(1), ..RateLimits::default() });
        let start = Instant::now();
        for number in 0..400_000 {
            let _ = limiter.take_at(address(number), start + Duration::from_micros(number.into()));
        }
        assert!(limiter.buckets.lock().unwrap().len() <= MAX_BUCKETS);
    }
}
