//! Use cases: policy, quota, tasks, scheduling, reconciliation.
