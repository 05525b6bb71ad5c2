//! `kill -9` of the controller and of the database at every moment of an image's import and of a project's end: what was
//! acknowledged is so, once, and nothing is left over.
//!
//! A trial is a piece of work by a client that sends again what was not answered, a victim, and a point in the course of
//! events at which it dies: a commit on its way to the database, a change on the disk, a request, a piece of a download,
//! a time. The victim starts again, and what there is then is compared with what the client knows; `updraft doctor` and
//! the audit trail are asked, too. `UPDRAFT_KILL_TRIALS` is how many for each database (`make soak`: 1,000 in all),
//! `UPDRAFT_SEED` the course of events, which is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod client;
mod cloud;
mod dice;
mod hangups;
mod import;
mod points;
mod project;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use client::{Client, patiently};
use cloud::{Cloud, Database, Victim};
use dice::Dice;
use import::Source;
use points::{Course, Killer, Point, Watched};
use project::{Base, Order};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    Import(Source),
    Project(Order),
}

/// Taken in turns.
const WORKS: [Work; 4] = [
    Work::Import(Source::Staged),
    Work::Import(Source::Web),
    Work::Project(Order::ContentsFirst),
    Work::Project(Order::ProjectFirst),
];

/// What became of the trials of one kind.
#[derive(Debug, Default)]
struct Tally {
    trials: usize,
    /// The point was reached while the work went on; the others died at its end.
    on_the_way: usize,
    /// From the victim's return, or the work's end if that was later, until all was well.
    settled: Vec<Duration>,
}

struct Bench {
    kind: Database,
    cloud: Cloud,
    admin: Client,
    base: Base,
    dice: Dice,
    courses: BTreeMap<Work, Course>,
    tallies: BTreeMap<(Victim, Work), Tally>,
}

impl Bench {
    async fn start(kind: Database, seed: usize) -> Self {
        let cloud = Cloud::start(kind).await;
        let admin = Client::new(&cloud.url).as_admin().await;
        let base = Base::make(&admin).await;
        let dice = Dice::new(seed as u64);
        Self { kind, cloud, admin, base, dice, courses: BTreeMap::new(), tallies: BTreeMap::new() }
    }

    async fn trial(&mut self, number: usize) {
        let victims = self.cloud.processes.victims();
        let (victim, work) = (victims[number % victims.len()], WORKS[number / victims.len() % WORKS.len()]);
        let known = self.courses.get(&work).copied();
        let course = known.unwrap_or_default();
        let point = Point::draw(&mut self.dice, self.kind, &course);
        let pause = Duration::from_millis(self.dice.below(700) as u64);
        eprintln!("{:?} trial {number}: {victim:?} dies in {work:?} at {point:?} for {pause:?}", self.kind);
        let name = format!("trial-{number}");
        let watched = Watched::begin(&self.cloud, &self.admin.sent);
        let killer = Killer::arm(&self.cloud, &watched, victim, point, pause);
        match work {
            Work::Import(source) => import::run(&self.cloud, &self.admin, source, &name).await,
            Work::Project(order) => {
                project::run(&self.cloud, &self.admin, &self.base, order, &name).await;
            }
        }
        let course = watched.course(&self.cloud);
        let on_the_way = tokio::task::block_in_place(|| killer.finish(&self.cloud));
        let back = Instant::now();
        self.all_is_well().await;
        let tally = self.tallies.entry((victim, work)).or_default();
        tally.trials += 1;
        tally.on_the_way += usize::from(on_the_way);
        tally.settled.push(back.elapsed());
        self.courses.insert(work, known.map_or(course, |known| known.and(course)));
    }

    async fn all_is_well(&self) {
        patiently("the doctor to be silent", || async {
            let findings = self.admin.get("/host/v1/doctor").await.body;
            if findings != json!([]) {
                eprintln!("the doctor finds {findings}");
            }
            (findings == json!([])).then_some(())
        })
        .await;
        self.admin.audit().await;
        let open = self.admin.get("/host/v1/status").await.body;
        assert_eq!((&open["tasks"], &open["servers"]), (&json!([]), &json!([])));
    }
}

fn setting(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number")))
}

async fn trials(kind: Database, sample: usize) {
    let trials = setting("UPDRAFT_KILL_TRIALS").unwrap_or(sample);
    let seed = setting("UPDRAFT_SEED").unwrap_or(0x5eed);
    eprintln!("{kind:?}: {trials} trials, UPDRAFT_SEED={seed}");
    let mut bench = Bench::start(kind, seed).await;
    let processes = std::sync::Arc::clone(&bench.cloud.processes);
    for number in 0..trials {
        let trial = std::panic::AssertUnwindSafe(bench.trial(number));
        if let Err(panic) = futures_util::FutureExt::catch_unwind(trial).await {
            eprintln!("trial {number} of UPDRAFT_SEED={seed} failed; the controller's log ends:");
            eprintln!("{}", processes.log_tail());
            std::panic::resume_unwind(panic);
        }
    }
    for ((victim, work), mut tally) in bench.tallies {
        tally.settled.sort();
        println!(
            "{kind:?}: {victim:?} killed in {work:?}: {} trials, {} on the way, all well after {:?} at the median and \
             {:?} at most",
            tally.trials,
            tally.on_the_way,
            tally.settled[tally.settled.len() / 2],
            tally.settled.last().unwrap()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_or_doubles_anything_on_sqlite() {
    trials(Database::Sqlite, 8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_or_doubles_anything_on_mariadb() {
    trials(Database::MariaDb, 16).await;
}

/// `UPDRAFT_ABORTS=10000` for the full count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_leave_no_transaction_open() {
    let seed = setting("UPDRAFT_SEED").unwrap_or(0x5eed);
    hangups::run(setting("UPDRAFT_ABORTS").unwrap_or(1500), seed).await;
}
