//! OpenStack's services validate tokens by keystonemiddleware's auth_token filter: here it does so against the real
//! controller. `tests/setup.sh client` installs it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod controller;

#[test]
fn auth_token_validates_by_our_identity() {
    controller::drive("middleware", "filtered_app.py");
}
