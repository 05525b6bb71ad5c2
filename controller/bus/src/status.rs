use serde::Serialize;

/// The bus, for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BusStatus {
    /// `in-process` or `rabbitmq`.
    pub kind: &'static str,
    pub link: Link,
    pub counters: BusCounters,
}

/// Whether the broker is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Link {
    /// There is no broker to reach.
    Local,
    Connected {
        for_s: u64,
        /// The broker takes nothing for now (memory or disk are short), in its words.
        #[serde(skip_serializing_if = "Option::is_none")]
        blocked: Option<String>,
    },
    Away {
        for_s: u64,
        /// Why the last attempt failed; nothing before the first.
        reason: Option<String>,
    },
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BusCounters {
    /// Connections that were made.
    pub connections: u64,
    /// Nudges sent to other controllers; several of one moment count as one.
    pub nudges_sent: u64,
    /// Nudges heard from other controllers.
    pub nudges_heard: u64,
    /// Messages that were no nudges: of another version, too large, not to be read. They were dropped.
    pub dropped: u64,
    /// Notifications that the broker has confirmed.
    pub published: u64,
    /// Notifications that no queue took; they are sent again.
    pub returned: u64,
    /// Notifications that the broker refused; they are sent again.
    pub refused: u64,
}

impl BusStatus {
    pub(crate) fn in_process() -> Self {
        Self { kind: "in-process", link: Link::Local, counters: BusCounters::default() }
    }
}

impl std::fmt::Display for BusStatus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.kind;
        match &self.link {
            Link::Local => write!(formatter, "{kind}"),
            Link::Connected { for_s, blocked: None } => write!(formatter, "{kind}, connected for {for_s} s"),
            Link::Connected { for_s, blocked: Some(reason) } => {
                write!(formatter, "{kind}, connected for {for_s} s, blocked by the broker: {reason}")
            }
            Link::Away { for_s, reason: None } => write!(formatter, "{kind}, away for {for_s} s"),
            Link::Away { for_s, reason: Some(reason) } => {
                write!(formatter, "{kind}, away for {for_s} s: {reason}")
            }
        }
    }
}
