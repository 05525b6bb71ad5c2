//! `/v3/OS-FEDERATION`

mod login;
mod mappings;
mod providers;
mod service_providers;

use axum::Router;
use updraft_core::Core;

pub(super) fn routes() -> Router<Core> {
    Router::new()
        .merge(login::routes())
        .merge(mappings::routes())
        .merge(providers::routes())
        .merge(service_providers::routes())
}
