# The commands of this project; `make help` lists them. The work is done by scripts in tests/ and by cargo.

cache := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/updraft
# Outside of the checkout, so that fresh clones share what is built.
export CARGO_TARGET_DIR ?= $(cache)/target
bin_dir := $(CARGO_TARGET_DIR)/release
guest_image := $(cache)/guest/updraft-mini.qcow2

programs := updraft updraft-controller updraft-agent updraft-netd updraft-blkd
# Names of single benches (make bench NAME=blk-null).
NAME ?=

.PHONY: help setup demo demo-down test bench soak ebpf guest build fmt lint
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install everything that building, running and testing needs (Debian 12)
	@tests/setup.sh

demo: ## start a cloud on this machine, boot two guests, log into one; leaves it running
	@tests/setup.sh build run guest client
	@$(MAKE) --no-print-directory build
	@tests/guest/build.sh >/dev/null
	@UPDRAFT_BIN_DIR=$(bin_dir) UPDRAFT_GUEST_IMAGE=$(guest_image) tests/demo/demo.sh

demo-down: ## remove the demo's cloud and everything it made
	@$(if $(filter 0,$(shell id -u)),,sudo --preserve-env=UPDRAFT_STATE_DIR) $(bin_dir)/updraft down --purge

test: ## every check and test; the last line is the sum; ONLY="-p updraft-e2e --test faults" for some
	@tests/test.sh

bench: ## measure beside real peers; NAME=... for one bench
	@tests/setup.sh build run bench
	@cargo build --release --locked --workspace --bins
	@$(bin_dir)/updraft-bench $(NAME)

soak: ## the tests that take hours: a thousand KILLS, ROUNDS of faults, attacks, an ordinary cloud image
	@tests/soak.sh

ebpf: ## rebuild the XDP program from its sources
	@tests/setup.sh build ebpf
	@ebpf/build.sh

guest: ## make the guest image; prints its path
	@tests/setup.sh guest
	@tests/guest/build.sh

build: ## compile the programs
	@cargo build --release --locked $(addprefix --bin ,$(programs))

fmt: ## format all Rust sources
	@cargo fmt --all

lint: ## what the compiler and clippy have to say, warnings denied
	@cargo fmt --all --check
	@cargo clippy --release --locked --workspace --all-targets -- -D warnings
