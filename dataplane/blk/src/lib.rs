//! vhost-user-blk over a BlockDevice.
