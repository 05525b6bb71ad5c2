#!/usr/bin/env bash
# What takes too long for `make test` (`make soak`): an ordinary cloud image, guests with two processors against the
# data path, a thousand kills, and the fault test over and over. Ends at the first failure.
#
#   ROUNDS        of the fault test (20)
#   KILLS         of blkd and of netd (1000; about 3 s for one of each), and of the control plane's processes
#   ABORTS        requests whose client hangs up (10000)
#   HOSTILE_S     seconds of each attack (60)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/updraft/target}
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
rounds=${ROUNDS:-20}
export UPDRAFT_KILLS=${KILLS:-1000}
export UPDRAFT_HOSTILE_S=${HOSTILE_S:-60}
export UPDRAFT_ABORTS=${ABORTS:-10000}

say() { echo "soak: $* ($(date +%T))"; }
tests() { cargo test --release --locked "$@"; }

tests/setup.sh build run guest client test soak
cargo build --release --locked --workspace --bins
tests/guest/build.sh >/dev/null
tests/guest/debian/build.sh >/dev/null

say "guests with two processors against blkd and netd, $UPDRAFT_HOSTILE_S s each"
tests -p updraft-blkd --test hostile -- --nocapture
tests -p updraft-net --test hostile -- --nocapture
say "an ordinary cloud image"
tests -p updraft-e2e --test ordinary_image -- --ignored --nocapture
say "$UPDRAFT_KILLS kills of blkd and of netd"
tests -p updraft-e2e --test kills -- --ignored --nocapture
say "$UPDRAFT_KILLS kills of controller and database, half on either database, and $UPDRAFT_ABORTS aborted requests"
UPDRAFT_KILL_TRIALS=$(((UPDRAFT_KILLS + 1) / 2)) tests -p updraft-server --test kills -- --nocapture
for round in $(seq "$rounds"); do
    say "faults, round $round of $rounds"
    tests -p updraft-e2e --test faults
done
say "passed"
