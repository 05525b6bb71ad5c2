//! JSON shapes of the image API, v2 (<https://docs.openstack.org/api-ref/image/v2/>).

mod member;
pub mod metadef;
pub mod metadef_schemas;
pub mod patch;
pub mod schemas;
mod task;
mod view;

pub use member::{MemberCreate, MemberList, MemberUpdate, MemberView};
pub use task::{ImageTaskList, ImageTaskView, TaskCreate, TaskList, TaskStub, TaskView};
pub use view::{ImageList, ImageView};
