//! How the controller reaches agents.

use std::time::Duration;

use crate::{Core, Error, Result};

/// A client that believes agents only by the authority of the configuration.
pub(crate) fn client(core: &Core, timeout: Duration) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder().no_proxy().timeout(timeout);
    if let Some(pem) = &core.config.agent_authority {
        let authority = reqwest::Certificate::from_pem(pem).map_err(Error::internal)?;
        builder = builder.tls_certs_only([authority]);
    }
    builder.build().map_err(Error::internal)
}
