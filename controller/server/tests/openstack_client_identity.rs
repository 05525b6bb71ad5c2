//! The openstack client's identity commands against the real controller. `tests/setup.sh client` installs it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod controller;

#[test]
fn every_identity_command_of_the_client_works() {
    controller::drive("client-identity", "identity_commands.py");
}
