# shellcheck shell=bash
# For scripts that test a running controller (source this): one of their own, on a free port of loopback, over an empty
# SQLite database in a scratch folder. Both are removed when the script ends.
#
#   start_controller   sets $endpoint; the administrator's password is in $scratch/admin-password

cache=${XDG_CACHE_HOME:-$HOME/.cache}/updraft
programs=${CARGO_TARGET_DIR:-$cache/target}/${UPDRAFT_PROFILE:-release}
scratch=$(mktemp -d)
controller=

end_controller() {
    if [ -n "$controller" ]; then
        kill "$controller" 2>/dev/null || true
        wait "$controller" 2>/dev/null || true
    fi
    rm -rf "$scratch"
}
trap end_controller EXIT

secret() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# Port 0: the kernel chooses, and the controller's first line says which.
start_controller() {
    umask 077
    secret >"$scratch/admin-password"
    secret >"$scratch/host-credential"
    secret >"$scratch/host-key"
    mkdir "$scratch/images"
    cat >"$scratch/controller.toml" <<EOF
listen = "127.0.0.1:0"
database = "$scratch/updraft.sqlite"
images_dir = "$scratch/images"
keys_dir = "$scratch/keys"
admin_password_file = "$scratch/admin-password"
host_credential_file = "$scratch/host-credential"
host_key_file = "$scratch/host-key"
EOF
    # Here, for the shell in the background opens it later than it is read.
    : >"$scratch/ready"
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
