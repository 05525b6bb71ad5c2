//! Metadata definitions: namespaces, the items in them, and resource types.

use std::collections::BTreeSet;

use serde_json::Value;
use updraft_model::Timestamp;
use updraft_model::image::metadef::{Item, ItemKind, Namespace, ResourceType};

use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::{Insert, Select};

const NAMESPACES: &str = "SELECT namespace, owner, visibility, protected, display_name, description, created_at, \
                          updated_at FROM metadef_namespaces";
const ITEMS: &str = "SELECT namespace, kind, name, body, created_at, updated_at FROM metadef_items";

/// The sequence that says which edition of the stock namespaces was loaded.
const STOCK: &str = "stock metadefs";

fn namespace(row: &Row) -> Result<Namespace, StoreError> {
    let visibility: String = row.try_get("visibility")?;
    Ok(Namespace {
        namespace: row.try_get("namespace")?,
        owner: row.try_get("owner")?,
        public: visibility == "public",
        protected: row.try_get("protected")?,
        display_name: row.try_get("display_name")?,
        description: row.try_get("description")?,
        created_at: Timestamp(row.try_get("created_at")?),
        updated_at: Timestamp(row.try_get("updated_at")?),
    })
}

fn item(row: &Row) -> Result<Item, StoreError> {
    let kind: String = row.try_get("kind")?;
    let body: String = row.try_get("body")?;
    let body: Value = serde_json::from_str(&body).map_err(|_| StoreError::corrupt("metadef_items.body"))?;
    Ok(Item {
        namespace: row.try_get("namespace")?,
        kind: ItemKind::parse(&kind).ok_or_else(|| StoreError::corrupt("metadef_items.kind"))?,
        name: row.try_get("name")?,
        body,
        created_at: Timestamp(row.try_get("created_at")?),
        updated_at: Timestamp(row.try_get("updated_at")?),
    })
}

fn word(public: bool) -> &'static str {
    if public { "public" } else { "private" }
}

/// Adds a namespace. `Duplicate` when the name is taken.
pub async fn insert_namespace(tx: &mut Tx, namespace: &Namespace) -> Result<(), StoreError> {
    query(
        "INSERT INTO metadef_namespaces (namespace, owner, visibility, protected, display_name, description, \
         created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&namespace.namespace)
    .bind(&namespace.owner)
    .bind(word(namespace.public))
    .bind(namespace.protected)
    .bind(&namespace.display_name)
    .bind(&namespace.description)
    .bind(namespace.created_at.0)
    .bind(namespace.updated_at.0)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes the namespace that was called `name`; what is in it follows a new name. `Duplicate` when that is taken.
pub async fn update_namespace(tx: &mut Tx, name: &str, namespace: &Namespace) -> Result<(), StoreError> {
    query(
        "UPDATE metadef_namespaces SET namespace = ?, owner = ?, visibility = ?, protected = ?, display_name = ?, \
         description = ?, updated_at = ? WHERE namespace = ?",
    )
    .bind(&namespace.namespace)
    .bind(&namespace.owner)
    .bind(word(namespace.public))
    .bind(namespace.protected)
    .bind(&namespace.display_name)
    .bind(&namespace.description)
    .bind(namespace.updated_at.0)
    .bind(name)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes a namespace with everything in it.
pub async fn delete_namespace(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    query("DELETE FROM metadef_namespaces WHERE namespace = ?").bind(name).execute(tx).await?;
    Ok(())
}

pub async fn get_namespace(conn: &mut Conn, name: &str) -> Result<Option<Namespace>, StoreError> {
    let rows = Select::new(NAMESPACES).and_eq("namespace", Some(name)).fetch(conn).await?;
    rows.first().map(namespace).transpose()
}

pub async fn list_namespaces(conn: &mut Conn) -> Result<Vec<Namespace>, StoreError> {
    Select::new(NAMESPACES).order("namespace", None).fetch(conn).await?.iter().map(namespace).collect()
}

/// Adds an item. `Duplicate` when the namespace has one of that kind and name.
pub async fn insert_item(tx: &mut Tx, item: &Item) -> Result<(), StoreError> {
    query(
        "INSERT INTO metadef_items (namespace, kind, name, body, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(&item.namespace)
    .bind(item.kind.as_str())
    .bind(&item.name)
    .bind(item.body.to_string())
    .bind(item.created_at.0)
    .bind(item.updated_at.0)
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes the item that was called `name`. `Duplicate` when its new name is taken.
pub async fn update_item(tx: &mut Tx, name: &str, item: &Item) -> Result<(), StoreError> {
    query(
        "UPDATE metadef_items SET name = ?, body = ?, updated_at = ? WHERE namespace = ? AND kind = ? AND name = ?",
    )
    .bind(&item.name)
    .bind(item.body.to_string())
    .bind(item.updated_at.0)
    .bind(&item.namespace)
    .bind(item.kind.as_str())
    .bind(name)
    .execute(tx)
    .await?;
    Ok(())
}

/// False when there was none.
pub async fn delete_item(
    tx: &mut Tx,
    namespace: &str,
    kind: ItemKind,
    name: &str,
) -> Result<bool, StoreError> {
    let changed = query("DELETE FROM metadef_items WHERE namespace = ? AND kind = ? AND name = ?")
        .bind(namespace)
        .bind(kind.as_str())
        .bind(name)
        .execute(tx)
        .await?;
    Ok(changed > 0)
}

pub async fn delete_items(tx: &mut Tx, namespace: &str, kind: ItemKind) -> Result<(), StoreError> {
    query("DELETE FROM metadef_items WHERE namespace = ? AND kind = ?")
        .bind(namespace)
        .bind(kind.as_str())
        .execute(tx)
        .await?;
    Ok(())
}

pub async fn get_item(
    conn: &mut Conn,
    namespace: &str,
    kind: ItemKind,
    name: &str,
) -> Result<Option<Item>, StoreError> {
    let select = Select::new(ITEMS).and_eq("namespace", Some(namespace)).and_eq("kind", Some(kind.as_str()));
    let rows = select.and_eq("name", Some(name)).fetch(conn).await?;
    rows.first().map(item).transpose()
}

/// Items by name: of one namespace or of all, of one kind or of all.
pub async fn list_items(
    conn: &mut Conn,
    namespace: Option<&str>,
    kind: Option<ItemKind>,
) -> Result<Vec<Item>, StoreError> {
    let select = Select::new(ITEMS).and_eq("namespace", namespace).and_eq("kind", kind.map(ItemKind::as_str));
    select.order("namespace, kind, name", None).fetch(conn).await?.iter().map(item).collect()
}

/// Makes a resource type known, if it is not yet.
pub async fn ensure_resource_type(tx: &mut Tx, name: &str, now: Timestamp) -> Result<(), StoreError> {
    let known = Select::new("SELECT name FROM metadef_resource_types").and_eq("name", Some(name)).fetch(tx);
    if !known.await?.is_empty() {
        return Ok(());
    }
    query("INSERT INTO metadef_resource_types (name, protected, created_at, updated_at) VALUES (?, ?, ?, ?)")
        .bind(name)
        .bind(false)
        .bind(now.0)
        .bind(now.0)
        .execute(tx)
        .await?;
    Ok(())
}

pub async fn list_resource_types(conn: &mut Conn) -> Result<Vec<ResourceType>, StoreError> {
    let rows = query("SELECT name, created_at, updated_at FROM metadef_resource_types ORDER BY name");
    rows.fetch_all(conn)
        .await?
        .iter()
        .map(|row| {
            Ok(ResourceType {
                name: row.try_get("name")?,
                created_at: Timestamp(row.try_get("created_at")?),
                updated_at: Timestamp(row.try_get("updated_at")?),
            })
        })
        .collect()
}

/// The edition of the stock namespaces that was loaded last; 0 for none.
pub async fn stock_edition(conn: &mut Conn) -> Result<i64, StoreError> {
    let row = query("SELECT latest FROM sequences WHERE name = ?").bind(STOCK).fetch_optional(conn).await?;
    row.map_or(Ok(0), |row| row.try_get("latest"))
}

/// Notes that everything up to this edition was loaded.
pub async fn note_stock_edition(tx: &mut Tx, edition: i64) -> Result<(), StoreError> {
    let changed = query("UPDATE sequences SET latest = ? WHERE name = ?").bind(edition).bind(STOCK);
    if changed.execute(tx).await? == 0 {
        let made = query("INSERT INTO sequences (name, latest) VALUES (?, ?)").bind(STOCK).bind(edition);
        made.execute(tx).await?;
    }
    Ok(())
}

/// Adds namespaces and what is in them in a few statements, and makes the resource types known that they are for.
pub async fn insert_stock(
    tx: &mut Tx,
    namespaces: &[Namespace],
    items: &[Item],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut known: BTreeSet<String> =
        list_resource_types(tx).await?.into_iter().map(|resource_type| resource_type.name).collect();
    let mut types = Insert::new("metadef_resource_types (name, protected, created_at, updated_at)");
    for item in items.iter().filter(|item| item.kind == ItemKind::ResourceType) {
        if known.insert(item.name.clone()) {
            types.row([(&item.name).into(), false.into(), now.0.into(), now.0.into()]);
        }
    }
    types.execute(tx).await?;
    let mut rows = Insert::new(
        "metadef_namespaces (namespace, owner, visibility, protected, display_name, description, created_at, \
         updated_at)",
    );
    for namespace in namespaces {
        rows.row([
            (&namespace.namespace).into(),
            (&namespace.owner).into(),
            word(namespace.public).into(),
            namespace.protected.into(),
            (&namespace.display_name).into(),
            (&namespace.description).into(),
            namespace.created_at.0.into(),
            namespace.updated_at.0.into(),
        ]);
    }
    rows.execute(tx).await?;
    let mut rows = Insert::new("metadef_items (namespace, kind, name, body, created_at, updated_at)");
    for item in items {
        rows.row([
            (&item.namespace).into(),
            item.kind.as_str().into(),
            (&item.name).into(),
            item.body.to_string().into(),
            item.created_at.0.into(),
            item.updated_at.0.into(),
        ]);
    }
    rows.execute(tx).await
}
