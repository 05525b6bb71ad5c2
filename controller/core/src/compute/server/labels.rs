//! What tenants stick on servers: metadata and tags.

use std::collections::BTreeMap;

use updraft_model::compute::Server;
use updraft_model::compute::quota::{Resource, UNLIMITED};
use updraft_store::compute::quota;

use super::super::access::{find, is_admin};
use super::{replan, store};
use crate::{Caller, Core, Error, ErrorKind, Result};

/// Characters of a metadata key or value.
const LONGEST_METADATA: usize = 255;
/// Nova's limits of tags.
const MOST_TAGS: usize = 50;
const LONGEST_TAG: usize = 60;

/// What to do with a server's metadata.
#[derive(Clone, Debug)]
pub enum MetadataChange {
    /// Nothing: only read all of it.
    Read,
    /// Nothing: only read one item of it.
    ReadOne,
    /// Everything else goes.
    Replace(BTreeMap<String, String>),
    /// Everything else stays.
    Merge(BTreeMap<String, String>),
    /// The same, of one item.
    SetOne(BTreeMap<String, String>),
    /// 404 when the key is not there.
    Remove(String),
}

impl MetadataChange {
    fn rule(&self) -> &'static str {
        match self {
            Self::Read => "os_compute_api:server-metadata:index",
            Self::ReadOne => "os_compute_api:server-metadata:show",
            Self::Replace(_) => "os_compute_api:server-metadata:update_all",
            Self::Merge(_) => "os_compute_api:server-metadata:create",
            Self::SetOne(_) => "os_compute_api:server-metadata:update",
            Self::Remove(_) => "os_compute_api:server-metadata:delete",
        }
    }
}

/// What to do with a server's tags; a rule decides about each.
#[derive(Clone, Debug)]
pub enum TagChange {
    Replace(Vec<String>),
    Add(String),
    /// 404 when the tag is not there.
    Remove(String),
    Clear,
}

/// Changes the metadata; answers all of it.
pub async fn change_metadata(
    core: &Core,
    caller: &Caller,
    id: &str,
    change: MetadataChange,
) -> Result<BTreeMap<String, String>> {
    let rule = change.rule();
    if let MetadataChange::Read | MetadataChange::ReadOne = change {
        return Ok(find(&mut core.read().await?, caller, id, rule).await?.spec.metadata);
    }
    let (caller, id, now) = (caller.clone(), id.to_owned(), core.clock.now());
    let metadata = core.write(move |tx| {
        Box::pin(async move {
            let mut server = find(tx, &caller, &id, rule).await?;
            refuse_locked(&server, &caller)?;
            let metadata = &mut server.spec.metadata;
            match change {
                MetadataChange::Read | MetadataChange::ReadOne => {}
                MetadataChange::Replace(new) => *metadata = new,
                MetadataChange::Merge(new) | MetadataChange::SetOne(new) => metadata.extend(new),
                MetadataChange::Remove(key) => {
                    let missing = || Error::not_found("MetadataItemNotFound", "Metadata item was not found");
                    metadata.remove(&key).ok_or_else(missing)?;
                }
            }
            let limit = quota::limits(tx, &server.project_id).await?.limit(Resource::MetadataItems);
            check_metadata(&server.spec.metadata, limit)?;
            store(tx, &mut server, now).await?;
            replan(tx, &server).await?;
            Ok(server.spec.metadata)
        })
    });
    let metadata = metadata.await?;
    core.nudge.send(crate::Topic::HostPlan);
    Ok(metadata)
}

/// Refuses metadata that is too long or too much (`limit` items, -1 for any number).
pub(crate) fn check_metadata(metadata: &BTreeMap<String, String>, limit: i64) -> Result<()> {
    let items = i64::try_from(metadata.len()).unwrap_or(i64::MAX);
    if limit != UNLIMITED && items > limit {
        let message = format!("Maximum number of metadata items exceeds {limit}");
        return Err(Error::new(ErrorKind::OverQuota, "MetadataLimitExceeded", message));
    }
    let fits = |text: &str| text.chars().count() <= LONGEST_METADATA;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_:. ".contains(c);
    let names = |key: &str| !key.is_empty() && fits(key) && key.chars().all(plain);
    match metadata.iter().find(|(key, value)| !names(key) || !fits(value)) {
        None => Ok(()),
        Some(_) => {
            let message = "Invalid metadata: keys have 1 to 255 of the characters a-z A-Z 0-9 - _ : . and space, values up to 255.";
            Err(Error::bad_request("InvalidMetadata", message))
        }
    }
}

/// A server's tags, in order; `one` when a single one is asked for.
pub async fn tags(core: &Core, caller: &Caller, id: &str, one: bool) -> Result<Vec<String>> {
    let rule = if one { "os_compute_api:os-server-tags:show" } else { "os_compute_api:os-server-tags:index" };
    Ok(find(&mut core.read().await?, caller, id, rule).await?.spec.tags)
}

/// Changes a server's tags; answers what they were, and what they are now, in order.
pub async fn change_tags(
    core: &Core,
    caller: &Caller,
    id: &str,
    change: TagChange,
) -> Result<(Vec<String>, Vec<String>)> {
    let (caller, id, now) = (caller.clone(), id.to_owned(), core.clock.now());
    core.write(move |tx| {
        Box::pin(async move {
            let rule = match &change {
                TagChange::Replace(_) => "os_compute_api:os-server-tags:update_all",
                TagChange::Add(_) => "os_compute_api:os-server-tags:update",
                TagChange::Remove(_) => "os_compute_api:os-server-tags:delete",
                TagChange::Clear => "os_compute_api:os-server-tags:delete_all",
            };
            let mut server = find(tx, &caller, &id, rule).await?;
            let before = server.spec.tags.clone();
            let tags = &mut server.spec.tags;
            match change {
                TagChange::Replace(new) => *tags = new,
                TagChange::Add(tag) => tags.push(tag),
                TagChange::Remove(tag) => {
                    let place = tags.iter().position(|known| *known == tag).ok_or_else(|| no_tag(&tag))?;
                    tags.remove(place);
                }
                TagChange::Clear => tags.clear(),
            }
            check_tags(&mut server.spec.tags)?;
            if server.spec.tags != before {
                store(tx, &mut server, now).await?;
            }
            Ok((before, server.spec.tags))
        })
    })
    .await
}

pub fn no_tag(tag: &str) -> Error {
    Error::not_found("ServerTagNotFound", format!("Server has no tag '{tag}'"))
}

/// Puts tags in order, and refuses those that could not be in a URL.
pub(crate) fn check_tags(tags: &mut Vec<String>) -> Result<()> {
    tags.sort();
    tags.dedup();
    let refuse = |message: &str| Err(Error::bad_request("InvalidTag", message));
    if tags.len() > MOST_TAGS {
        return refuse("The number of tags exceeded the per-server limit 50");
    }
    if tags.iter().any(|tag| tag.is_empty() || tag.chars().count() > LONGEST_TAG || tag.contains(['/', ',']))
    {
        return refuse("Invalid tag: a tag has 1 to 60 characters, none of them '/' or ','");
    }
    Ok(())
}

fn refuse_locked(server: &Server, caller: &Caller) -> Result<()> {
    if server.locked.is_some() && !is_admin(caller) {
        return Err(Error::conflict("InstanceIsLocked", format!("Instance {} is locked", server.id)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{check_metadata, check_tags};

    #[test]
    fn metadata_has_limits() {
        let one = |key: &str, value: String| BTreeMap::from([(key.to_owned(), value)]);
        assert!(check_metadata(&one("a", "b".into()), 1).is_ok());
        assert!(check_metadata(&one("a", "b".into()), 0).is_err());
        assert!(check_metadata(&one("a", "b".into()), -1).is_ok());
        for key in ["", "a/b", "é", &"a".repeat(256)] {
            assert!(check_metadata(&one(key, "b".into()), 1).is_err(), "{key}");
        }
        assert!(check_metadata(&one("a b:c.d-e_f", "b".into()), 1).is_ok());
        assert!(check_metadata(&one("a", "b".repeat(256)), 1).is_err());
    }

    #[test]
    fn tags_are_a_set() {
        let mut tags = vec!["b".to_owned(), "a".into(), "b".into()];
        check_tags(&mut tags).unwrap();
        assert_eq!(tags, ["a", "b"]);
        assert!(check_tags(&mut vec!["a/b".to_owned()]).is_err());
        assert!(check_tags(&mut (0..51).map(|n| n.to_string()).collect()).is_err());
    }
}
