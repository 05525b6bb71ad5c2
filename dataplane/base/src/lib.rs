//! Ids, addresses, units and limits that every other crate shares.
