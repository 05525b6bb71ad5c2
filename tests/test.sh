#!/usr/bin/env bash
# Every check and every test of the project (`make test`). All of them run, even when one fails; the last line is
#
#   N passed, N failed
#
# summed over all runners. A check that is no cargo test counts as one test; a runner that dies counts as a failure.
# With ONLY="ARGUMENTS OF cargo test" (-p updraft-e2e --test faults) just these tests run, after what they need is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/updraft/target}
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
passed=0
failed=0
failures=()
output=$(mktemp)
trap 'rm -f "$output"' EXIT

note_failure() {
    failed=$((failed + 1))
    failures+=("$1")
}

# check NAME COMMAND...: one test.
check() {
    local name=$1 start=$SECONDS
    shift
    if "$@" >"$output" 2>&1; then
        passed=$((passed + 1))
        echo "check $name ... ok ($((SECONDS - start)) s)"
    else
        note_failure "$name"
        echo "check $name ... FAILED ($((SECONDS - start)) s)"
        tail -n 60 "$output"
    fi
}

# Adds up what $output says: good, bad and bad_runners are the caller's.
add_results() {
    read -r good bad bad_runners < <(awk '
        /^test result: / { good += $4; bad += $6; if ($3 != "ok.") bad_runners++ }
        END { print good + 0, bad + 0, bad_runners + 0 }' "$output")
    passed=$((passed + good))
    failed=$((failed + bad))
    while read -r test; do failures+=("$test"); done < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$output")
}

# on_mariadb CRATE...: the unit tests of these crates of controller/ once more, on MariaDB instead of SQLite: the
# programs that `cargo test` has just built and run.
on_mariadb() {
    local runs crate program start good bad bad_runners
    runs=$(sed -n 's/^ *Running unittests src.lib.rs (\(.*\))$/\1/p' "$output")
    for crate in "$@"; do
        program=$(realpath "$(grep "/updraft_$crate-[0-9a-f]*\$" <<<"$runs")") || { note_failure "$crate on MariaDB: not built"; continue; }
        echo "     on MariaDB: $program"
        start=$SECONDS
        (cd "controller/$crate" && UPDRAFT_TEST_DATABASE=mariadb "$program") 2>&1 | tee "$output" || true
        add_results
        echo "     on MariaDB: $crate took $((SECONDS - start)) s"
        [ $((good + bad)) -gt 0 ] || note_failure "$crate on MariaDB: the test program died"
    done
}

# cargo_tests NAME ARGUMENT...: `cargo test`, whose summary lines are added up.
cargo_tests() {
    local name=$1 status=0 good bad bad_runners failed_targets
    shift
    cargo test --locked --no-fail-fast "$@" 2>&1 | tee "$output" || status=$?
    add_results
    # "error: 2 targets failed:" with a line for each. One without a summary line of its own has died.
    failed_targets=$(grep -cE '^    `-.*`$' "$output" || true)
    while [ "$failed_targets" -gt "$bad_runners" ]; do
        note_failure "$name: a test program died"
        bad_runners=$((bad_runners + 1))
    done
    [ "$status" = 0 ] || [ "$bad" -gt 0 ] || [ "$failed_targets" -gt 0 ] || note_failure "$name: cargo test ended with $status"
    [ "$good" -gt 0 ] || [ "$status" != 0 ] || note_failure "$name: no test ran"
}

# tempest_tests NAME: OpenStack's own tests; the last line says how many.
tempest_tests() {
    local name=$1 status=0 good bad
    tests/tempest/run.sh 2>&1 | tee "$output" || status=$?
    read -r good bad < <(sed -n 's/^tempest: \([0-9]*\) passed, \([0-9]*\) failed.*/\1 \2/p' "$output") || true
    passed=$((passed + ${good:-0}))
    failed=$((failed + ${bad:-0}))
    while read -r test; do failures+=("tempest: $test"); done < <(sed -n 's/^{[0-9]*} \(.*\) \[.*\.\.\. FAILED$/\1/p' "$output")
    [ "$status" = 0 ] || [ "${bad:-0}" -gt 0 ] || note_failure "$name ended with $status"
}

scripts_are_clean() {
    local scripts guest_scripts
    mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
    mapfile -t guest_scripts < <(git ls-files tests/guest/root/etc/init.d tests/guest/root/usr/lib/updraft \
        tests/guest/initramfs | grep -v '\.awk$')
    shellcheck -S warning "${scripts[@]}" && shellcheck -S warning -s dash -e SC3045,SC1091,SC2154 "${guest_scripts[@]}"
}

if [ -n "${ONLY:-}" ]; then
    check setup tests/setup.sh build run guest client test
    check 'programs are built' cargo build --release --locked --workspace --bins
    check 'guest image is built' tests/guest/build.sh
    # shellcheck disable=SC2086 # a list of arguments
    cargo_tests "cargo test $ONLY" --release $ONLY
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
    exit
fi
check setup tests/setup.sh
check 'scripts (shellcheck)' scripts_are_clean
check 'format (cargo fmt)' cargo fmt --all --check
check 'lints (cargo clippy)' cargo clippy --release --locked --workspace --all-targets -- -D warnings
check 'dependencies (cargo deny)' cargo deny check licenses bans sources
check 'eBPF object belongs to its sources' ebpf/build.sh --check
check 'eBPF object is what its sources give' ebpf/build.sh --rebuild-check
check 'programs are built' cargo build --release --locked --workspace --bins
check 'guest image is built' tests/guest/build.sh
cargo_tests 'cargo test' --release --workspace
on_mariadb store core api
check 'requests made from the OpenAPI document (schemathesis)' tests/schemathesis/run.sh
tempest_tests 'tempest (identity and image, smoke)'

for failure in ${failures[@]+"${failures[@]}"}; do echo "failed: $failure"; done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
