//! Options of single domains.

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

/// One option of a domain. `content` is JSON, or that sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainOption {
    pub group: String,
    pub name: String,
    pub content: String,
    pub sealed: bool,
}

/// Writes an option, whatever it was before.
pub async fn set(tx: &mut Tx, domain_id: &str, option: &DomainOption) -> Result<(), StoreError> {
    delete(tx, domain_id, Some(&option.group), Some(&option.name)).await?;
    query(
        "INSERT INTO domain_options (domain_id, group_name, option_name, content, sealed) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(domain_id)
    .bind(&option.group)
    .bind(&option.name)
    .bind(&option.content)
    .bind(option.sealed)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes one option, the options of a group, or all of a domain.
pub async fn delete(
    tx: &mut Tx,
    domain_id: &str,
    group: Option<&str>,
    name: Option<&str>,
) -> Result<(), StoreError> {
    match (group, name) {
        (Some(group), Some(name)) => {
            query("DELETE FROM domain_options WHERE domain_id = ? AND group_name = ? AND option_name = ?")
                .bind(domain_id)
                .bind(group)
                .bind(name)
                .execute(tx)
                .await?
        }
        (Some(group), None) => {
            query("DELETE FROM domain_options WHERE domain_id = ? AND group_name = ?")
                .bind(domain_id)
                .bind(group)
                .execute(tx)
                .await?
        }
        (None, _) => {
            query("DELETE FROM domain_options WHERE domain_id = ?").bind(domain_id).execute(tx).await?
        }
    };
    Ok(())
}

/// The options of a domain; of one group or all, of one name or all.
pub async fn list(
    conn: &mut Conn,
    domain_id: &str,
    group: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<DomainOption>, StoreError> {
    let rows = Select::new("SELECT group_name, option_name, content, sealed FROM domain_options")
        .and_eq("domain_id", Some(domain_id))
        .and_eq("group_name", group)
        .and_eq("option_name", name)
        .order("group_name, option_name", None)
        .fetch(conn)
        .await?;
    rows.iter().map(from_row).collect()
}

fn from_row(row: &Row) -> Result<DomainOption, StoreError> {
    Ok(DomainOption {
        group: row.try_get("group_name")?,
        name: row.try_get("option_name")?,
        content: row.try_get("content")?,
        sealed: row.try_get("sealed")?,
    })
}

/// The sealed options of all domains: (domain, option).
pub async fn list_sealed(conn: &mut Conn) -> Result<Vec<(String, DomainOption)>, StoreError> {
    let rows = Select::new("SELECT domain_id, group_name, option_name, content, sealed FROM domain_options")
        .and_eq("sealed", Some(true))
        .order("domain_id, group_name, option_name", None)
        .fetch(conn)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("domain_id")?, from_row(row)?))).collect()
}
