//! The contract of netd and blkd: what they are told and what they report, over a unix socket.
