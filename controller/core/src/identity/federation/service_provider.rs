//! Clouds that trust this one.

use updraft_model::identity::ServiceProvider;
use updraft_store::identity::federation;

use super::{check_id, invalid};
use crate::identity::checks;
use crate::identity::permission::{self, Target};
use crate::{Caller, Core, Result};

/// The longest URL, in characters, as in Keystone's schema.
const MAX_URL_CHARS: usize = 225;
const RELAY_STATE_PREFIX: &str = "ss:mem:";

/// A service provider's fields; what is `None` keeps its value, or its default.
#[derive(Clone, Debug, Default)]
pub struct ServiceProviderFields {
    pub auth_url: Option<String>,
    pub sp_url: Option<String>,
    pub description: Option<Option<String>>,
    pub enabled: Option<bool>,
    pub relay_state_prefix: Option<String>,
}

pub async fn create(
    core: &Core,
    caller: &Caller,
    id: &str,
    fields: ServiceProviderFields,
) -> Result<ServiceProvider> {
    permission::enforce(caller, "identity:create_service_provider", &Target::default())?;
    check_id(id)?;
    let (Some(auth_url), Some(sp_url)) = (fields.auth_url, fields.sp_url) else {
        return Err(invalid("'auth_url' and 'sp_url' are required properties"));
    };
    let made = ServiceProvider {
        id: id.to_owned(),
        auth_url,
        sp_url,
        description: fields.description.flatten(),
        enabled: fields.enabled.unwrap_or(false),
        relay_state_prefix: fields.relay_state_prefix.unwrap_or_else(|| RELAY_STATE_PREFIX.into()),
    };
    check(&made)?;
    core.write(move |tx| {
        Box::pin(async move {
            checks::unique("service_provider", &made.id, federation::insert_sp(tx, &made).await)?;
            Ok(made)
        })
    })
    .await
}

fn check(provider: &ServiceProvider) -> Result<()> {
    let is_url = |url: &str| {
        (url.starts_with("https://") || url.starts_with("http://")) && url.chars().count() <= MAX_URL_CHARS
    };
    match is_url(&provider.auth_url) && is_url(&provider.sp_url) && provider.relay_state_prefix.len() <= 255 {
        true => Ok(()),
        false => Err(invalid("'auth_url' and 'sp_url' are URLs of up to 225 characters")),
    }
}

pub async fn update(
    core: &Core,
    caller: &Caller,
    id: &str,
    fields: ServiceProviderFields,
) -> Result<ServiceProvider> {
    permission::enforce(caller, "identity:update_service_provider", &Target::default())?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let found = federation::list_sps(tx, Some(&id), None).await?.into_iter().next();
            let mut provider = found.ok_or_else(|| checks::not_found("Service Provider", &id))?;
            provider.auth_url = fields.auth_url.unwrap_or(provider.auth_url);
            provider.sp_url = fields.sp_url.unwrap_or(provider.sp_url);
            provider.description = fields.description.unwrap_or(provider.description);
            provider.enabled = fields.enabled.unwrap_or(provider.enabled);
            provider.relay_state_prefix = fields.relay_state_prefix.unwrap_or(provider.relay_state_prefix);
            check(&provider)?;
            federation::update_sp(tx, &provider).await?;
            Ok(provider)
        })
    })
    .await
}

pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<ServiceProvider> {
    permission::enforce(caller, "identity:get_service_provider", &Target::default())?;
    let found = federation::list_sps(&mut core.read().await?, Some(id), None).await?.into_iter().next();
    found.ok_or_else(|| checks::not_found("Service Provider", id))
}

pub async fn list(
    core: &Core,
    caller: &Caller,
    id: Option<&str>,
    enabled: Option<bool>,
) -> Result<Vec<ServiceProvider>> {
    permission::enforce(caller, "identity:list_service_providers", &Target::default())?;
    Ok(federation::list_sps(&mut core.read().await?, id, enabled).await?)
}

/// Those that stand in every token.
pub async fn enabled(core: &Core) -> Result<Vec<ServiceProvider>> {
    Ok(federation::list_sps(&mut core.read().await?, None, Some(true)).await?)
}

pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    permission::enforce(caller, "identity:delete_service_provider", &Target::default())?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            match federation::delete_sp(tx, &id).await? {
                true => Ok(()),
                false => Err(checks::not_found("Service Provider", &id)),
            }
        })
    })
    .await
}
