//! The namespaces that a new cloud starts with: `stock/*.json`, each in the shape of `POST /v2/metadefs/namespaces`.
//!
//! They are what Glance ships and a cloud of QEMU guests has a use for, public and protected. Names, types and values are
//! Glance's, since drivers and dashboards go by them; the words are ours.
//!
//! Each is loaded once. The database has a mark, the *edition* that was loaded last: what an operator changed or deleted
//! since then stays so. A namespace that is added here gets the next edition, so clouds that are there already get that
//! one, unless they have one of that name. A change of a file reaches new clouds alone.

use std::collections::BTreeSet;

use updraft_model::Timestamp;
use updraft_model::image::metadef::{Item, Namespace};
use updraft_store::Tx;
use updraft_store::image::metadef as rows;
use updraft_wire::image::metadef::{NamespaceBody, NamespaceVisibility};

use super::contents;
use crate::{Core, Error, Result};

/// Whose they are, as in Glance: no project's, so administrators alone change them.
const OWNER: &str = "admin";

macro_rules! stock {
    ($($edition:literal $name:literal;)*) => {
        [$(($edition, include_str!(concat!("stock/", $name, ".json"))),)*]
    };
}

/// (edition, text).
const STOCK: &[(i64, &str)] = &stock! {
    1 "cinder-volumetype";
    1 "compute-aggregatediskfilter";
    1 "compute-aggregateioopsfilter";
    1 "compute-aggregatenuminstancesfilter";
    1 "compute-cpumode";
    1 "compute-cpupinning";
    1 "compute-guestmemorybacking";
    1 "compute-guestshutdownbehavior";
    1 "compute-hostcapabilities";
    1 "compute-hypervisor";
    1 "compute-instancedata";
    1 "compute-libvirt";
    1 "compute-libvirtimage";
    1 "compute-quota";
    1 "compute-randomnumbergenerator";
    1 "compute-tpm";
    1 "compute-virtcputopology";
    1 "compute-vtpm";
    1 "compute-watchdog";
    1 "glance-commonimageproperties";
    1 "glance-signatures";
    1 "operatingsystem";
};

fn newest() -> i64 {
    STOCK.iter().map(|(edition, _)| *edition).max().unwrap_or_default()
}

/// Loads what was never loaded; run at every start.
pub async fn ensure(core: &Core) -> Result<()> {
    if rows::stock_edition(&mut core.read().await?).await? >= newest() {
        return Ok(());
    }
    let now = core.clock.now();
    core.write(move |tx| Box::pin(async move { load(tx, now).await })).await
}

async fn load(tx: &mut Tx, now: Timestamp) -> Result<()> {
    let loaded = rows::stock_edition(tx).await?;
    let taken: BTreeSet<String> =
        rows::list_namespaces(tx).await?.into_iter().map(|namespace| namespace.namespace).collect();
    let (mut namespaces, mut items) = (Vec::new(), Vec::new());
    for (_, text) in STOCK.iter().filter(|(edition, _)| *edition > loaded) {
        let body: NamespaceBody = serde_json::from_str(text).map_err(Error::internal)?;
        if taken.contains(&body.namespace) {
            continue;
        }
        let namespace = namespace(&body, now);
        items.extend(contents(body).into_iter().map(|new| Item {
            namespace: namespace.namespace.clone(),
            kind: new.kind,
            name: new.name,
            body: new.body,
            created_at: now,
            updated_at: now,
        }));
        namespaces.push(namespace);
    }
    rows::insert_stock(tx, &namespaces, &items, now).await?;
    Ok(rows::note_stock_edition(tx, newest()).await?)
}

fn namespace(body: &NamespaceBody, now: Timestamp) -> Namespace {
    Namespace {
        namespace: body.namespace.clone(),
        owner: OWNER.to_owned(),
        public: body.visibility == Some(NamespaceVisibility::Public),
        protected: body.protected == Some(true),
        display_name: body.display_name.clone(),
        description: body.description.clone(),
        created_at: now,
        updated_at: now,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use updraft_wire::image::metadef::{NamespaceBody, NamespaceVisibility};

    use super::{STOCK, newest};

    #[test]
    fn every_file_is_a_namespace_that_the_api_would_take() {
        let mut names = BTreeSet::new();
        for (edition, text) in STOCK {
            let body: NamespaceBody =
                serde_json::from_str(text).unwrap_or_else(|why| panic!("{why}: {text}"));
            assert_eq!(body.check(), Ok(()), "{}", body.namespace);
            assert!((1..=newest()).contains(edition));
            assert_eq!((body.visibility, body.protected), (Some(NamespaceVisibility::Public), Some(true)));
            assert!(body.display_name.is_some() && body.description.is_some() && body.owner.is_none());
            assert!(!body.properties.is_empty() || !body.objects.is_empty(), "{}", body.namespace);
            assert!(names.insert(body.namespace), "one name twice");
        }
    }
}
