#!/usr/bin/env bash
# OpenStack's own tests, tempest, against a controller of their own.
#
#   tests/tempest/run.sh [REGEX...]    without arguments: the smoke set of the services that are complete
#
# Prints the tests one by one, what failed in full, and as the last line
#
#   tempest: N passed, N failed, N skipped
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/own_controller.sh
. "$here/../own_controller.sh"
tempest=$cache/tempest/bin/tempest
# Started tests of one worker each; more only wait for each other on two cores.
workers=2
patterns=("$@")
[ ${#patterns[@]} -gt 0 ] || patterns=('tempest\.api\.(identity|image)\..*\bsmoke\b')

write_workspace() {
    mkdir "$scratch/workspace"
    cd "$scratch/workspace"
    "$tempest" init --name updraft --workspace-path "$scratch/workspaces.yaml" . >"$scratch/init.log" 2>&1 || { cat "$scratch/init.log" >&2; exit 1; }
    sed -e "s|@ENDPOINT@|$endpoint|g" -e "s|@PASSWORD@|$(cat "$scratch/admin-password")|" -e "s|@SCRATCH@|$scratch|g" \
        "$here/tempest.conf" >etc/tempest.conf
}

run() {
    local pattern status=0
    pattern=$(IFS='|'; echo "${patterns[*]}")
    timeout --signal=KILL 1200 "$tempest" run --workspace-path "$scratch/workspaces.yaml" --workspace updraft --regex "$pattern" --concurrency $workers 2>&1 | tee "$scratch/output" || status=$?
    awk -v status="$status" '
        /^ - Passed: / { passed = $3 }
        /^ - Skipped: / { skipped = $3 }
        /^ - Failed: / { failed = $3 }
        /^ - Unexpected Success: / { failed += $4 }
        END {
            if (status != 0 && failed == 0) failed = 1
            if (passed == 0 && failed == 0) failed = 1
            printf "tempest: %d passed, %d failed, %d skipped\n", passed, failed, skipped
            exit failed > 0
        }' "$scratch/output"
}

start_controller
write_workspace
run
