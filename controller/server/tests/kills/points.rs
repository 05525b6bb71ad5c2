//! When the victim dies.

use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use updraft_peers::Side;

use crate::client::PATIENCE;
use crate::cloud::{Cloud, Database, PIECES, Processes, Victim};
use crate::dice::Dice;

/// Where in the course of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// So long after the work began.
    Time(Duration),
    /// So long after the client has sent its request of this number.
    Request(usize, Duration),
    /// After this piece of a download.
    Download(usize),
    /// At this change of the folder of images, or of SQLite's log: a file is made, written, closed or removed.
    Disk(usize),
    /// At this commit on its way to the database server.
    Commit(usize, Side),
}

/// How often something happens in a trial at least: the next one draws its point below it.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    pub requests: usize,
    pub disk: usize,
    pub commits: usize,
    pub lasted: Duration,
}

impl Default for Course {
    fn default() -> Self {
        Self { requests: 8, disk: 15, commits: 10, lasted: Duration::from_millis(500) }
    }
}

impl Course {
    /// What both have at least.
    pub fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests.min(other.requests),
            disk: self.disk.min(other.disk),
            commits: self.commits.min(other.commits),
            lasted: self.lasted.min(other.lasted),
        }
    }
}

impl Point {
    pub fn draw(dice: &mut Dice, kind: Database, course: &Course) -> Self {
        let some = dice.below(30) as u64;
        match (dice.below(5), kind) {
            (0, _) => Self::Time(course.lasted.mul_f64(dice.below(1000) as f64 / 1000.0)),
            (1, _) => Self::Request(dice.below(course.requests), Duration::from_millis(some)),
            (2, Database::Sqlite) | (3, _) => Self::Disk(dice.below(course.disk)),
            (2, _) => Self::Download(dice.below(PIECES)),
            (_, Database::MariaDb) => {
                Self::Commit(dice.below(course.commits), dice.pick(&[Side::Before, Side::After]))
            }
            (_, Database::Sqlite) => Self::Disk(dice.below(course.disk)),
        }
    }
}

/// Counts what happens in folders, for as long as it lives.
pub struct DiskWatch {
    changes: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl DiskWatch {
    pub fn start(folders: &[PathBuf]) -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let flags = WatchFlags::CREATE | WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE | WatchFlags::DELETE;
        for folder in folders {
            inotify::add_watch(&inotify, folder, flags).unwrap();
        }
        let (changes, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, stopped) = (Arc::clone(&changes), Arc::clone(&stop));
        thread::spawn(move || {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = Reader::new(inotify, &mut buffer);
            while !stopped.load(Ordering::Relaxed) {
                match reader.next() {
                    Ok(_) => _ = seen.fetch_add(1, Ordering::Relaxed),
                    Err(_) => thread::sleep(LOOK_EVERY),
                }
            }
        });
        Self { changes, stop }
    }
}

impl Drop for DiskWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// How often a counter is looked at: shorter than most of what happens.
const LOOK_EVERY: Duration = Duration::from_micros(100);

/// What a killer works with.
struct Order {
    processes: Arc<Processes>,
    victim: Victim,
    /// How long the victim stays dead.
    pause: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Armed,
    Dead,
    Back,
}

/// Kills the victim once, and starts it again after a pause.
pub struct Killer {
    order: Arc<Order>,
    cancelled: Arc<AtomicBool>,
}

impl Killer {
    pub fn arm(cloud: &Cloud, watched: &Watched, victim: Victim, point: Point, pause: Duration) -> Self {
        let order = Arc::new(Order {
            processes: Arc::clone(&cloud.processes),
            victim,
            pause,
            state: Mutex::new(State::Armed),
            changed: Condvar::new(),
        });
        let cancelled = Arc::new(AtomicBool::new(false));
        if let (Point::Commit(number, side), Some(proxy)) = (point, &cloud.proxy) {
            let order = Arc::clone(&order);
            // Connections wait while the victim dies, not while it is dead.
            proxy.at(number, side, Box::new(move || order.kill()));
        } else {
            let (order, cancelled) = (Arc::clone(&order), Arc::clone(&cancelled));
            let is_reached = watched.condition(point);
            thread::spawn(move || {
                while !is_reached() {
                    if cancelled.load(Ordering::Relaxed) {
                        return;
                    }
                    thread::sleep(LOOK_EVERY);
                }
                order.kill();
            });
        }
        let reviver = Arc::clone(&order);
        thread::spawn(move || reviver.revive());
        Self { order, cancelled }
    }

    /// Whether the victim died before now; if not, it does now. Returns when it is back.
    pub fn finish(&self, cloud: &Cloud) -> bool {
        let was_in_time = *self.order.state.lock().unwrap() != State::Armed;
        self.cancelled.store(true, Ordering::Relaxed);
        if let Some(proxy) = &cloud.proxy {
            proxy.disarm();
        }
        self.order.kill();
        let mut state = self.order.state.lock().unwrap();
        while *state != State::Back {
            let waited;
            (state, waited) = self.order.changed.wait_timeout(state, PATIENCE).unwrap();
            assert!(!waited.timed_out(), "the victim does not come back");
        }
        was_in_time
    }
}

impl Order {
    /// Once.
    fn kill(&self) {
        let mut state = self.state.lock().unwrap();
        if *state == State::Armed {
            self.processes.kill(self.victim);
            *state = State::Dead;
            self.changed.notify_all();
        }
    }

    fn revive(&self) {
        let mut state = self.state.lock().unwrap();
        while *state == State::Armed {
            state = self.changed.wait(state).unwrap();
        }
        drop(state);
        thread::sleep(self.pause);
        self.processes.start(self.victim);
        *self.state.lock().unwrap() = State::Back;
        self.changed.notify_all();
    }
}

/// What is counted during a trial.
pub struct Watched {
    requests: Arc<AtomicUsize>,
    pieces: Arc<AtomicUsize>,
    disk: DiskWatch,
    began: Instant,
    /// The counters when the trial began.
    first: (usize, usize),
}

impl Watched {
    pub fn begin(cloud: &Cloud, requests: &Arc<AtomicUsize>) -> Self {
        if let Some(proxy) = &cloud.proxy {
            proxy.watch(b"COMMIT");
        }
        let (requests, pieces) = (Arc::clone(requests), Arc::clone(&cloud.web.pieces));
        let first = (requests.load(Ordering::Relaxed), pieces.load(Ordering::Relaxed));
        let disk = DiskWatch::start(&cloud.folders());
        Self { requests, pieces, disk, began: Instant::now(), first }
    }

    /// How the trial went so far.
    pub fn course(&self, cloud: &Cloud) -> Course {
        Course {
            requests: self.requests.load(Ordering::Relaxed) - self.first.0,
            disk: self.disk.changes.load(Ordering::Relaxed),
            commits: cloud.proxy.as_ref().map_or(0, updraft_peers::Proxy::passed),
            lasted: self.began.elapsed(),
        }
    }

    fn condition(&self, point: Point) -> Box<dyn Fn() -> bool + Send> {
        let over = |counter: &Arc<AtomicUsize>, limit: usize, after: Duration| {
            let (counter, since) = (Arc::clone(counter), Mutex::new(None));
            Box::new(move || {
                counter.load(Ordering::Relaxed) > limit
                    && since.lock().unwrap().get_or_insert_with(Instant::now).elapsed() >= after
            })
        };
        match point {
            Point::Time(after) => {
                let due = self.began + after;
                Box::new(move || Instant::now() >= due)
            }
            Point::Request(number, after) => over(&self.requests, self.first.0 + number, after),
            Point::Download(piece) => over(&self.pieces, self.first.1 + piece, Duration::ZERO),
            Point::Disk(number) => over(&self.disk.changes, number, Duration::ZERO),
            // At a commit only where there is a proxy; elsewhere never drawn.
            Point::Commit(..) => Box::new(|| true),
        }
    }
}
