//! The controller beyond identity: long lists, and what it takes while nothing happens.

use std::thread;
use std::time::Duration;

use super::identity::{ROUNDS, loaded};
use crate::http::{Client, Request};
use crate::measure::{Failure, Run, resident_mib};
use crate::report::{Figure, Participant, Report};
use crate::servers::{ApiServer, Caching, Database};
use crate::target::Target;

const IMAGES: usize = 1000;
/// After the last request, until memory is looked at.
const REST: Duration = Duration::from_secs(3);

/// `GET /v2/images?limit=1000` of a thousand images.
pub fn thousand_images(name: &'static str, target: Target) -> Result<Report<'static>, Failure> {
    let server = ApiServer::ours(Database::Sqlite, "")?;
    let token = server.login()?;
    let headers = [("X-Auth-Token", token.as_str())];
    let mut client = Client::new(server.address);
    for number in 0..IMAGES {
        let body = format!(
            r#"{{"name":"image {number}","disk_format":"qcow2","container_format":"bare","os_distro":"debian","tags":["bench","{number}"]}}"#
        );
        client.send(&Request::new("POST", "/image/v2/images", &headers, &body, 201))?;
    }
    let page =
        |limit: usize| Request::new("GET", &format!("/image/v2/images?limit={limit}"), &headers, "", 200);
    let whole = client.send(&page(IMAGES))?;
    let listed = whole.body.windows(14).filter(|window| window == b"\"disk_format\":").count();
    if listed != IMAGES {
        return Err(Failure::new(format!("{listed} of {IMAGES} images were listed: the run is void")));
    }
    let work =
        format!("GET /v2/images of {IMAGES} images in one page, one connection; {} bytes.", whole.body.len());
    let (mut ours, mut one) = (Participant::new("list of 1,000"), Participant::new("list of one"));
    for _ in 0..ROUNDS {
        ours.runs.push(loaded(&server, &page(IMAGES), 1)?);
        one.runs.push(loaded(&server, &page(1), 1)?);
    }
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
    let (mut mine, mut theirs) = (Participant::new("ours"), Participant::new("Keystone alone, one worker"));
    for _ in 0..3 {
        let (ours, keystone) =
            (ApiServer::ours(Database::Sqlite, "")?, ApiServer::keystone(Caching::OneRequest)?);
        for (server, participant) in [(&ours, &mut mine), (&keystone, &mut theirs)] {
            server.login()?;
            thread::sleep(REST);
            let run = Run { memory_mib: resident_mib(server.pid())?, ..Run::default() };
            participant.runs.push(run);
        }
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
