//! Wake-ups. The database is the truth: whatever is sent here may be lost, doubled or late, and costs time only.

mod nudge;

pub use nudge::{Listener, Nudge, Topic};
