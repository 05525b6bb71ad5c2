//! The contract between controller and host: plan and observed state.
