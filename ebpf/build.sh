#!/usr/bin/env bash
# Builds the XDP program. The built object is kept in the repository beside the hash of its sources, so that
# `cargo build` needs no eBPF toolchain.
#
#   ebpf/build.sh                  build; write updraft-uplink.bpf.o and updraft-uplink.sources.sha256
#   ebpf/build.sh --check          does the stored object belong to these sources? (no toolchain needed)
#   ebpf/build.sh --rebuild-check  build into a scratch folder and compare the programs instruction by instruction
set -euo pipefail
cd "$(dirname "$0")"

object=updraft-uplink.bpf.o
stamp=updraft-uplink.sources.sha256

# One hash over names and contents of everything that the object is made of.
sources_hash() {
    (cd .. && find ebpf/src ebpf/Cargo.toml ebpf/Cargo.lock dataplane/flow/src dataplane/flow/Cargo.toml -type f \
        -not -path '*/tests/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) | sha256sum | cut -d' ' -f1
}

fail() {
    echo "ebpf/build.sh: $*" >&2
    exit 1
}

check() {
    [ -f "$object" ] && [ -f "$stamp" ] || fail "$object or $stamp is missing: run ebpf/build.sh"
    read -r sources built < "$stamp"
    [ "$sources" = "$(sources_hash)" ] || fail "$object is older than its sources: run ebpf/build.sh and commit both"
    [ "$built" = "$(sha256sum "$object" | cut -d' ' -f1)" ] || fail "$object is not the file that was built"
}

# Any rustc that has the library's source will do: a rustup nightly with rust-src, or Debian's rustc-web.
choose_toolchain() {
    local sysroot
    if sysroot=$(rustc +nightly --print sysroot 2> /dev/null) && [ -d "$sysroot/lib/rustlib/src/rust/library/core" ]; then
        export RUSTC="$sysroot/bin/rustc" CARGO="$sysroot/bin/cargo"
    elif [ -x /usr/bin/rustc ] && [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/core" ]; then
        export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    else
        fail "needs rustup's nightly with rust-src, or Debian's rustc-web and rust-web-src: run make setup"
    fi
    command -v bpf-linker > /dev/null || fail "needs bpf-linker: run make setup"
}

llvm_tool() { # llvm_tool NAME
    command -v "llvm-$1-22" || command -v "llvm-$1" || fail "needs llvm-$1: run make setup"
}

build() { # build OUTPUT_FILE
    choose_toolchain
    local target_dir="${UPDRAFT_EBPF_TARGET:-$HOME/.cache/updraft/ebpf-target}"
    local flags=(-Cdebuginfo=2 -Clink-arg=--btf -Ctarget-cpu=v3 "--remap-path-prefix=$(cd .. && pwd)=/updraft"
        "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo")
    CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' "${flags[@]}" | sed 's/\x1f$//') CARGO_TARGET_DIR="$target_dir" \
        "${CARGO:-cargo}" build --locked --release -Z build-std=core --target bpfel-unknown-none
    # Debug information is large and names the build machine; BTF stays.
    "$(llvm_tool objcopy)" --strip-debug "$target_dir/bpfel-unknown-none/release/updraft-uplink" "$1"
}

# The instructions, maps and licence with their relocations: what decides about behaviour. BTF may differ.
behaviour() { # behaviour OBJECT
    # Symbols carry a hash of the crate's path: it differs from checkout to checkout.
    "$(llvm_tool objdump)" --disassemble --reloc --no-show-raw-insn "$1" | tail -n +3 | sed -E 's/Cs[0-9A-Za-z]+_([0-9])/C\1/g'
    "$(llvm_tool objdump)" --full-contents --section=maps --section=license "$1" | tail -n +3
}

case "${1:-}" in
    "")
        build "$object"
        echo "$(sources_hash) $(sha256sum "$object" | cut -d' ' -f1)" > "$stamp"
        ;;
    --check) check ;;
    --rebuild-check)
        check
        scratch=$(mktemp -d)
        trap 'rm -rf "$scratch"' EXIT
        build "$scratch/$object"
        [ "$(behaviour "$object")" = "$(behaviour "$scratch/$object")" ] || fail "the stored object differs from a rebuilt one"
        ;;
    *) fail "unknown argument $1" ;;
esac
