//! Resources, their states and allowed transitions. No SQL, no HTTP.
