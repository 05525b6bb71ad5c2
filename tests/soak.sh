#!/usr/bin/env bash
# What takes too long for `make test` (`make soak`): an ordinary cloud image, guests with two processors against the
# data path, a thousand kills, and the fault test over and over. Ends at the first failure.
#
#   ROUNDS        of the fault test (20)
#   KILLS         of blkd and of netd (1000; about 3 s for one of each), and of the control plane's processes
#   ABORTS        requests whose client hangs up (10000)
#   HOSTILE_S     seconds of each attack (60)
#   CONTROLLERS   kills of one of three controllers under load (300; about 1 s each)
#   FUZZ_CASES    odd requests to the API (100000); FUZZ_SEED says which (the day)
#   RANDOM_URLS   requests for ever new URLs (1000000)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/updraft/target}
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
rounds=${ROUNDS:-20}
export UPDRAFT_KILLS=${KILLS:-1000}
export UPDRAFT_HOSTILE_S=${HOSTILE_S:-60}
export UPDRAFT_ABORTS=${ABORTS:-10000}
fuzz_cases=${FUZZ_CASES:-100000}
fuzz_seed=${FUZZ_SEED:-$(date +%Y%m%d)}
export UPDRAFT_CONTROLLER_KILLS=${CONTROLLERS:-300}
random_urls=${RANDOM_URLS:-1000000}

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
say "$UPDRAFT_KILLS kills of controller, database and broker, half on either database, and $UPDRAFT_ABORTS aborted requests"
UPDRAFT_KILL_TRIALS=$(((UPDRAFT_KILLS + 1) / 2)) tests -p updraft-server --test kills -- --nocapture
say "$UPDRAFT_CONTROLLER_KILLS kills of three controllers on one database and one broker"
tests -p updraft-server --test three_controllers -- --nocapture
say "how quickly a backlog of notifications drains"
tests -p updraft-core how_quickly_a_backlog_drains -- --ignored --nocapture
say "$fuzz_cases odd requests to the API, seed $fuzz_seed; $random_urls random URLs"
UPDRAFT_FUZZ_CASES=$fuzz_cases UPDRAFT_FUZZ_SEED=$fuzz_seed tests -p updraft-api threat_47_no_request -- --nocapture
UPDRAFT_RANDOM_URLS=$random_urls tests -p updraft-server --test random_urls -- --nocapture
for round in $(seq "$rounds"); do
    say "faults, round $round of $rounds"
    tests -p updraft-e2e --test faults
done
say "passed"
