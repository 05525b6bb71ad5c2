//! The control plane's benches: beside Keystone where it has the same work.

use std::thread;
use std::time::Duration;

use crate::http::{self, Client, Request};
use crate::measure::{Failure, Run, cpu_time, resident_mib};
use crate::report::{Figure, Participant, Report};
use crate::servers::ApiServer;
use crate::target::Target;

/// Of one run of one participant.
const RUN: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
/// Connections that ask at the same time; enough to keep the server's core busy.
const CONNECTIONS: usize = 8;
/// Logins that queue while others' requests are measured.
const QUEUED_LOGINS: usize = 64;
const IMAGES: usize = 1000;

/// `GET /v3/auth/tokens`, as every service that does not verify tokens itself asks.
pub fn validate(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    let work = format!(
        "GET /v3/auth/tokens with catalog over HTTP, {CONNECTIONS} connections, servers on one core each."
    );
    beside_keystone(name, target, work, |server| {
        let token = server.login()?;
        let headers = [("X-Auth-Token", token.as_str()), ("X-Subject-Token", token.as_str())];
        Ok(Request::new("GET", "/v3/auth/tokens", &headers, "", 200))
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
    let (ours, keystone) = (ApiServer::ours()?, ApiServer::keystone()?);
    let requests = [request(&ours)?, request(&keystone)?];
    let mut participants = [Participant::new("ours"), Participant::new("Keystone, one worker")];
    for _ in 0..ROUNDS {
        for ((server, request), participant) in
            [&ours, &keystone].into_iter().zip(&requests).zip(&mut participants)
        {
            participant.runs.push(loaded(server, request, CONNECTIONS)?);
        }
    }
    let [ours, peer] = participants;
    Ok(Report { name, work, figure: Figure::Rate, ours, peer, second_peer: None, limit: None, target })
}

fn loaded(server: &ApiServer, request: &Request, connections: usize) -> Result<Run, Failure> {
    let before = cpu_time(server.pid())?;
    let mut load = http::load(server.address, request, connections, RUN)?;
    let cpu = cpu_time(server.pid())?.saturating_sub(before);
    Ok(Run::new(load.count, load.elapsed, &mut load.latencies_ns, cpu))
}

/// What others feel of a flood of logins: validation, alone and while 64 passwords are being hashed or wait for it.
pub fn logins(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    let server = ApiServer::ours()?;
    let token = server.login()?;
    let headers = [("X-Auth-Token", token.as_str()), ("X-Subject-Token", token.as_str())];
    let request = Request::new("GET", "/v3/auth/tokens", &headers, "", 200);
    let login = server.login_request();
    let (mut ours, mut peer) =
        (Participant::new("while 64 logins queue"), Participant::new("without logins"));
    for _ in 0..ROUNDS {
        peer.runs.push(paced(&server, &request)?);
        let during = thread::scope(|scope| {
            let flood = scope.spawn(|| http::load(server.address, &login, QUEUED_LOGINS, RUN + RUN));
            thread::sleep(Duration::from_millis(500));
            let run = paced(&server, &request);
            let flood = flood.join().map_err(|_| Failure::new("the flood panicked"))?;
            flood?;
            run
        });
        ours.runs.push(during?);
    }
    let work = "GET /v3/auth/tokens 100 times a second on one connection, with and without 64 logins by password in \
                the queue; p99 of the answers."
        .to_owned();
    Ok(Report { name, work, figure: Figure::Tail, ours, peer, second_peer: None, limit: None, target })
}

/// One request every ten milliseconds: latency under a load that is somebody else's.
fn paced(server: &ApiServer, request: &Request) -> Result<Run, Failure> {
    let before = cpu_time(server.pid())?;
    let mut client = Client::new(server.address);
    let start = std::time::Instant::now();
    let mut latencies = Vec::new();
    while start.elapsed() < RUN {
        let sent = std::time::Instant::now();
        client.send(request)?;
        latencies.push(u32::try_from(sent.elapsed().as_nanos()).unwrap_or(u32::MAX));
        thread::sleep(Duration::from_millis(10));
    }
    let cpu = cpu_time(server.pid())?.saturating_sub(before);
    Ok(Run::new(latencies.len() as u64, start.elapsed(), &mut latencies, cpu))
}

/// `GET /v2/images?limit=1000` of a thousand images.
pub fn thousand_images(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    let server = ApiServer::ours()?;
    let token = server.login()?;
    let headers = [("X-Auth-Token", token.as_str())];
    let mut client = Client::new(server.address);
    for number in 0..IMAGES {
        let body = format!(r#"{{"name":"image {number}","disk_format":"qcow2","container_format":"bare"}}"#);
        client.send(&Request::new("POST", "/image/v2/images", &headers, &body, 201))?;
    }
    let page =
        |limit: usize| Request::new("GET", &format!("/image/v2/images?limit={limit}"), &headers, "", 200);
    let whole = client.send(&page(IMAGES))?;
    let listed = whole.body.windows(14).filter(|window| window == b"\"disk_format\":").count();
    if listed != IMAGES {
        return Err(Failure::new(format!("{listed} of {IMAGES} images were listed: the run is void")));
    }
    let (mut ours, mut one) = (Participant::new("list of 1,000"), Participant::new("list of one"));
    for _ in 0..ROUNDS {
        ours.runs.push(loaded(&server, &page(IMAGES), 1)?);
        one.runs.push(loaded(&server, &page(1), 1)?);
    }
    let work =
        format!("GET /v2/images of {IMAGES} images in one page, one connection; {} bytes.", whole.body.len());
    Ok(Report {
        name,
        work,
        figure: Figure::Latency,
        ours,
        peer: one,
        second_peer: None,
        limit: None,
        target,
    })
}

/// Memory of a controller that has started and served one login.
pub fn idle_memory(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    let (ours, keystone) = (ApiServer::ours()?, ApiServer::keystone()?);
    let (mut mine, mut theirs) = (Participant::new("ours"), Participant::new("Keystone alone, one worker"));
    for (server, participant) in [(&ours, &mut mine), (&keystone, &mut theirs)] {
        server.login()?;
        let run = Run { memory_mib: resident_mib(server.pid())?, ..Run::default() };
        participant.runs.push(run);
    }
    let work =
        "Resident memory (VmRSS) of the idle controller with all services, after one login.".to_owned();
    Ok(Report {
        name,
        work,
        figure: Figure::Memory,
        ours: mine,
        peer: theirs,
        second_peer: None,
        limit: None,
        target,
    })
}
