//! vhost-user-net ports, uplink and the responders answered inside.
