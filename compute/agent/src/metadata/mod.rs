//! What a guest learns about itself: rendered once ([`documents`]), served at 169.254.169.254 ([`service`]) and put
//! on the config drive ([`config_drive`](crate::config_drive)).

pub mod documents;
pub mod ec2;
pub mod openstack;
pub mod service;
