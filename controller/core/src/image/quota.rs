//! How much a project's images may use: Glance's unified limits, counted in the transaction that uses more. A resource
//! that identity has no registered limit for is not limited.

use std::collections::BTreeMap;

use updraft_store::identity::limit;
use updraft_store::image::usage;
use updraft_store::{Conn, Tx};

use crate::{Caller, Core, Error, ErrorKind, Result};

const MIB: u64 = 1 << 20;
/// The limit that never refuses.
const UNLIMITED: i64 = -1;
/// The service whose registered limits these are.
const SERVICE: &str = "image";

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quota {
    /// Images.
    CountTotal,
    /// Images whose data is on its way.
    CountUploading,
    /// MiB of data.
    SizeTotal,
    /// MiB of data that lies ready for imports.
    StageTotal,
}

impl Quota {
    const ALL: [Self; 4] = [Self::CountTotal, Self::CountUploading, Self::SizeTotal, Self::StageTotal];

    const fn name(self) -> &'static str {
        match self {
            Self::CountTotal => "image_count_total",
            Self::CountUploading => "image_count_uploading",
            Self::SizeTotal => "image_size_total",
            Self::StageTotal => "image_stage_total",
        }
    }

    async fn used(self, conn: &mut Conn, project_id: &str) -> Result<i64> {
        let mib = |bytes: i64| bytes / i64::try_from(MIB).unwrap_or(1);
        Ok(match self {
            Self::CountTotal => usage::count(conn, project_id).await?,
            Self::CountUploading => usage::count_uploading(conn, project_id).await?,
            Self::SizeTotal => mib(usage::bytes(conn, project_id).await?),
            Self::StageTotal => mib(usage::staged_bytes(conn, project_id).await?),
        })
    }
}

/// Whose quotas count, and where.
#[derive(Clone, Debug)]
pub(super) struct Payer {
    region: String,
    project_id: String,
}

impl Payer {
    pub fn of(core: &Core, project_id: &str) -> Self {
        Self { region: core.config.region.clone(), project_id: project_id.to_owned() }
    }

    /// Refuses with 413 when the project would have more than it may. Call it in the transaction that uses more.
    pub async fn check(&self, tx: &mut Tx, quota: Quota, more: i64) -> Result<()> {
        let limit = limit::effective(tx, SERVICE, &self.region, quota.name(), &self.project_id).await?;
        let Some(limit) = limit.filter(|limit| *limit != UNLIMITED) else { return Ok(()) };
        let used = quota.used(tx, &self.project_id).await?;
        if used.saturating_add(more) <= limit {
            return Ok(());
        }
        let message = format!(
            "Project {} is over a limit for [Resource {} is over limit of {limit} due to current usage {used} and delta \
             {more}]",
            self.project_id,
            quota.name()
        );
        Err(Error::new(ErrorKind::OverQuota, "LimitExceeded", message))
    }

    /// The same for data of so many bytes; of an unknown number, what is there already must fit.
    pub async fn check_bytes(&self, tx: &mut Tx, quota: Quota, bytes: Option<u64>) -> Result<()> {
        let more = i64::try_from(bytes.unwrap_or(0) / MIB).unwrap_or(i64::MAX);
        self.check(tx, quota, more).await
    }
}

/// A limit, and what is used of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub limit: i64,
    pub usage: i64,
}

/// What the caller's project uses of what is limited, by the limits' names.
pub async fn usage(core: &Core, caller: &Caller) -> Result<BTreeMap<&'static str, Usage>> {
    let Some(project_id) = &caller.project_id else { return Ok(BTreeMap::new()) };
    let mut conn = core.read().await?;
    let mut found = BTreeMap::new();
    for quota in Quota::ALL {
        let region = &core.config.region;
        let limit = limit::effective(&mut conn, SERVICE, region, quota.name(), project_id).await?;
        if let Some(limit) = limit {
            let usage = quota.used(&mut conn, project_id).await?;
            found.insert(quota.name(), Usage { limit, usage });
        }
    }
    Ok(found)
}
