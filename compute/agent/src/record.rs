//! What the agent must remember of a server: which epochs it has carried out. Written before the deed is shown to
//! anyone, so that a guest is started once for each epoch, whatever dies in between.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use updraft_base::{DiskId, ImageId};
use updraft_compute_api::plan::ServerPlan;

use crate::layout::write_durably;

/// The durable part of one server's state (`record.json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRecord {
    pub disk_id: DiskId,
    /// The image that the root disk is a clone of; kept on the host as long as this record is.
    pub image_id: ImageId,
    pub done: Epochs,
}

/// How often a server was started, and softly rebooted
/// (see [`PowerPlan`](updraft_compute_api::plan::PowerPlan)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epochs {
    pub start: u64,
    pub soft_reboot: u64,
}

impl Epochs {
    /// What a start under this plan carries out: a start is also as good as any soft reboot that was asked for.
    pub fn of(plan: &ServerPlan) -> Self {
        Self { start: plan.power.epoch, soft_reboot: plan.power.soft_reboot_epoch }
    }

    /// True when this is newer than `other` in any way.
    pub fn exceeds(self, other: Self) -> bool {
        self.start > other.start || self.soft_reboot > other.soft_reboot
    }

    /// The newer of each.
    pub fn max(self, other: Self) -> Self {
        Self { start: self.start.max(other.start), soft_reboot: self.soft_reboot.max(other.soft_reboot) }
    }
}

impl ServerRecord {
    /// The record of a server that the host has just heard of.
    pub fn new(plan: &ServerPlan) -> Self {
        Self { disk_id: plan.root_disk.id, image_id: plan.root_disk.image.id, done: Epochs::default() }
    }

    /// Reads a record; `None` when there is none.
    ///
    /// # Errors
    /// The file system's own, or content that is no record.
    pub fn load(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the record; when this returns, it is on the disk.
    ///
    /// # Errors
    /// The file system's own.
    pub fn store(&self, path: &Path) -> io::Result<()> {
        write_durably(path, &serde_json::to_vec_pretty(self)?)
    }
}
