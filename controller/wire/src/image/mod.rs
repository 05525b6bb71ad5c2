//! JSON shapes of the image API, v2 (<https://docs.openstack.org/api-ref/image/v2/>).

mod member;
pub mod patch;
pub mod schemas;
mod view;

pub use member::{MemberCreate, MemberList, MemberUpdate, MemberView};
pub use view::{ImageList, ImageView};
