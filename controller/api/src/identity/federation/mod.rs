//! `/v3/OS-FEDERATION`, and `/v3/auth/OS-FEDERATION`

mod login;
mod mappings;
mod providers;
mod service_providers;
mod websso;

use crate::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(login::routes())
        .merge(mappings::routes())
        .merge(providers::routes())
        .merge(service_providers::routes())
        .merge(websso::routes())
}
