//! End-to-end tests: real guests, real clients, faults. This library is their harness: a whole cloud of its own for
//! each test file, driven from outside like any other.
//!
//! A failing step panics with what was run and what it answered: that is what a test wants.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test harness reports by panicking")]

pub mod browser;
pub mod cloud;
pub mod guest;
pub mod wait;

use std::path::PathBuf;

/// The folder of the built binaries: that of the test binary's own profile.
pub fn bin_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("UPDRAFT_BIN_DIR") {
        return dir.into();
    }
    let own = std::env::current_exe().expect("the test's own file");
    own.ancestors().nth(2).expect("…/release/deps/test").to_path_buf()
}

/// The folder of built things outside the checkout: the guest image, the client's virtual environment.
pub fn cache_dir() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache"));
    cache.join("updraft")
}

/// The guest image that tests/guest/build.sh makes.
pub fn guest_image() -> PathBuf {
    let image = cache_dir().join("guest/updraft-mini.qcow2");
    assert!(image.is_file(), "{} is missing: run `make guest`", image.display());
    image
}
