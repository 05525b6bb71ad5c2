//! Logins by password: bounded by the hash, and felt by nobody else.

use std::thread;
use std::time::{Duration, Instant};

use updraft_core::{HashMemory, PasswordHashing};

use super::identity::{ROUNDS, RUN, loaded};
use crate::backend::{Core, pin};
use crate::http::{self, Client, Request};
use crate::measure::{Failure, Run, cpu_time, own_cpu_time};
use crate::report::{Figure, Participant, Report};
use crate::servers::{ApiServer, BCRYPT_COST, Caching, Database, PASSWORD};
use crate::target::Target;

/// Logins under way; enough that one always waits for the hash.
const CONNECTIONS: usize = 4;
/// Logins that queue while others' requests are measured.
const QUEUED: usize = 64;
/// Between two requests of somebody who does not log in.
const PACE: Duration = Duration::from_millis(10);

/// Logins with the hash that Keystone uses, beside Keystone and the hash in a loop.
pub fn bcrypt(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    let settings = format!("password_hash = 'bcrypt'\nbcrypt_cost = {BCRYPT_COST}");
    let ours = ApiServer::ours(Database::MariaDb, &settings)?;
    let peer = ApiServer::keystone(Caching::OneRequest)?;
    let names = ["ours, bcrypt", "Keystone, bcrypt, one worker", "bcrypt alone"];
    by_password(name, target, [&ours, &peer], PasswordHashing::Bcrypt { cost: BCRYPT_COST }, names)
}

/// The same with our own hash; the peer hashes with its own.
pub fn argon2id(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    let (ours, peer) = (ApiServer::ours(Database::MariaDb, "")?, ApiServer::keystone(Caching::OneRequest)?);
    let names = ["ours, argon2id", "Keystone, bcrypt, one worker", "argon2id alone"];
    by_password(name, target, [&ours, &peer], PasswordHashing::Argon2id, names)
}

fn by_password(
    name: &'static str,
    target: Target,
    servers: [&ApiServer; 2],
    hashing: PasswordHashing,
    names: [&str; 3],
) -> Result<Report<'static>, Failure> {
    let mut participants = names.map(Participant::new);
    for _ in 0..ROUNDS {
        for (server, participant) in servers.into_iter().zip(&mut participants) {
            participant.runs.push(loaded(server, &server.login_request(), CONNECTIONS)?);
        }
        participants[2].runs.push(hash_alone(hashing)?);
    }
    let [ours, peer, limit] = participants;
    let work = format!(
        "POST /v3/auth/tokens by password, scoped to a project, {CONNECTIONS} connections, everybody on one core."
    );
    let limit = Some(limit);
    Ok(Report { name, work, figure: Figure::Rate, ours, peer, second_peer: None, limit, target })
}

/// The hash over and over on the servers' core.
fn hash_alone(hashing: PasswordHashing) -> Result<Run, Failure> {
    pin(Core::Backend)?;
    let run = hash_here(hashing);
    pin(Core::Frontend)?;
    run
}

fn hash_here(hashing: PasswordHashing) -> Result<Run, Failure> {
    let (start, before) = (Instant::now(), own_cpu_time()?);
    let (mut latencies, mut memory) = (Vec::new(), HashMemory::default());
    while start.elapsed() < RUN {
        let began = Instant::now();
        hashing.hash(PASSWORD, &mut memory).map_err(|error| Failure::new(error.to_string()))?;
        latencies.push(u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
    let cpu = own_cpu_time()?.saturating_sub(before);
    Ok(Run::new(latencies.len() as u64, start.elapsed(), &mut latencies, cpu))
}

/// What others feel of a flood of logins: validation, alone and while 64 passwords are being hashed or wait for it.
pub fn queued(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    let server = ApiServer::ours(Database::Sqlite, "")?;
    let token = server.login()?;
    let headers = [("X-Auth-Token", token.as_str()), ("X-Subject-Token", token.as_str())];
    let request = Request::new("GET", "/v3/auth/tokens", &headers, "", 200);
    let login = server.login_request();
    let (mut ours, mut peer) =
        (Participant::new("while 64 logins queue"), Participant::new("without logins"));
    for _ in 0..ROUNDS {
        peer.runs.push(paced(&server, &request)?);
        let during = thread::scope(|scope| {
            let flood = scope.spawn(|| http::load(server.address, &login, QUEUED, RUN + RUN));
            thread::sleep(Duration::from_millis(500));
            let run = paced(&server, &request);
            flood.join().map_err(|_| Failure::new("the flood panicked"))??;
            run
        });
        ours.runs.push(during?);
    }
    let work = "GET /v3/auth/tokens 100 times a second on one connection, with and without 64 logins by password in \
                the queue; p99 of the answers; the server on one core."
        .to_owned();
    Ok(Report { name, work, figure: Figure::Tail, ours, peer, second_peer: None, limit: None, target })
}

/// One request every ten milliseconds: latency under a load that is somebody else's.
fn paced(server: &ApiServer, request: &Request) -> Result<Run, Failure> {
    let before = cpu_time(server.pid())?;
    let mut client = Client::new(server.address);
    let start = Instant::now();
    let mut latencies = Vec::new();
    while start.elapsed() < RUN {
        let sent = Instant::now();
        client.send(request)?;
        latencies.push(u32::try_from(sent.elapsed().as_nanos()).unwrap_or(u32::MAX));
        thread::sleep(PACE);
    }
    let cpu = cpu_time(server.pid())?.saturating_sub(before);
    Ok(Run::new(latencies.len() as u64, start.elapsed(), &mut latencies, cpu))
}
