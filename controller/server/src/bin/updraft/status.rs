//! `updraft status`: what runs, since when, with what health.

use std::process::ExitCode;

use jiff::Timestamp;
use updraft_compute_api::inventory::HostInventory;
use updraft_dataplane_api::net::{NetStatus, UplinkStatus};

use crate::cloud::Cloud;
use crate::error::Error;
use crate::health;
use crate::layout::Layout;
use crate::supervisor::{PROCESSES, State};

/// Exit code 0 when everything answers, 1 otherwise.
pub async fn run(layout: &Layout) -> Result<ExitCode, Error> {
    let cloud = Cloud::load(layout)?;
    println!("cloud     {}   {}   {}", cloud.name, cloud.endpoint(), layout.state_dir.display());
    let mut healthy = print_processes(layout, &cloud).await;
    match health::netd(layout).await {
        Ok(status) => print_network(&status),
        Err(_) => healthy = false,
    }
    match health::inventory(layout, &cloud).await {
        Ok(inventory) => print_servers(&inventory),
        Err(_) => healthy = false,
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn print_processes(layout: &Layout, cloud: &Cloud) -> bool {
    let Some(state) = State::load(layout) else {
        println!("nothing runs (start it with `updraft up`)");
        return false;
    };
    println!("\n{:<12} {:>8} {:>10} {:>9}  HEALTH", "PROCESS", "PID", "UP", "RESTARTS");
    println!("{:<12} {:>8} {:>10} {:>9}  ok", "supervisor", state.pid, since(state.started_at), "");
    let mut healthy = true;
    for name in PROCESSES {
        let health = health::check(name, layout, cloud).await;
        healthy &= health.is_ok();
        let health = health.err().unwrap_or_else(|| "ok".to_owned());
        match state.processes.iter().find(|process| process.name == name) {
            Some(process) => {
                let up = since(process.started_at);
                println!("{name:<12} {:>8} {up:>10} {:>9}  {health}", process.pid, process.restarts);
            }
            None => println!("{name:<12} {:>8} {:>10} {:>9}  {health}", "-", "-", "-"),
        }
    }
    healthy
}

/// How long ago, in the two largest units.
fn since(start: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(start).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86400, seconds / 3600 % 24),
    }
}

fn print_servers(inventory: &HostInventory) {
    if inventory.servers.is_empty() {
        return;
    }
    let show = |pid: Option<u32>| pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    println!("\n{:<38} {:>9} {:>9}", "SERVER", "QEMU PID", "BLKD PID");
    for server in &inventory.servers {
        let (qemu, blkd) = (show(server.qemu_pid), show(server.blkd_pid));
        println!("{:<38} {qemu:>9} {blkd:>9}", server.id.to_string());
    }
}

fn print_network(status: &NetStatus) {
    match &status.uplink {
        Some(uplink) => print_uplink(uplink),
        None => println!("\nUPLINK       none"),
    }
    println!("\nFLOWS        {} of {}", status.flows, status.flow_capacity);
    if !status.drops.is_empty() {
        let drops: Vec<String> = status.drops.iter().map(|(why, count)| format!("{why}={count}")).collect();
        println!("DROPS        {}", drops.join(" "));
    }
    if !status.ports.is_empty() {
        println!("\n{:<38} {:<5} {:>12} {:>12} {:>8}", "PORT", "WIRED", "FROM GUEST", "TO GUEST", "DROPS");
    }
    for port in &status.ports {
        let wired = if port.connected { "yes" } else { "no" };
        let (from, to) = (port.tx_packets, port.rx_packets);
        println!("{:<38} {wired:<5} {from:>12} {to:>12} {:>8}", port.id.to_string(), port.drops);
    }
}

fn print_uplink(uplink: &UplinkStatus) {
    let attached = if uplink.xdp_attached { uplink.xdp_mode.as_str() } else { "NOT ATTACHED" };
    println!("\nUPLINK       {}   XDP {attached}", uplink.interface);
    let counters: Vec<String> =
        uplink.xdp_counters.iter().map(|(name, count)| format!("{name}={count}")).collect();
    println!("XDP          {}", counters.join(" "));
    println!("AF_XDP       rx={} tx={}", uplink.rx_packets, uplink.tx_packets);
}
