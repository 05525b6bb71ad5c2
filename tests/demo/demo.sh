#!/usr/bin/env bash
# The demonstration behind `make demo`: starts a cloud on this machine and drives it with nothing but the `openstack`
# client, as a tenant would. Prints a table of steps with their times; leaves the cloud running.
#
#   UPDRAFT_BIN_DIR      folder of the built binaries
#   UPDRAFT_GUEST_IMAGE  the guest image (tests/guest/build.sh)
#   UPDRAFT_STATE_DIR    state folder of the cloud (default /var/lib/updraft)
set -euo pipefail

: "${UPDRAFT_BIN_DIR:?folder of the built binaries}" "${UPDRAFT_GUEST_IMAGE:?the guest image}"
export UPDRAFT_STATE_DIR=${UPDRAFT_STATE_DIR:-/var/lib/updraft}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/updraft
work=$cache/demo
PATH=$cache/venv/bin:$PATH
guest_user=updraft
boot_limit_s=300 # emulated guests on a busy machine are slow; an idle one needs about 20 s
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo --preserve-env=UPDRAFT_STATE_DIR)

mkdir -p "$work"
log=$work/demo.log
: >"$log"

updraft() { "${sudo[@]}" "$UPDRAFT_BIN_DIR/updraft" "$@"; }
outside() { updraft external -- "$@"; }
value() { openstack "$@" -f value; }

# step NAME COMMAND...: runs it with its output in the log, and notes the time.
step() {
    local name=$1 start end status
    shift
    printf '  %-52s ' "$name"
    start=$(date +%s%N)
    # Not as a condition: there, the shell would not stop at the first failing command of the step.
    set +e
    (
        set -e
        "$@"
    ) >>"$log" 2>&1
    status=$?
    set -e
    if [ "$status" != 0 ]; then
        printf 'FAILED\n\n'
        tail -n 25 "$log" >&2
        printf '\nThe whole log: %s\n' "$log" >&2
        exit 1
    fi
    end=$(date +%s%N)
    printf '%6d.%d s\n' $(((end - start) / 1000000000)) $(((end - start) / 100000000 % 10))
}

# until_true SECONDS COMMAND...: repeats the command until it succeeds.
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.5
    done
}

guest() { # guest COMMAND...: runs it in the first server, logged in through the floating IP
    outside ssh -i "$work/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
        -o ConnectTimeout=5 -o BatchMode=yes "$guest_user@$address" "$@"
}

start_cloud() { updraft up; }

# All in one run of the client, whose start alone takes a second. What is not there any more is no error; what is
# still there afterwards is.
clean_up_earlier_run() {
    local floating_ips left
    floating_ips=$(value floating ip list -c ID --tags demo | tr '\n' ' ')
    {
        echo 'server delete --wait demo-web demo-db'
        [ -z "$floating_ips" ] || echo "floating ip delete $floating_ips"
        echo 'router remove subnet demo demo'
        echo 'router delete demo'
        echo 'network delete demo'
        echo 'security group delete demo'
        echo 'keypair delete demo'
    } | openstack || true
    # Fed like this, the client ends with 1 however it went. That every project has the group `default` tells that the
    # lists were read.
    left=$(printf '%s list -f value -c Name\n' server router network 'security group' keypair | openstack) || true
    grep -qx default <<<"$left" || return 1
    if grep -E '^demo(-|$)' <<<"$left"; then return 1; fi
    # The last to go: by it the next run knows that there is something to remove.
    value image list -c ID --name updraft-mini | xargs openstack image delete
}

upload_image() {
    openstack image create updraft-mini --disk-format qcow2 --container-format bare --file "$UPDRAFT_GUEST_IMAGE"
}

make_network() {
    openstack network create demo
    openstack subnet create demo --network demo --subnet-range 10.10.0.0/24
}

make_router() {
    openstack router create demo --external-gateway public
    openstack router add subnet demo demo
}

make_keypair() {
    rm -f "$work/key" "$work/key.pub"
    ssh-keygen -q -t ed25519 -N '' -f "$work/key"
    openstack keypair create demo --public-key "$work/key.pub"
}

make_security_group() {
    openstack security group create demo
    openstack security group rule create demo --protocol icmp
    openstack security group rule create demo --protocol tcp --dst-port 22
}

make_servers() {
    openstack server create demo-web --image updraft-mini --flavor m1.tiny --network demo --key-name demo \
        --security-group demo
    openstack server create demo-db --image updraft-mini --flavor m1.tiny --network demo --key-name demo \
        --security-group demo
}

is_active() { [ "$(value server show "$1" -c status)" = ACTIVE ]; }
servers_active() { until_true "$boot_limit_s" is_active demo-web && until_true "$boot_limit_s" is_active demo-db; }

make_floating_ip() {
    local port
    port=$(value port list --server demo-web -c ID)
    openstack floating ip create public --port "$port" --tag demo
    value floating ip list --port "$port" -c 'Floating IP Address' >"$work/address"
}

pings_from_outside() { until_true "$boot_limit_s" outside ping -c 1 -W 1 "$address"; }
logs_in() { until_true "$boot_limit_s" guest true; }

write_file() { guest 'date > proof && sync && cat proof' | tee "$work/proof"; }

reboot_guest() {
    local before
    before=$(guest cat /proc/sys/kernel/random/boot_id)
    openstack server reboot demo-web
    until_true "$boot_limit_s" rebooted "$before"
}
rebooted() {
    local now
    now=$(guest cat /proc/sys/kernel/random/boot_id) && [ "$now" != "$1" ]
}

read_file_back() { guest cat proof | diff - "$work/proof"; }

guest_to_guest() {
    local peer
    peer=$(value server show demo-db -c addresses | grep -oE '10\.10\.0\.[0-9]+' | head -n 1)
    until_true "$boot_limit_s" guest ping -c 3 -W 2 "$peer"
}

connects() { outside timeout 4 bash -c "exec 3<>/dev/tcp/$address/8080"; }

closed_port() {
    # Something listens in the guest, so only the security group can be what keeps the outside away.
    guest 'nohup sh -c "while true; do nc -l -p 8080 </dev/null; done" >/dev/null 2>&1 &'
    until_true 60 guest 'bash -c "exec 3<>/dev/tcp/127.0.0.1/8080"'
    ! connects
}

opened_port() {
    openstack security group rule create demo --protocol tcp --dst-port 8080
    until_true 60 connects
}

floating_ip_packets() {
    updraft status | tee "$work/status"
    grep -oE 'floating_ip[a-z_]*=[0-9]+' "$work/status" | cut -d= -f2 | awk '{ sum += $1 } END { exit !(sum > 0) }'
}

nothing_amiss() { updraft doctor; }

printf 'Updraft demonstration (log: %s)\n\n' "$log"
step 'start the cloud' start_cloud
credentials=$(updraft openrc)
eval "$credentials"
if [ -n "$(value image list -c ID --name updraft-mini)" ]; then
    step 'remove what an earlier run left' clean_up_earlier_run
fi
step 'upload the guest image' upload_image
step 'network and subnet' make_network
step 'router with external gateway' make_router
step 'key pair' make_keypair
step 'security group: SSH and ICMP' make_security_group
step 'create two servers' make_servers
step 'both servers ACTIVE' servers_active
step 'floating IP' make_floating_ip
address=$(<"$work/address")
step "ping $address from outside, through XDP" pings_from_outside
step 'log in by SSH' logs_in
step 'write a file in the guest' write_file
step 'reboot the guest, log in again' reboot_guest
step 'read the file back' read_file_back
step 'ping guest to guest' guest_to_guest
step 'port 8080 closed by the security group' closed_port
step 'port 8080 opened by a rule' opened_port
step 'the XDP program counted it' floating_ip_packets
step 'nothing amiss (updraft doctor)' nothing_amiss

cat <<TEXT

  $(grep -E '^XDP' "$work/status" || true)

The cloud goes on running. With the binaries' folder in PATH:

  PATH=$UPDRAFT_BIN_DIR:$cache/venv/bin:\$PATH
  eval "\$(updraft openrc)"             credentials for the openstack client
  openstack server list
  openstack console url show demo-web  graphical console; --serial for the serial one
  updraft external -- ssh -i $work/key $guest_user@$address
  updraft status                       what runs, with what health
  make demo-down                       remove everything again

API endpoint: $OS_AUTH_URL

demo passed
TEXT
