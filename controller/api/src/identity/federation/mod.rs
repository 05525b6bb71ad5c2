//! `/v3/OS-FEDERATION`

mod login;
mod mappings;
mod providers;
mod service_providers;

use crate::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(login::routes())
        .merge(mappings::routes())
        .merge(providers::routes())
        .merge(service_providers::routes())
}
