//! One line a step, with the time it took. On a terminal the running step shows at once.

use std::future::Future;
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Runs one step and prints it. The line of a failed step stays open for the error that follows.
pub async fn step<T, E>(name: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let terminal = std::io::stdout().is_terminal();
    if terminal {
        print!("  {name} ...");
        let _ = std::io::stdout().flush();
    }
    let start = Instant::now();
    let result = work.await;
    let seconds = start.elapsed().as_secs_f64();
    let mark = if result.is_ok() { "ok" } else { "FAILED" };
    let back = if terminal { "\r" } else { "" };
    println!("{back}  {name:<44} {mark} {seconds:>6.1} s");
    result
}
