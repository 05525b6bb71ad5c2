//! Image records, rows of files and files, beside each other.

use std::collections::BTreeMap;

use updraft_model::image::{FileRole, ImageStatus};
use updraft_store::image::record::{self, ListOf};
use updraft_store::image::{file, task};

use crate::{Core, Result};

/// An import that is due for so long without being taken up is named, in microseconds; so is a file whose writer is.
const OVERDUE_US: i64 = 120_000_000;

/// What is wrong: (the image or file, in plain words). What is only on its way is not.
pub async fn examine(core: &Core) -> Result<Vec<(String, String)>> {
    let mut lengths = BTreeMap::new();
    if let Ok(mut entries) = tokio::fs::read_dir(&core.config.images_directory).await {
        while let Ok(Some(entry)) = entries.next_entry().await {
            if let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata().await) {
                lengths.insert(name, metadata.len());
            }
        }
    }
    let mut conn = core.read().await?;
    let files = file::list_all(&mut conn).await?;
    let images = record::list(&mut conn, ListOf::Cloud).await?;
    let tasks = task::list(&mut conn, None).await?;
    drop(conn);
    let now = core.clock.now();
    let mut findings = Vec::new();
    for file in &files {
        let length = lengths.remove(&file.name);
        if file.role == FileRole::Arriving && now.0 - file.held_until.0 > OVERDUE_US {
            findings.push((file.name.clone(), "its writer is silent and nobody clears up".into()));
        }
        if file.role != FileRole::Doomed && !images.iter().any(|image| image.id == file.image_id) {
            findings.push((file.name.clone(), "the image that it belongs to does not exist".into()));
        }
        if matches!(file.role, FileRole::Arriving | FileRole::Doomed) {
            continue;
        }
        match (length, file.measured.as_ref().map(|measured| measured.size_bytes)) {
            (Some(length), Some(expected)) if length == expected => {}
            (Some(length), expected) => findings
                .push((file.name.clone(), format!("the file has {length} bytes, its row says {expected:?}"))),
            (None, _) => findings.push((file.name.clone(), "the file is missing".into())),
        }
    }
    findings.extend(lengths.into_keys().map(|name| (name, "no image has this file".into())));
    for image in &images {
        let count = |role| files.iter().filter(|file| file.image_id == image.id && file.role == role).count();
        let data = count(FileRole::Data);
        if data != usize::from(image.data.is_some()) {
            findings.push((image.id.clone(), format!("it has {data} files of data")));
        }
        let imports = tasks.iter().filter(|task| task.image_id.as_ref() == Some(&image.id));
        let open = imports.filter(|task| !task.status.is_final()).count();
        if open != usize::from(image.status == ImageStatus::Importing) {
            findings.push((image.id.clone(), format!("it is {} with {open} imports", image.status.as_str())));
        }
        if count(FileRole::Staged) > usize::from(image.data.is_none()) {
            findings.push((image.id.clone(), "staged data is left over".into()));
        }
    }
    for task in tasks.iter().filter(|task| !task.status.is_final()) {
        if now.0 - task.run_at.0.max(task.lease_until.0) > OVERDUE_US {
            findings.push((task.id.clone(), "the import is due and nobody takes it up".into()));
        }
    }
    Ok(findings)
}
