//! Use cases of the image service.
//!
//! An image is a record first and data later: [`create`] makes the record, [`upload`] takes the data, looks
//! at what it really is, and only then makes the image active. The file of an active image never changes.

mod access;
mod attributes;
mod create;
mod delete;
mod download;
mod files;
mod list;
pub mod member;
mod update;
mod upload;

pub use access::get;
pub use create::create;
pub use delete::delete;
pub use download::{OpenImage, download, open_for_host};
pub use files::clean_up;
pub use list::list;
pub use update::{Change, add_tag, deactivate, reactivate, remove_tag, update};
pub use upload::upload;
