//! The config drive: a small read-only disk with the documents of the metadata service, for guests without network.

mod iso;

use std::io;
use std::path::Path;

use updraft_base::ServerId;
use updraft_compute_api::metadata::ServerMetadata;

use crate::layout::write_durably;
use crate::metadata::documents::Documents;

/// The volume label by which guests find it (Nova user guide, "Config drives").
const LABEL: &str = "config-2";

/// Writes the config drive of a server.
///
/// # Errors
/// The file system's own.
pub fn create(path: &Path, id: ServerId, metadata: &ServerMetadata, random_seed: &[u8]) -> io::Result<()> {
    let documents = Documents::render(id, metadata, random_seed);
    let files: Vec<(&str, &[u8])> = documents.below("openstack").collect();
    write_durably(path, &iso::write(LABEL, &files)?)
}
