//! Paths of the contract, on the controller and on the agent.

/// `GET ?known=<generation>&wait_s=<seconds>`: 200 with a [`HostPlan`](crate::plan::HostPlan) whose generation is
/// not `known`, or 304 after `wait_s` (at most [`MAX_WAIT_S`]) without a change. 409 before the host's first report:
/// until then the controller does not know which host the credential belongs to.
pub const PLAN: &str = "/host/v1/plan";
/// `PUT` a [`HostObserved`](crate::observed::HostObserved): 204.
pub const OBSERVED: &str = "/host/v1/observed";
/// `GET {IMAGES}/{image_id}/file`: the image's bytes, only for images in the host's plan (others: 404).
pub const IMAGES: &str = "/host/v1/images";

/// `POST` with the secret of `updraft host add` as bearer token: 201 and the host's own credential, once.
pub const ENROLMENT: &str = "/host/v1/enrolment";
/// `POST`: 201 and a credential in place of the one that is shown.
pub const CREDENTIAL: &str = "/host/v1/credential";

/// On the agent: `GET {SERVERS}/{server_id}/console-log?length=<lines>`: the last lines of the serial console, as bytes.
/// `GET {SERVERS}/{server_id}/vnc` and `…/serial`: a WebSocket of binary messages, to and from the guest's display
/// (RFB) or serial port.
pub const SERVERS: &str = "/agent/v1/servers";

/// On the agent: `GET` a [`HostInventory`](crate::inventory::HostInventory), with the host's credential.
pub const INVENTORY: &str = "/agent/v1/inventory";
/// On the agent: `GET`, without credential: 200 and `ok`, or 503 and the host's problems, one a line.
pub const HEALTH: &str = "/healthz";

/// The longest that a request for the plan may wait, in seconds.
pub const MAX_WAIT_S: u64 = 30;
/// How long a host's plan may go unpulled before the host counts as down, in seconds.
pub const HOST_DOWN_AFTER_S: u64 = 60;
