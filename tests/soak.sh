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

# Package, target, program and folder of each test. They are built for the whole workspace at once: cargo would compile
# the dependencies anew for the features of a single package.
list_tests() {
    cargo test --release --locked --workspace --no-run --message-format=json | python3 -c '
import json, os, sys
for line in sys.stdin:
    built = json.loads(line)
    if built["reason"] == "compiler-artifact" and built["profile"]["test"] and built["executable"]:
        folder = os.path.dirname(built["manifest_path"])
        package = built["package_id"].split("#")[-1].split("@")[0]
        print(package, built["target"]["name"], built["executable"], folder)'
}

# tests PACKAGE TARGET [ARGUMENT...]: runs a test program as `cargo test` does, in its package.
tests() {
    local program folder
    read -r program folder < <(awk -v package="$1" -v target="$2" '$1 == package && $2 == target { print $3, $4 }' "$built_tests")
    shift 2
    (cd "${folder:?no such test}" && "$program" "$@")
}

tests/setup.sh build run guest client test soak
cargo build --release --locked --workspace --bins
built_tests=$(mktemp)
trap 'rm -f "$built_tests"' EXIT
list_tests >"$built_tests"
tests/guest/build.sh >/dev/null
tests/guest/debian/build.sh >/dev/null

say "guests with two processors against blkd and netd, $UPDRAFT_HOSTILE_S s each"
tests updraft-blkd hostile --nocapture
tests updraft-net hostile --nocapture
say "an ordinary cloud image"
tests updraft-e2e ordinary_image --ignored --nocapture
say "$UPDRAFT_KILLS kills of blkd and of netd"
tests updraft-e2e kills --ignored --nocapture
say "$UPDRAFT_KILLS kills of controller, database and broker, half on either database, and $UPDRAFT_ABORTS aborted requests"
UPDRAFT_KILL_TRIALS=$(((UPDRAFT_KILLS + 1) / 2)) tests updraft-server kills --nocapture
say "$UPDRAFT_CONTROLLER_KILLS kills of three controllers on one database and one broker"
tests updraft-server three_controllers --nocapture
say "how quickly a backlog of notifications drains"
tests updraft-core updraft_core how_quickly_a_backlog_drains --ignored --nocapture
say "$fuzz_cases odd requests to the API, seed $fuzz_seed; $random_urls random URLs"
UPDRAFT_FUZZ_CASES=$fuzz_cases UPDRAFT_FUZZ_SEED=$fuzz_seed tests updraft-api updraft_api threat_47_no_request --nocapture
COVERAGE=1 tests/schemathesis/run.sh "$((fuzz_cases / 1000))" "$fuzz_seed"
UPDRAFT_RANDOM_URLS=$random_urls tests updraft-server random_urls --nocapture
for round in $(seq "$rounds"); do
    say "faults, round $round of $rounds"
    tests updraft-e2e faults
done
say "passed"
