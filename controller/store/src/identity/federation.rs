//! Identity providers, their protocols, mappings, and the clouds that trust this one.

use std::collections::BTreeMap;

use updraft_model::identity::{FederationProtocol, IdentityProvider, Mapping, ServiceProvider};

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT_IDP: &str =
    "SELECT id, domain_id, enabled, description, authorization_ttl FROM identity_providers";
const SELECT_MAPPING: &str = "SELECT id, schema_version, rules FROM federation_mappings";
const SELECT_PROTOCOL: &str = "SELECT id, idp_id, mapping_id, remote_id_attribute FROM federation_protocols";
const SELECT_SP: &str =
    "SELECT id, auth_url, sp_url, description, enabled, relay_state_prefix FROM service_providers";

fn idp_from_row(row: &Row) -> Result<IdentityProvider, StoreError> {
    Ok(IdentityProvider {
        id: row.try_get("id")?,
        domain_id: row.try_get("domain_id")?,
        enabled: row.try_get("enabled")?,
        description: row.try_get("description")?,
        remote_ids: Vec::new(),
        authorization_ttl: row.try_get("authorization_ttl")?,
    })
}

fn mapping_from_row(row: &Row) -> Result<Mapping, StoreError> {
    let rules: String = row.try_get("rules")?;
    Ok(Mapping {
        id: row.try_get("id")?,
        schema_version: row.try_get("schema_version")?,
        rules: serde_json::from_str(&rules).map_err(|_| StoreError::corrupt("federation_mappings.rules"))?,
    })
}

fn protocol_from_row(row: &Row) -> Result<FederationProtocol, StoreError> {
    Ok(FederationProtocol {
        id: row.try_get("id")?,
        idp_id: row.try_get("idp_id")?,
        mapping_id: row.try_get("mapping_id")?,
        remote_id_attribute: row.try_get("remote_id_attribute")?,
    })
}

fn sp_from_row(row: &Row) -> Result<ServiceProvider, StoreError> {
    Ok(ServiceProvider {
        id: row.try_get("id")?,
        auth_url: row.try_get("auth_url")?,
        sp_url: row.try_get("sp_url")?,
        description: row.try_get("description")?,
        enabled: row.try_get("enabled")?,
        relay_state_prefix: row.try_get("relay_state_prefix")?,
    })
}

/// Adds an identity provider. `Duplicate` when its id or one of its remote ids is taken.
pub async fn insert_idp(tx: &mut Tx, idp: &IdentityProvider) -> Result<(), StoreError> {
    query(
        "INSERT INTO identity_providers (id, domain_id, enabled, description, authorization_ttl) \
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(&idp.id)
    .bind(&idp.domain_id)
    .bind(idp.enabled)
    .bind(&idp.description)
    .bind(idp.authorization_ttl)
    .execute(tx)
    .await?;
    insert_remote_ids(tx, idp).await
}

/// Writes every field but the id and the domain. `Duplicate` when a remote id is taken.
pub async fn update_idp(tx: &mut Tx, idp: &IdentityProvider) -> Result<(), StoreError> {
    query("UPDATE identity_providers SET enabled = ?, description = ?, authorization_ttl = ? WHERE id = ?")
        .bind(idp.enabled)
        .bind(&idp.description)
        .bind(idp.authorization_ttl)
        .bind(&idp.id)
        .execute(tx)
        .await?;
    query("DELETE FROM idp_remote_ids WHERE idp_id = ?").bind(&idp.id).execute(tx).await?;
    insert_remote_ids(tx, idp).await
}

async fn insert_remote_ids(tx: &mut Tx, idp: &IdentityProvider) -> Result<(), StoreError> {
    for remote_id in &idp.remote_ids {
        query("INSERT INTO idp_remote_ids (remote_id, idp_id) VALUES (?, ?)")
            .bind(remote_id)
            .bind(&idp.id)
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// Removes the identity provider with its protocols; false when there was none.
pub async fn delete_idp(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM identity_providers WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get_idp(conn: &mut Conn, id: &str) -> Result<Option<IdentityProvider>, StoreError> {
    Ok(list_idps(conn, Some(id), None).await?.into_iter().next())
}

/// Identity providers in the order of their ids.
pub async fn list_idps(
    conn: &mut Conn,
    id: Option<&str>,
    enabled: Option<bool>,
) -> Result<Vec<IdentityProvider>, StoreError> {
    let rows = Select::new(SELECT_IDP)
        .and_eq("id", id)
        .and_eq("enabled", enabled)
        .order("id", None)
        .fetch(conn)
        .await?;
    let mut found = rows.iter().map(idp_from_row).collect::<Result<Vec<_>, _>>()?;
    let rows = Select::new("SELECT remote_id, idp_id FROM idp_remote_ids")
        .and_eq("idp_id", id)
        .order("remote_id", None)
        .fetch(conn)
        .await?;
    let mut remote_ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &rows {
        remote_ids.entry(row.try_get("idp_id")?).or_default().push(row.try_get("remote_id")?);
    }
    for idp in &mut found {
        idp.remote_ids = remote_ids.remove(&idp.id).unwrap_or_default();
    }
    Ok(found)
}

/// Adds a mapping. `Duplicate` when there is one of that id.
pub async fn insert_mapping(tx: &mut Tx, mapping: &Mapping) -> Result<(), StoreError> {
    query("INSERT INTO federation_mappings (id, schema_version, rules) VALUES (?, ?, ?)")
        .bind(&mapping.id)
        .bind(&mapping.schema_version)
        .bind(mapping.rules.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes the rules and their version; false when there is no such mapping.
pub async fn update_mapping(tx: &mut Tx, mapping: &Mapping) -> Result<bool, StoreError> {
    let changed = query("UPDATE federation_mappings SET schema_version = ?, rules = ? WHERE id = ?")
        .bind(&mapping.schema_version)
        .bind(mapping.rules.to_string())
        .bind(&mapping.id)
        .execute(tx)
        .await?;
    Ok(changed > 0)
}

/// Removes one; false when there was none.
pub async fn delete_mapping(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM federation_mappings WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

pub async fn get_mapping(conn: &mut Conn, id: &str) -> Result<Option<Mapping>, StoreError> {
    let rows = Select::new(SELECT_MAPPING).and_eq("id", Some(id)).fetch(conn).await?;
    rows.first().map(mapping_from_row).transpose()
}

pub async fn list_mappings(conn: &mut Conn) -> Result<Vec<Mapping>, StoreError> {
    Select::new(SELECT_MAPPING).order("id", None).fetch(conn).await?.iter().map(mapping_from_row).collect()
}

/// Adds a protocol. `Duplicate` when the identity provider has one of that id.
pub async fn insert_protocol(tx: &mut Tx, protocol: &FederationProtocol) -> Result<(), StoreError> {
    query(
        "INSERT INTO federation_protocols (id, idp_id, mapping_id, remote_id_attribute) VALUES (?, ?, ?, ?)",
    )
    .bind(&protocol.id)
    .bind(&protocol.idp_id)
    .bind(&protocol.mapping_id)
    .bind(&protocol.remote_id_attribute)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes every field but the ids.
pub async fn update_protocol(tx: &mut Tx, protocol: &FederationProtocol) -> Result<(), StoreError> {
    query(
        "UPDATE federation_protocols SET mapping_id = ?, remote_id_attribute = ? WHERE id = ? AND idp_id = ?",
    )
    .bind(&protocol.mapping_id)
    .bind(&protocol.remote_id_attribute)
    .bind(&protocol.id)
    .bind(&protocol.idp_id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes one; false when there was none.
pub async fn delete_protocol(tx: &mut Tx, idp_id: &str, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM federation_protocols WHERE id = ? AND idp_id = ?")
        .bind(id)
        .bind(idp_id)
        .execute(tx)
        .await?;
    Ok(changed > 0)
}

/// Protocols of an identity provider, or all; of one id, or all.
pub async fn list_protocols(
    conn: &mut Conn,
    idp_id: Option<&str>,
    id: Option<&str>,
) -> Result<Vec<FederationProtocol>, StoreError> {
    let rows = Select::new(SELECT_PROTOCOL)
        .and_eq("idp_id", idp_id)
        .and_eq("id", id)
        .order("idp_id, id", None)
        .fetch(conn)
        .await?;
    rows.iter().map(protocol_from_row).collect()
}

/// Adds a service provider. `Duplicate` when there is one of that id.
pub async fn insert_sp(tx: &mut Tx, sp: &ServiceProvider) -> Result<(), StoreError> {
    query(
        "INSERT INTO service_providers (id, auth_url, sp_url, description, enabled, relay_state_prefix) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(&sp.id)
    .bind(&sp.auth_url)
    .bind(&sp.sp_url)
    .bind(&sp.description)
    .bind(sp.enabled)
    .bind(&sp.relay_state_prefix)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes every field but the id.
pub async fn update_sp(tx: &mut Tx, sp: &ServiceProvider) -> Result<(), StoreError> {
    query(
        "UPDATE service_providers SET auth_url = ?, sp_url = ?, description = ?, enabled = ?, \
         relay_state_prefix = ? WHERE id = ?",
    )
    .bind(&sp.auth_url)
    .bind(&sp.sp_url)
    .bind(&sp.description)
    .bind(sp.enabled)
    .bind(&sp.relay_state_prefix)
    .bind(&sp.id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes one; false when there was none.
pub async fn delete_sp(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM service_providers WHERE id = ?").bind(id).execute(tx).await?;
    Ok(changed > 0)
}

/// Service providers in the order of their ids; of one id, or all.
pub async fn list_sps(
    conn: &mut Conn,
    id: Option<&str>,
    enabled: Option<bool>,
) -> Result<Vec<ServiceProvider>, StoreError> {
    let rows = Select::new(SELECT_SP)
        .and_eq("id", id)
        .and_eq("enabled", enabled)
        .order("id", None)
        .fetch(conn)
        .await?;
    rows.iter().map(sp_from_row).collect()
}
