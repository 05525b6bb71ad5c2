//! Tokens shown and exchanged: beside Keystone over HTTP, and inside a process.

use std::time::Duration;

use crate::http::{self, Client, Request};
use crate::local_cloud;
use crate::measure::{Failure, Run, cpu_time};
use crate::report::{Figure, Participant, Report};
use crate::servers::{ApiServer, Caching, Database};
use crate::target::Target;

/// Of one run of one participant.
pub(super) const RUN: Duration = Duration::from_secs(3);
pub(super) const ROUNDS: usize = 5;
/// Before the first run, so that caches are as warm as they get.
const WARM_UP: Duration = Duration::from_secs(1);
/// Requests under way at the same time; enough to keep the server's core busy.
const CONNECTIONS: usize = 8;

/// `GET /v3/auth/tokens`, as every service that does not verify tokens itself asks.
pub fn validate(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    validate_at(name, target, "/v3/auth/tokens")
}

/// The same without the catalog in the answer.
pub fn validate_nocatalog(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    validate_at(name, target, "/v3/auth/tokens?nocatalog")
}

fn validate_at(name: &'static str, target: Target, path: &str) -> Result<Report<'static>, Failure> {
    let work = format!(
        "GET {path} over HTTP: one token shows another, {CONNECTIONS} connections, servers on one core each."
    );
    beside_keystone(name, target, work, |server| {
        let (own, subject) = (server.login()?, server.login()?);
        let headers = [("X-Auth-Token", own.as_str()), ("X-Subject-Token", subject.as_str())];
        Ok(Request::new("GET", path, &headers, "", 200))
    })
}

/// `POST /v3/auth/tokens` by token: a project token for one that is there.
pub fn issue(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    let work = format!(
        "POST /v3/auth/tokens by token, scoped to a project, {CONNECTIONS} connections, servers on one core each."
    );
    beside_keystone(name, target, work, |server| {
        let token = server.login()?;
        let body = format!(
            r#"{{"auth":{{"identity":{{"methods":["token"],"token":{{"id":"{token}"}}}},"scope":{{"project":{{"name":"admin","domain":{{"id":"default"}}}}}}}}}}"#
        );
        Ok(Request::new("POST", "/v3/auth/tokens", &[], &body, 201))
    })
}

fn beside_keystone(
    name: &'static str,
    target: Target,
    work: String,
    request: impl Fn(&ApiServer) -> Result<Request, Failure>,
) -> Result<Report<'static>, Failure> {
    let ours = ApiServer::ours(Database::MariaDb, "")?;
    let servers = [ApiServer::keystone(Caching::OneRequest)?, ApiServer::keystone(Caching::InMemory)?];
    for keystone in &servers {
        keystone.take_catalog_of(&ours)?;
    }
    let [keystone, caching] = servers;
    let servers = [ours, keystone, caching];
    let names = ["ours", "Keystone, one worker", "Keystone, one worker, caching in memory"];
    let mut participants = names.map(Participant::new);
    let (mut requests, mut sizes) = (Vec::new(), Vec::new());
    for server in &servers {
        let request = request(server)?;
        sizes.push(endpoints(server, &request)?);
        http::load(server.address, &request, CONNECTIONS, WARM_UP)?;
        requests.push(request);
    }
    if sizes.iter().any(|size| *size != sizes[0]) {
        return Err(Failure::new(format!("catalogs of {sizes:?} endpoints: the answers are not alike")));
    }
    for _ in 0..ROUNDS {
        for ((server, request), participant) in servers.iter().zip(&requests).zip(&mut participants) {
            participant.runs.push(loaded(server, request, CONNECTIONS)?);
        }
    }
    let [ours, peer, second_peer] = participants;
    let (work, second_peer) = (format!("{work} {} endpoints in the answer.", sizes[0]), Some(second_peer));
    Ok(Report { name, work, figure: Figure::Rate, ours, peer, second_peer, limit: None, target })
}

/// How many endpoints the answer lists.
fn endpoints(server: &ApiServer, request: &Request) -> Result<usize, Failure> {
    let mut client = Client::new(server.address);
    let body = &client.send(request)?.body;
    Ok(body.windows(INTERFACE.len()).filter(|window| *window == INTERFACE).count())
}

/// Once in every endpoint of a catalog.
const INTERFACE: &[u8] = b"\"interface\":";

/// One run: rate, latencies and the server's CPU time.
pub(super) fn loaded(server: &ApiServer, request: &Request, connections: usize) -> Result<Run, Failure> {
    let before = cpu_time(server.pid())?;
    let mut load = http::load(server.address, request, connections, RUN)?;
    let cpu = cpu_time(server.pid())?.saturating_sub(before);
    Ok(Run::new(load.count, load.elapsed, &mut load.latencies_ns, cpu))
}

/// From a token to its bearer inside a process, as every service of ours does with every request; beside asking over
/// HTTP, and beside the cryptography alone.
pub fn validate_in_process(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    let server = ApiServer::ours(Database::Sqlite, "")?;
    let token = server.login()?;
    let headers = [("X-Auth-Token", token.as_str()), ("X-Subject-Token", token.as_str())];
    let request = Request::new("GET", "/v3/auth/tokens?nocatalog", &headers, "", 200);
    let cloud = local_cloud::Cloud::start()?;
    let mut participants =
        [Participant::new("in process"), Participant::new("over HTTP"), Participant::new("Fernet alone")];
    cloud.authenticate_for(WARM_UP)?;
    for _ in 0..ROUNDS {
        participants[0].runs.push(cloud.authenticate_for(RUN)?);
        participants[1].runs.push(loaded(&server, &request, CONNECTIONS)?);
        participants[2].runs.push(cloud.decrypt_for(RUN)?);
    }
    let [ours, peer, limit] = participants;
    let work = "A token turned into its bearer with roles, revocations heeded, on one core.".to_owned();
    Ok(Report { name, work, figure: Figure::Rate, ours, peer, second_peer: None, limit: Some(limit), target })
}
