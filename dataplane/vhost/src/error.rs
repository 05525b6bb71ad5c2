//! Why a connection is closed.

use std::io;

use updraft_virtio::MemoryError;

/// The frontend broke the protocol. Its connection is closed; it may connect again.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    #[error("a message of protocol version {version} (expected 1)")]
    Version { version: u32 },
    #[error("request {request} is unknown, or belongs to a feature that was not negotiated")]
    UnknownRequest { request: u32 },
    #[error("request {request} with a payload of {size} bytes")]
    PayloadSize { request: u32, size: u32 },
    #[error("request {request} came with {count} file descriptors")]
    Descriptors { request: u32, count: usize },
    #[error("a message with more file descriptors than the {limit} that are accepted")]
    DescriptorFlood { limit: usize },
    #[error("the connection ended in the middle of a message")]
    Cut,
    #[error("features {bits:#x} were not offered")]
    Features { bits: u64 },
    #[error("queue {index} of {count}")]
    QueueIndex { index: u32, count: usize },
    #[error("queue {index}: {field} cannot be {value}")]
    QueueField { index: u32, field: &'static str, value: u64 },
    #[error("a memory table that cannot be mapped")]
    Memory(#[from] MemoryError),
    #[error("a kick or call descriptor that is no eventfd")]
    NotAnEventFd,
}

/// How a session ends, if not by the frontend closing between two messages.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error("the connection failed")]
    Io(#[from] io::Error),
}
