//! SQL of the image service.

pub mod member;
pub mod record;
