//! Figures beside real peers: `updraft-bench NAME` runs ours, the peer and the limit in turn on the same work and ends
//! with one line that says whether the promise in `bench/targets.toml` is met. Without a name it runs all.

#![forbid(unsafe_code)]

mod backend;
mod frames;
mod http;
mod measure;
mod nic;
mod report;
mod scenarios;
mod servers;
mod switches;
mod target;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        // A backend of ours, in a process of its own like the peer's.
        ["serve", kind, path, socket] => backend::serve(kind, path.as_ref(), socket.as_ref()),
        ["list"] => {
            scenarios::ALL.iter().for_each(|scenario| println!("{}", scenario.name));
            Ok(())
        }
        [] => scenarios::ALL.iter().try_for_each(scenarios::run),
        names => names.iter().try_for_each(|name| scenarios::find(name).and_then(scenarios::run)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
