//! One simulated host: `host URL CREDENTIAL_FILE`. To try a controller without any guest.

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use updraft_sim::{SimulatedHost, agent};

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(file)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: host URL CREDENTIAL_FILE");
        return ExitCode::FAILURE;
    };
    let credential = match std::fs::read_to_string(&file) {
        Ok(text) => text.trim().to_owned(),
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let host = Arc::new(Mutex::new(SimulatedHost::new("simulated-1")));
    match agent::run(host, url, credential).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
