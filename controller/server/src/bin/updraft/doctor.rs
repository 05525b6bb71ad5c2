//! `updraft doctor`: differences between what should be and what is. Silent, with exit code 0, when all is well.

use std::collections::BTreeSet;
use std::process::ExitCode;

use crate::api_client::ApiClient;
use crate::cloud::Cloud;
use crate::error::Error;
use crate::health;
use crate::layout::Layout;
use crate::namespace;
use crate::supervisor::{PROCESSES, State};

pub async fn run(layout: &Layout) -> Result<ExitCode, Error> {
    let cloud = Cloud::load(layout)?;
    let mut findings = BTreeSet::new();
    processes(layout, &cloud, &mut findings).await;
    machine(layout, &cloud, &mut findings).await;
    match ApiClient::admin(layout, &cloud).await {
        Ok(api) => intent(&api, &mut findings).await,
        Err(error) => {
            findings.insert(format!("controller: {error}"));
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn processes(layout: &Layout, cloud: &Cloud, findings: &mut BTreeSet<String>) {
    if State::load(layout).is_none() {
        findings.insert("supervisor: does not run (start it with `updraft up`)".to_owned());
    }
    for process in PROCESSES {
        if let Err(reason) = health::check(process, layout, cloud).await {
            findings.insert(format!("{process}: {reason}"));
        }
    }
}

/// What the cloud needs of the machine.
async fn machine(layout: &Layout, cloud: &Cloud, findings: &mut BTreeSet<String>) {
    for name in [cloud.external_namespace(), cloud.uplink_namespace()] {
        if !namespace::path(&name).exists() {
            findings.insert(format!("network namespace {name}: is missing (made by `updraft up`)"));
        }
    }
    if let Ok(status) = health::netd(layout).await {
        match status.uplink {
            Some(uplink) if !uplink.xdp_attached => {
                findings.insert(format!("uplink {}: the XDP program is not attached", uplink.interface));
            }
            None => {
                findings.insert("uplink: netd serves none".to_owned());
            }
            Some(_) => {}
        }
    }
}

/// What the controller finds when it compares its database with what the hosts report and hold.
async fn intent(api: &ApiClient, findings: &mut BTreeSet<String>) {
    match api.get("/host/v1/doctor").await {
        Ok(answer) => {
            for finding in answer.as_array().into_iter().flatten() {
                let field = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
                findings.insert(format!("{} {}: {}", field("kind"), field("subject"), field("message")));
            }
        }
        Err(error) => {
            findings.insert(format!("controller: {error}"));
        }
    }
}
