//! Mappings: named sets of rules.

use serde_json::Value;
use updraft_model::identity::Mapping;
use updraft_store::identity::federation;

use super::rules::Rules;
use super::{check_id, invalid};
use crate::identity::checks;
use crate::identity::permission::{self, Target};
use crate::{Caller, Core, Error, Result};

const DEFAULT_VERSION: &str = "1.0";
/// Versions of the rules' schema. 3.0, which also takes roles away, is not spoken.
const VERSIONS: [&str; 2] = ["1.0", "2.0"];

fn checked(id: &str, rules: Option<Value>, version: Option<String>) -> Result<Mapping> {
    check_id(id)?;
    let rules = rules.ok_or_else(|| invalid("'rules' is a required property"))?;
    let schema_version = version.unwrap_or_else(|| DEFAULT_VERSION.into());
    if !VERSIONS.contains(&schema_version.as_str()) {
        return Err(invalid(format!("'schema_version' is one of {VERSIONS:?}")));
    }
    Rules::parse(&rules).map_err(|problem| invalid(problem.to_string()))?;
    Ok(Mapping { id: id.to_owned(), schema_version, rules })
}

pub async fn create(
    core: &Core,
    caller: &Caller,
    id: &str,
    rules: Option<Value>,
    version: Option<String>,
) -> Result<Mapping> {
    permission::enforce(caller, "identity:create_mapping", &Target::default())?;
    let mapping = checked(id, rules, version)?;
    core.write(move |tx| {
        Box::pin(async move {
            checks::unique("mapping", &mapping.id, federation::insert_mapping(tx, &mapping).await)?;
            Ok(mapping)
        })
    })
    .await
}

pub async fn update(
    core: &Core,
    caller: &Caller,
    id: &str,
    rules: Option<Value>,
    version: Option<String>,
) -> Result<Mapping> {
    permission::enforce(caller, "identity:update_mapping", &Target::default())?;
    let mapping = checked(id, rules, version)?;
    core.write(move |tx| {
        Box::pin(async move {
            match federation::update_mapping(tx, &mapping).await? {
                true => Ok(mapping),
                false => Err(checks::not_found("mapping", &mapping.id)),
            }
        })
    })
    .await
}

pub async fn get(core: &Core, caller: &Caller, id: &str) -> Result<Mapping> {
    permission::enforce(caller, "identity:get_mapping", &Target::default())?;
    let found = federation::get_mapping(&mut core.read().await?, id).await?;
    found.ok_or_else(|| checks::not_found("mapping", id))
}

pub async fn list(core: &Core, caller: &Caller) -> Result<Vec<Mapping>> {
    permission::enforce(caller, "identity:list_mappings", &Target::default())?;
    Ok(federation::list_mappings(&mut core.read().await?).await?)
}

/// Deletes a mapping; 409 while a protocol reads by it.
pub async fn delete(core: &Core, caller: &Caller, id: &str) -> Result<()> {
    permission::enforce(caller, "identity:delete_mapping", &Target::default())?;
    let id = id.to_owned();
    core.write(move |tx| {
        Box::pin(async move {
            let protocols = federation::list_protocols(tx, None, None).await?;
            if protocols.iter().any(|protocol| protocol.mapping_id == id) {
                return Err(Error::conflict("Conflict", "A protocol uses the mapping."));
            }
            match federation::delete_mapping(tx, &id).await? {
                true => Ok(()),
                false => Err(checks::not_found("mapping", &id)),
            }
        })
    })
    .await
}
