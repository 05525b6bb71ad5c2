//! Use cases of the image service.
//!
//! An image is a record first and data later: [`create`] makes the record, [`upload`] or an [`import`] brings the
//! data, looks at what it really is, and only then makes the image active. The file of an active image never changes.

mod access;
mod attributes;
mod create;
mod delete;
pub mod doctor;
mod download;
mod files;
pub mod import;
mod list;
pub mod location;
pub mod member;
pub mod metadef;
mod quota;
mod receive;
mod scan;
pub mod task;
mod update;
mod upload;

pub use access::{get, sees_stores};
pub use create::create;
pub use delete::{delete, delete_from_store};
pub use download::{OpenImage, download, open_for_host};
pub use files::sweep as clean_up;
pub use list::list;
pub use quota::{Usage, usage};
pub use scan::SCAN_COMMAND;
pub use update::{Change, add_tag, deactivate, reactivate, remove_tag, update};
pub use upload::{stage, upload};
