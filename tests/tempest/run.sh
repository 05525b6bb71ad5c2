#!/usr/bin/env bash
# OpenStack's own tests, tempest, against a controller of their own.
#
#   tests/tempest/run.sh [REGEX...]    without arguments: the smoke set of the services that are complete
#
# Starts target/release/updraft-controller on a free port of loopback over an empty SQLite database in a temporary
# folder and removes both at the end. Prints the tests one by one, what failed in full, and as the last line
#
#   tempest: N passed, N failed, N skipped
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/updraft
programs=${CARGO_TARGET_DIR:-$cache/target}/${UPDRAFT_PROFILE:-release}
tempest=$cache/tempest/bin/tempest
# Started tests of one worker each; more only wait for each other on two cores.
workers=2
patterns=("$@")
[ ${#patterns[@]} -gt 0 ] || patterns=('tempest\.api\.(identity|image)\..*\bsmoke\b')

scratch=$(mktemp -d)
controller=
cleanup() {
    if [ -n "$controller" ]; then
        kill "$controller" 2>/dev/null || true
        wait "$controller" 2>/dev/null || true
    fi
    rm -rf "$scratch"
}
trap cleanup EXIT

secret() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# Port 0: the kernel chooses, and the controller's first line says which.
start_controller() {
    umask 077
    secret >"$scratch/admin-password"
    secret >"$scratch/host-credential"
    mkdir "$scratch/images"
    cat >"$scratch/controller.toml" <<EOF
listen = "127.0.0.1:0"
database = "$scratch/updraft.sqlite"
images_dir = "$scratch/images"
keys_dir = "$scratch/keys"
admin_password_file = "$scratch/admin-password"
host_credential_file = "$scratch/host-credential"
EOF
    "$programs/updraft-controller" --config "$scratch/controller.toml" >"$scratch/ready" 2>"$scratch/controller.log" &
    controller=$!
    for _ in $(seq 600); do
        endpoint=$(sed -n 's/^ready on //p' "$scratch/ready")
        [ -n "$endpoint" ] && return
        kill -0 "$controller" 2>/dev/null || break
        sleep 0.1
    done
    cat "$scratch/controller.log" >&2
    echo "the controller did not start" >&2
    exit 1
}

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
