//! Audit events: who did what, to what, with which outcome. Written once, never changed.

use serde_json::Value;

use crate::Timestamp;

/// One event, with what it is searched by beside the event itself.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    pub id: String,
    pub time: Timestamp,
    /// The request that it is about; a request that changed something and failed later has two events.
    pub request_id: String,
    pub initiator_id: Option<String>,
    /// The project of the initiator's token.
    pub project_id: Option<String>,
    pub succeeded: bool,
    /// Ids of everything that the request named or made.
    pub subjects: Vec<String>,
    /// The event as the CADF standard spells it (DMTF DSP0262).
    pub document: Value,
}

/// Which events are asked for; the newest come first.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    pub request_id: Option<String>,
    /// Named or made by the request.
    pub subject: Option<String>,
    pub project_id: Option<String>,
    pub since: Option<Timestamp>,
    pub failed_only: bool,
    pub limit: Option<u32>,
}
