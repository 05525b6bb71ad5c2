#!/usr/bin/env bash
# Installs what the project needs on Debian 12 beside cargo, git and make. Does nothing, quickly, where all is there.
#
#   tests/setup.sh [GROUP...]      all groups without arguments
#
# Groups: build (compile the programs), run (what the programs start), guest (make the guest image), client (the
# openstack client, SSH), ebpf (compile the XDP program), test (test runners and checks), soak (an ordinary cloud
# image), bench (peers in benches).
# Packages are installed by apt as root (sudo is used elsewhere); everything else goes to the cache folder
# ${XDG_CACHE_HOME:-~/.cache}/updraft and to cargo's bin folder. No service is started, except that Debian starts Open
# vSwitch's own when the bench group installs it; RabbitMQ's is masked before its package comes. systemd is not needed.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/updraft
cargo_bin=${CARGO_HOME:-$HOME/.cargo}/bin
PATH=$PATH:$cargo_bin
rust_version=1.95
openstackclient_version=10.5.0
keystonemiddleware_version=10.12.0
oslo_messaging_version=18.3.1
tempest_version=47.0.0
schemathesis_version=4.32.5
bpf_linker_version=0.13.0
cargo_deny_version=0.20.2

say() { echo "setup: $*"; }
die() { echo "setup: $*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "not root and no sudo; run as root: $*"; fi
}

# Packages to install with the reason for each, collected over all groups and installed at once.
missing=()
declare -A reasons
lists_refreshed=no

# need REASON PACKAGE...
need() {
    local reason=$1 package
    shift
    for package in "$@"; do
        [ -n "${installed[$package]:-}" ] && continue
        [ -n "${reasons[$package]:-}" ] || missing+=("$package")
        reasons[$package]=$reason
    done
}

declare -A installed
read_installed() {
    local status package
    while read -r status package; do
        [ "$status" = ii ] && installed[$package]=yes
    done < <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n')
}

refresh_lists() {
    [ $lists_refreshed = yes ] && return
    say "refreshing the package lists"
    # Unlike dpkg's lock, that of the lists cannot be waited for.
    local tries=60
    until as_root apt-get update -qq 2>"$cache/apt.log"; do
        if ! grep -q 'Could not get lock' "$cache/apt.log" || [ $((tries -= 1)) -le 0 ]; then
            cat "$cache/apt.log" >&2
            die "the package lists could not be refreshed"
        fi
        sleep 5
    done
    lists_refreshed=yes
}

install_missing() {
    [ ${#missing[@]} -gt 0 ] || return 0
    refresh_lists
    local package
    for package in "${missing[@]}"; do
        say "installing $package: ${reasons[$package]}"
    done
    # The tests start brokers of their own; what its package would start is in nobody's way then, but in nobody's use.
    if [[ " ${missing[*]} " = *" rabbitmq-server "* ]]; then
        as_root mkdir -p /etc/systemd/system
        as_root ln -sfn /dev/null /etc/systemd/system/rabbitmq-server.service
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=600 "${missing[@]}" >"$cache/apt.log" 2>&1 ||
        { tail -n 20 "$cache/apt.log" >&2; die "apt-get failed, see $cache/apt.log"; }
}

# cargo_tool NAME VERSION REASON ARGUMENT...: a program from its source, unless cargo installed this version before.
cargo_tool() {
    local name=$1 version=$2 reason=$3
    shift 3
    grep -qs "^\"$name $version " "$cargo_bin/../.crates.toml" && return
    say "building $name $version, some minutes: $reason"
    CARGO_TARGET_DIR=$cache/tools-target cargo install "$name" --version "$version" --locked --quiet "$@" ||
        die "building $name failed"
    # Only needed to build it; some hundred megabytes.
    rm -rf "$cache/tools-target"
}

check_rust() {
    local have
    have=$(rustc --version 2>/dev/null | awk '{ print $2 }')
    [ -n "$have" ] || die "no rustc: install Rust $rust_version or newer"
    [ "$(printf '%s\n' "$rust_version" "$have" | sort -V | head -n 1)" = "$rust_version" ] ||
        die "rustc is $have, Rust $rust_version or newer is needed (rustup update)"
}

# The compiler with the library's source that can build for the bpf target (ebpf/build.sh chooses in the same order).
has_nightly_source() {
    local toolchain
    for toolchain in "${RUSTUP_HOME:-$HOME/.rustup}"/toolchains/nightly*; do
        [ -d "$toolchain/lib/rustlib/src/rust/library/core" ] && return 0
    done
    return 1
}

packages_of() {
    case $1 in
    build) need "C parts of crates (SQLite, cryptography)" gcc libc6-dev pkg-config ;;
    run)
        need "virtual machines" qemu-system-x86
        need "their firmware" seabios ipxe-qemu
        need "looking at networks by hand, and the demo" iproute2
        need "switching off checksum offload on the wire to the external network" ethtool
        need "the graphical console in the browser" novnc
        ;;
    guest)
        need "file system of the guest image" e2fsprogs
        need "partition of the guest image" fdisk
        need "boot loader of the guest image" grub-common grub-pc-bin
        need "initramfs of the guest image" lz4
        need "guest image as qcow2" qemu-utils
        ;;
    client)
        need "home of the openstack client" python3-venv
        need "logging in to guests" openssh-client
        need "reaching guests" iputils-ping
        ;;
    ebpf)
        has_nightly_source || need "Rust with the library's source, for the bpf target" rustc-web rust-web-src
        need "LLVM that bpf-linker is linked with" llvm-22 llvm-22-dev libpolly-22-dev zlib1g-dev libzstd-dev libxml2-dev
        need "linking bpf-linker" g++
        ;;
    test)
        need "load with verification, inside and beside guests" fio
        need "config drives" genisoimage
        need "hygiene of the scripts" shellcheck
        need "looking at XDP programs" bpftool
        # Without mariadb-server and its service: the tests start servers of their own.
        need "the other database that the controller runs on" mariadb-server-core mariadb-client-core
        need "the bus between controllers" rabbitmq-server
        need "the graphical console in a real browser" chromium
        need "home of tempest and schemathesis" python3-venv
        ;;
    soak) need "an ordinary cloud image to boot" debootstrap ;;
    bench)
        need "load, and the limit to compare with" fio qemu-utils qemu-system-common
        need "peers and limit of the network benches" openvswitch-switch-dpdk dpdk dpdk-dev
        need "counting system calls" strace
        need "the peer of the identity benches" python3-keystone uwsgi-core uwsgi-plugin-python3
        need "the database of both" mariadb-server-core mariadb-client-core
        ;;
    *) die "unknown group $1 (build run guest client ebpf test soak bench)" ;;
    esac
}

# install_groups GROUP...: their packages. What apt removes because it is in the way of another (a newer package of
# backports beside Debian's own) is installed again, then in the version that fits.
install_groups() {
    local group try
    for try in first second; do
        missing=() reasons=() installed=()
        read_installed
        for group in "$@"; do packages_of "$group"; done
        [ ${#missing[@]} -gt 0 ] || return 0
        [ $try = first ] || say "apt has removed ${missing[*]} for others"
        install_missing
    done
}

# What a group needs beyond packages.
finish_group() {
    case $1 in
    build) check_rust ;;
    guest)
        # tests/guest/build.sh downloads packages, for which apt needs its lists.
        compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || refresh_lists
        ;;
    client)
        python_program venv openstack "the demo and the tests drive the cloud with it; its middleware must take our tokens, its listeners our notifications" \
            "python-openstackclient==$openstackclient_version" "keystonemiddleware==$keystonemiddleware_version" \
            "oslo.messaging==$oslo_messaging_version"
        ;;
    ebpf)
        # Its build asks the llvm-config that it finds first.
        LLVM_PREFIX=/usr/lib/llvm-22 PATH=/usr/lib/llvm-22/bin:$PATH cargo_tool bpf-linker $bpf_linker_version "links the XDP program" \
            --no-default-features --features llvm-22
        ;;
    test)
        if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
            command -v rustup >/dev/null || die "cargo has no fmt or clippy: install rustfmt and clippy"
            say "installing rustfmt and clippy: format and lints"
            rustup component add rustfmt clippy
        fi
        python_program tempest tempest "OpenStack's own tests of its APIs" "tempest==$tempest_version"
        python_program schemathesis schemathesis "requests to the API, made from its OpenAPI document" \
            "schemathesis==$schemathesis_version"
        cargo_tool cargo-deny $cargo_deny_version "checks licences and sources of dependencies" --no-default-features
        ;;
    esac
}

# python_program VENV PROGRAM REASON PACKAGE==VERSION...: from the Python package index, into a folder of its own.
python_program() {
    local venv=$cache/$1 program=$2 reason=$3 wanted name complete=yes
    shift 3
    for wanted in "$@"; do
        name=${wanted%%==*}
        compgen -G "$venv/lib/python3*/site-packages/${name//[-.]/_}-${wanted##*==}.dist-info" >/dev/null || complete=no
    done
    [ $complete = yes ] && [ -x "$venv/bin/$program" ] && return
    say "installing $* into $venv: $reason"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check "$@"
}

main() {
    local groups=("$@") group
    [ ${#groups[@]} -gt 0 ] || groups=(build run guest client ebpf test soak bench)
    command -v apt-get >/dev/null || die "this is not Debian (no apt-get): install by hand what is listed in tests/setup.sh"
    mkdir -p "$cache"
    install_groups "${groups[@]}"
    for group in "${groups[@]}"; do finish_group "$group"; done
    say "all there: ${groups[*]}"
}

main "$@"
