//! Which policy document is for which endpoints.

use updraft_model::identity::PolicyPlace;

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

/// A place in one text: no two places have the same.
fn key(place: &PolicyPlace) -> String {
    match place {
        PolicyPlace::Endpoint(id) => format!("endpoint/{id}"),
        PolicyPlace::Service(id) => format!("service/{id}"),
        PolicyPlace::Region { service_id, region_id } => format!("region/{service_id}/{region_id}"),
    }
}

fn from_row(row: &Row) -> Result<PolicyPlace, StoreError> {
    let columns = (row.try_get("endpoint_id")?, row.try_get("service_id")?, row.try_get("region_id")?);
    match columns {
        (Some(id), None, None) => Ok(PolicyPlace::Endpoint(id)),
        (None, Some(id), None) => Ok(PolicyPlace::Service(id)),
        (None, Some(service_id), Some(region_id)) => Ok(PolicyPlace::Region { service_id, region_id }),
        _ => Err(StoreError::corrupt("policy_associations")),
    }
}

/// Makes a document that of a place, instead of any other.
pub async fn set(tx: &mut Tx, policy_id: &str, place: &PolicyPlace) -> Result<(), StoreError> {
    let (endpoint_id, service_id, region_id) = match place {
        PolicyPlace::Endpoint(id) => (Some(id), None, None),
        PolicyPlace::Service(id) => (None, Some(id), None),
        PolicyPlace::Region { service_id, region_id } => (None, Some(service_id), Some(region_id)),
    };
    query("DELETE FROM policy_associations WHERE place = ?").bind(key(place)).execute(tx).await?;
    query(
        "INSERT INTO policy_associations (place, policy_id, endpoint_id, service_id, region_id) \
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(key(place))
    .bind(policy_id)
    .bind(endpoint_id)
    .bind(service_id)
    .bind(region_id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes a document from a place; nothing when it is not there.
pub async fn unset(tx: &mut Tx, policy_id: &str, place: &PolicyPlace) -> Result<(), StoreError> {
    query("DELETE FROM policy_associations WHERE place = ? AND policy_id = ?")
        .bind(key(place))
        .bind(policy_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// The id of the place's document.
pub async fn policy_of(conn: &mut Conn, place: &PolicyPlace) -> Result<Option<String>, StoreError> {
    let row = query("SELECT policy_id FROM policy_associations WHERE place = ?")
        .bind(key(place))
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.try_get("policy_id")).transpose()
}

/// The places of a document.
pub async fn places_of(conn: &mut Conn, policy_id: &str) -> Result<Vec<PolicyPlace>, StoreError> {
    let rows = Select::new("SELECT endpoint_id, service_id, region_id FROM policy_associations")
        .and_eq("policy_id", Some(policy_id))
        .order("place", None)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}
