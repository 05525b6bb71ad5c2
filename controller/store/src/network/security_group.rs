use std::collections::HashMap;
use std::net::IpAddr;

use updraft_model::network::{Direction, EtherType, RemotePeer, RuleSpec, SecurityGroup, SecurityGroupRule};

use super::columns::{integer_optional, parsed, parsed_optional, standard, to_json};
use crate::connection::{Conn, Tx};
use crate::error::StoreError;
use crate::query::{Row, query};
use crate::select::Select;

const SELECT: &str = "SELECT id, project_id, name, stateful, is_default, \
     description, tags, created_at, updated_at, revision FROM security_groups";

const SELECT_RULE: &str = "SELECT id, security_group_id, project_id, direction, ethertype, protocol, port_range_min, \
     port_range_max, remote_ip_prefix, remote_group_id, description, tags, created_at, updated_at, revision \
     FROM security_group_rules";

/// Groups whose rules are fetched by one statement; bounds its number of parameters.
const CHUNK: usize = 500;

/// What [`list`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct SecurityGroupFilter {
    pub ids: Option<Vec<String>>,
    pub names: Option<Vec<String>>,
    pub project_id: Option<String>,
}

/// What [`list_rules`] may be narrowed to; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct RuleFilter {
    pub ids: Option<Vec<String>>,
    pub group_ids: Option<Vec<String>>,
    /// Of the rule or of its group.
    pub project_id: Option<String>,
}

fn from_row(row: &Row) -> Result<SecurityGroup, StoreError> {
    Ok(SecurityGroup {
        id: row.try_get("id")?,
        project_id: row.try_get("project_id")?,
        name: row.try_get("name")?,
        stateful: row.try_get("stateful")?,
        is_default: row.try_get("is_default")?,
        rules: Vec::new(),
        standard: standard(row)?,
    })
}

fn rule_from_row(row: &Row) -> Result<SecurityGroupRule, StoreError> {
    let direction: String = row.try_get("direction")?;
    let ethertype: String = row.try_get("ethertype")?;
    let group: Option<String> = row.try_get("remote_group_id")?;
    let remote = match (group, parsed_optional(row, "remote_ip_prefix")?) {
        (Some(group), _) => RemotePeer::Group(group),
        (None, Some(prefix)) => RemotePeer::Prefix(prefix),
        (None, None) => RemotePeer::Any,
    };
    Ok(SecurityGroupRule {
        id: row.try_get("id")?,
        group_id: row.try_get("security_group_id")?,
        project_id: row.try_get("project_id")?,
        spec: RuleSpec {
            direction: Direction::parse(&direction).ok_or_else(|| StoreError::corrupt("rules.direction"))?,
            ethertype: EtherType::parse(&ethertype).ok_or_else(|| StoreError::corrupt("rules.ethertype"))?,
            protocol: row.try_get("protocol")?,
            port_range_min: integer_optional(row, "port_range_min")?,
            port_range_max: integer_optional(row, "port_range_max")?,
            remote,
        },
        standard: standard(row)?,
    })
}

/// Adds a group with its rules. `Duplicate` when it is a default group and the project has one.
pub async fn insert(tx: &mut Tx, group: &SecurityGroup) -> Result<(), StoreError> {
    query(
        "INSERT INTO security_groups (id, project_id, name, stateful, is_default, \
         description, tags, created_at, updated_at, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&group.id)
    .bind(&group.project_id)
    .bind(&group.name)
    .bind(group.stateful)
    .bind(group.is_default)
    .bind(&group.standard.description)
    .bind(to_json(&group.standard.tags)?)
    .bind(group.standard.created_at.0)
    .bind(group.standard.updated_at.0)
    .bind(group.standard.revision)
    .execute(tx)
    .await?;
    if group.is_default {
        query("INSERT INTO default_security_groups (project_id, security_group_id) VALUES (?, ?)")
            .bind(&group.project_id)
            .bind(&group.id)
            .execute(tx)
            .await?;
    }
    for rule in &group.rules {
        insert_rule(tx, rule).await?;
    }
    Ok(())
}

/// Writes every field that may change; rules never do.
pub async fn update(tx: &mut Tx, group: &SecurityGroup) -> Result<(), StoreError> {
    query(
        "UPDATE security_groups SET name = ?, stateful = ?, description = ?, tags = ?, updated_at = ?, revision = ? \
         WHERE id = ?",
    )
    .bind(&group.name)
    .bind(group.stateful)
    .bind(&group.standard.description)
    .bind(to_json(&group.standard.tags)?)
    .bind(group.standard.updated_at.0)
    .bind(group.standard.revision)
    .bind(&group.id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes a group that no port is a member of (`Reference` otherwise), its rules, and the rules that name it.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    query("DELETE FROM security_groups WHERE id = ?").bind(id).execute(tx).await?;
    Ok(())
}

pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<SecurityGroup>, StoreError> {
    let filter = SecurityGroupFilter { ids: Some(vec![id.to_owned()]), ..SecurityGroupFilter::default() };
    Ok(list(conn, &filter).await?.pop())
}

/// The id of the project's default group; `None` before its first use.
pub async fn default_of(conn: &mut Conn, project_id: &str) -> Result<Option<String>, StoreError> {
    let row = query("SELECT security_group_id FROM default_security_groups WHERE project_id = ?")
        .bind(project_id)
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.try_get("security_group_id")).transpose()
}

/// Groups with their rules, in the order in which they were made.
pub async fn list(conn: &mut Conn, filter: &SecurityGroupFilter) -> Result<Vec<SecurityGroup>, StoreError> {
    let rows = Select::new(SELECT)
        .and_in("id", filter.ids.as_deref())
        .and_in("name", filter.names.as_deref())
        .and_eq("project_id", filter.project_id.as_deref())
        .order("created_at, id", None)
        .fetch(conn)
        .await?;
    let mut groups = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
    for chunk in groups.chunks_mut(CHUNK) {
        let ids = chunk.iter().map(|group| group.id.clone()).collect();
        let rules = list_rules(conn, &RuleFilter { group_ids: Some(ids), ..RuleFilter::default() }).await?;
        let mut by_id: HashMap<String, &mut SecurityGroup> =
            chunk.iter_mut().map(|group| (group.id.clone(), group)).collect();
        for rule in rules {
            if let Some(group) = by_id.get_mut(&rule.group_id) {
                group.rules.push(rule);
            }
        }
    }
    Ok(groups)
}

pub async fn insert_rule(tx: &mut Tx, rule: &SecurityGroupRule) -> Result<(), StoreError> {
    let (prefix, group) = match &rule.spec.remote {
        RemotePeer::Any => (None, None),
        RemotePeer::Prefix(prefix) => (Some(prefix.to_string()), None),
        RemotePeer::Group(group) => (None, Some(group)),
    };
    query(
        "INSERT INTO security_group_rules (id, security_group_id, project_id, direction, ethertype, protocol, \
         port_range_min, port_range_max, remote_ip_prefix, remote_group_id, \
         description, tags, created_at, updated_at, revision) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&rule.id)
    .bind(&rule.group_id)
    .bind(&rule.project_id)
    .bind(rule.spec.direction.as_str())
    .bind(rule.spec.ethertype.as_str())
    .bind(&rule.spec.protocol)
    .bind(rule.spec.port_range_min.map(i64::from))
    .bind(rule.spec.port_range_max.map(i64::from))
    .bind(prefix)
    .bind(group)
    .bind(&rule.standard.description)
    .bind(to_json(&rule.standard.tags)?)
    .bind(rule.standard.created_at.0)
    .bind(rule.standard.updated_at.0)
    .bind(rule.standard.revision)
    .execute(tx)
    .await?;
    Ok(())
}

pub async fn delete_rule(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    query("DELETE FROM security_group_rules WHERE id = ?").bind(id).execute(tx).await?;
    Ok(())
}

/// Rules in the order in which they were made.
pub async fn list_rules(conn: &mut Conn, filter: &RuleFilter) -> Result<Vec<SecurityGroupRule>, StoreError> {
    let mut select = Select::new(SELECT_RULE)
        .and_in("id", filter.ids.as_deref())
        .and_in("security_group_id", filter.group_ids.as_deref());
    if let Some(project) = filter.project_id.as_deref() {
        select = select
            .and_raw("(project_id = ")
            .bind(project)
            .raw(" OR security_group_id IN (SELECT id FROM security_groups WHERE project_id = ")
            .bind(project)
            .raw("))");
    }
    select.order("created_at, id", None).fetch(conn).await?.iter().map(rule_from_row).collect()
}

/// The addresses of each group's members, on all hosts.
pub async fn members(conn: &mut Conn, ids: &[String]) -> Result<HashMap<String, Vec<IpAddr>>, StoreError> {
    let mut members: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for chunk in ids.chunks(CHUNK) {
        let rows = Select::new(
            "SELECT m.security_group_id AS group_id, f.address AS address FROM port_security_groups m \
             JOIN port_fixed_ips f ON f.port_id = m.port_id",
        )
        .and_in("m.security_group_id", Some(chunk))
        .order("group_id, address", None)
        .fetch(conn)
        .await?;
        for row in &rows {
            members.entry(row.try_get("group_id")?).or_default().push(parsed(row, "address")?);
        }
    }
    Ok(members)
}
