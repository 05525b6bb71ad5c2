//! Manners: what every request gets, whatever service it is for.
//!
//! [`manners`] wraps everything (request id, trailing slashes, faults in the service's own envelope);
//! [`Call`], [`Auth`] and [`Body`] are the extractors that handlers use; an error is any `updraft_core::Error`
//! through [`Fault`].

mod access_rule;
mod audit;
mod auth;
mod body;
mod call;
mod cors;
mod endpoint;
mod envelope;
mod error_page;
mod fault;
mod flag;
mod idempotency;
mod json;
mod page;
mod rate;
mod request_id;

#[cfg(test)]
mod audit_tests;

pub mod byte_range;
pub mod health;
pub mod manners;
pub mod microversion;

#[cfg(test)]
mod tests;

pub use auth::{Auth, TOKEN_HEADER};
pub use body::{Body, Form, NoBody};
pub use call::Call;
pub use endpoint::{PublicEndpoint, endpoint_of};
pub(crate) use envelope::described as described_faults;
pub use fault::{Answer, Fault};
pub use flag::flag;
pub use page::Page;
pub use request_id::RequestId;
