//! The vhost-user request handler that the block and network backends share.
