//! Clients that hang up in the middle of their requests, against a real controller on a real server.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, patiently};
use crate::cloud::{Cloud, Database};
use crate::dice::Dice;

/// Requests under way at the same time; the controller's writers are 16.
const AT_ONCE: usize = 24;
/// How many requests are timed before.
const REHEARSALS: usize = 8;

/// So many requests are cut; then no connection of the controller is inside a transaction, and each project that a cut
/// request was to make is there with its audit event, or is not there.
pub async fn run(requests: usize, seed: usize) {
    let cloud = Cloud::start(Database::MariaDb).await;
    let admin = Client::new(&cloud.url).as_admin().await;
    // Up to longer than it takes when as many are under way, so that they are cut everywhere: before, within and after
    // their transactions.
    let began = Instant::now();
    for number in 0..REHEARSALS {
        let body = json!({"project": {"name": format!("rehearsal-{number}")}});
        admin.ensure(Method::POST, "/v3/projects", body).await;
    }
    let longest_us = usize::try_from(began.elapsed().as_micros()).unwrap() / REHEARSALS * AT_ONCE;
    let mut dice = Dice::new(seed as u64);
    let (mut under_way, mut answered) = (tokio::task::JoinSet::new(), 0);
    for number in 0..requests {
        let (client, limit) = (admin.clone(), Duration::from_micros(dice.below(longest_us) as u64));
        let is_write = number % 3 < 2;
        under_way.spawn(async move {
            let (method, body) = match is_write {
                true => (Method::POST, json!({"project": {"name": format!("cut-{number}")}})),
                false => (Method::GET, Value::Null),
            };
            // A future that is dropped closes its connection.
            let answered = tokio::time::timeout(limit, client.once(method, "/v3/projects", &body)).await;
            usize::from(answered.is_ok())
        });
        if under_way.len() >= AT_ONCE {
            answered += under_way.join_next().await.unwrap().unwrap();
        }
    }
    answered += under_way.join_all().await.into_iter().sum::<usize>();
    let server = cloud.processes.database().unwrap();
    patiently("transactions to end", || async {
        let open = server.execute("SELECT COUNT(*) FROM information_schema.INNODB_TRX");
        (open == "0\n").then_some(())
    })
    .await;
    let projects = admin.get("/v3/projects").await.body["projects"].as_array().unwrap().clone();
    let cut: Vec<&Value> =
        projects.iter().filter(|one| one["name"].as_str().unwrap().starts_with("cut-")).collect();
    println!("{requests} requests, {answered} of them answered; {} projects were made", cut.len());
    assert!(!cut.is_empty() && cut.len() < requests, "they are cut everywhere");
    for project in cut.iter().step_by(7) {
        let id = project["id"].as_str().unwrap();
        let events = admin.get(&format!("/host/v1/audit?subject={id}")).await.body["events"].clone();
        assert_eq!(events.as_array().unwrap().len(), 1, "{project}: {events}");
    }
    admin.audit().await;
    // Every writer still works.
    for number in 0..32 {
        let body = json!({"project": {"name": format!("whole-{number}")}});
        admin.ensure(Method::POST, "/v3/projects", body).await;
    }
}
