//! Identity providers and their protocols.

use updraft_model::Timestamp;
use updraft_model::id::new_keystone_id;
use updraft_model::identity::{Domain, Extra, FederationProtocol, IdentityProvider, Options};
use updraft_store::Tx;
use updraft_store::identity::{domain, federation};

use super::{check_id, idp_not_found, invalid, protocol_not_found};
use crate::identity::checks;
use crate::policy::Target;
use crate::{Caller, Core, Result};

/// Remote ids of one identity provider.
const MAX_REMOTE_IDS: usize = 64;
/// The longest remote id, in characters.
const MAX_REMOTE_ID_CHARS: usize = 255;

/// An identity provider's fields; what is `None` keeps its value, or its default.
#[derive(Clone, Debug, Default)]
pub struct IdentityProviderFields {
    pub domain_id: Option<String>,
    pub enabled: Option<bool>,
    pub description: Option<Option<String>>,
    pub remote_ids: Option<Vec<String>>,
    pub authorization_ttl: Option<Option<i64>>,
}

/// Makes an identity provider, with a domain of its own unless one is named. 409 when its id or one of its remote
/// ids is taken.
pub async fn create(
    core: &Core,
    caller: &Caller,
    id: &str,
    fields: IdentityProviderFields,
) -> Result<IdentityProvider> {
    caller.enforce("identity:create_identity_provider", &Target::default())?;
    check_id(id)?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let idp = IdentityProvider {
                domain_id: ensure_domain(tx, &id, fields.domain_id).await?,
                id,
                enabled: fields.enabled.unwrap_or(false),
                description: fields.description.flatten(),
                remote_ids: checked_remote_ids(fields.remote_ids.unwrap_or_default())?,
                authorization_ttl: checked_ttl(fields.authorization_ttl.flatten())?,
            };
            checks::unique("identity_provider", &idp.id, federation::insert_idp(tx, &idp).await)?;
            Ok(idp)
        })
    })
    .await
}

async fn ensure_domain(tx: &mut Tx, idp_id: &str, wanted: Option<String>) -> Result<String> {
    if let Some(id) = wanted {
        return match domain::get(tx, &id).await? {
            Some(domain) => Ok(domain.id),
            None => Err(checks::not_found("domain", &id)),
        };
    }
    let id = new_keystone_id();
    let domain = Domain {
        name: id.clone(),
        id,
        description: format!("Auto generated federated domain for Identity Provider: {idp_id}"),
        enabled: true,
        tags: Vec::new(),
        tokens_valid_after: Timestamp(0),
        options: Options::new(),
        extra: Extra::new(),
    };
    domain::insert(tx, &domain).await?;
    Ok(domain.id)
}

fn checked_ttl(ttl: Option<i64>) -> Result<Option<i64>> {
    match ttl.is_some_and(i64::is_negative) {
        true => Err(invalid("'authorization_ttl' is less than 0")),
        false => Ok(ttl),
    }
}

fn checked_remote_ids(mut remote_ids: Vec<String>) -> Result<Vec<String>> {
    let count = remote_ids.len();
    remote_ids.sort();
    remote_ids.dedup();
    let fits = |id: &String| (1..=MAX_REMOTE_ID_CHARS).contains(&id.chars().count());
    match remote_ids.len() == count && count <= MAX_REMOTE_IDS && remote_ids.iter().all(fits) {
        true => Ok(remote_ids),
        false => Err(invalid("'remote_ids' are too many, too long or not unique")),
    }
}

/// Changes an identity provider; its domain stays. Disabling it ends its users' tokens.
pub async fn update(
    core: &Core,
    caller: &Caller,
    id: &str,
    fields: IdentityProviderFields,
) -> Result<IdentityProvider> {
    caller.enforce("identity:update_identity_provider", &Target::default())?;
    if fields.domain_id.is_some() {
        return Err(invalid("'domain_id' does not change"));
    }
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let mut idp = federation::get_idp(tx, &id).await?.ok_or_else(|| idp_not_found(&id))?;
            idp.enabled = fields.enabled.unwrap_or(idp.enabled);
            idp.description = fields.description.unwrap_or(idp.description);
            idp.authorization_ttl = checked_ttl(fields.authorization_ttl.unwrap_or(idp.authorization_ttl))?;
            if let Some(remote_ids) = fields.remote_ids {
                idp.remote_ids = checked_remote_ids(remote_ids)?;
            }
            checks::unique("identity_provider", &idp.id, federation::update_idp(tx, &idp).await)?;
            Ok(idp)
        })
    })
    .await
}

pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<IdentityProvider> {
    caller.enforce("identity:get_identity_provider", &Target::default())?;
    federation::get_idp(&mut core.read().await?, id).await?.ok_or_else(|| idp_not_found(id))
}

pub async fn list(
    core: &Core,
    caller: &Caller,
    id: Option<&str>,
    enabled: Option<bool>,
) -> Result<Vec<IdentityProvider>> {
    caller.enforce("identity:list_identity_providers", &Target::default())?;
    Ok(federation::list_idps(&mut core.read().await?, id, enabled).await?)
}

/// Deletes an identity provider with its protocols; its users' tokens end, the users stay.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    caller.enforce("identity:delete_identity_provider", &Target::default())?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            match federation::delete_idp(tx, &id).await? {
                true => Ok(()),
                false => Err(idp_not_found(&id)),
            }
        })
    })
    .await
}

/// Makes a protocol of an identity provider, which reads by a mapping.
pub async fn create_protocol(
    core: &Core,
    caller: &Caller,
    protocol: FederationProtocol,
) -> Result<FederationProtocol> {
    caller.enforce("identity:create_protocol", &Target::default())?;
    check_id(&protocol.id)?;
    core.write(move |tx| {
        Box::pin(async move {
            if federation::get_idp(tx, &protocol.idp_id).await?.is_none() {
                return Err(idp_not_found(&protocol.idp_id));
            }
            check_mapping(tx, &protocol.mapping_id).await?;
            let made = federation::insert_protocol(tx, &protocol).await;
            checks::unique("federation_protocol", &protocol.id, made)?;
            Ok(protocol)
        })
    })
    .await
}

async fn check_mapping(tx: &mut Tx, id: &str) -> Result<()> {
    match federation::get_mapping(tx, id).await? {
        Some(_) => Ok(()),
        None => Err(invalid(format!("Could not find mapping: {id}."))),
    }
}

/// Lets a protocol read by another mapping, or find its issuer elsewhere.
pub async fn update_protocol(
    core: &Core,
    caller: &Caller,
    idp_id: &str,
    id: &str,
    mapping_id: Option<String>,
    remote_id_attribute: Option<Option<String>>,
) -> Result<FederationProtocol> {
    caller.enforce("identity:update_protocol", &Target::default())?;
    let (idp_id, id) = (idp_id.to_owned(), id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            let found = federation::list_protocols(tx, Some(&idp_id), Some(&id)).await?.into_iter().next();
            let mut protocol = found.ok_or_else(|| protocol_not_found(&idp_id, &id))?;
            protocol.mapping_id = mapping_id.unwrap_or(protocol.mapping_id);
            protocol.remote_id_attribute = remote_id_attribute.unwrap_or(protocol.remote_id_attribute);
            check_mapping(tx, &protocol.mapping_id).await?;
            federation::update_protocol(tx, &protocol).await?;
            Ok(protocol)
        })
    })
    .await
}

pub async fn get_protocol(
    core: &Core,
    caller: &Caller,
    idp_id: &str,
    id: &str,
) -> Result<FederationProtocol> {
    caller.enforce("identity:get_protocol", &Target::default())?;
    let found = federation::list_protocols(&mut core.read().await?, Some(idp_id), Some(id)).await?;
    found.into_iter().next().ok_or_else(|| protocol_not_found(idp_id, id))
}

pub async fn list_protocols(core: &Core, caller: &Caller, idp_id: &str) -> Result<Vec<FederationProtocol>> {
    caller.enforce("identity:list_protocols", &Target::default())?;
    let mut conn = core.read().await?;
    federation::get_idp(&mut conn, idp_id).await?.ok_or_else(|| idp_not_found(idp_id))?;
    Ok(federation::list_protocols(&mut conn, Some(idp_id), None).await?)
}

pub async fn delete_protocol(core: &Core, caller: &Caller, idp_id: &str, id: &str) -> Result<()> {
    caller.enforce("identity:delete_protocol", &Target::default())?;
    let (idp_id, id) = (idp_id.to_owned(), id.to_owned());
    core.write(move |tx| {
        Box::pin(async move {
            match federation::delete_protocol(tx, &idp_id, &id).await? {
                true => Ok(()),
                false => Err(protocol_not_found(&idp_id, &id)),
            }
        })
    })
    .await
}
