//! `[bus]` of the configuration file.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use updraft_bus::{BrokerUrl, BusError, RabbitMqConfig};
use updraft_core::Bus;

/// Where the broker is, and what our things there are called.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusSection {
    /// `amqp://USER@HOST:PORT/VHOST`, or `amqps://…` for TLS.
    url: String,
    /// What the broker asks the user for.
    pub password_file: Option<PathBuf>,
    /// Authorities (PEM) that the broker's certificate may be of, besides the system's.
    ca_file: Option<PathBuf>,
    /// The topic exchange of notifications.
    #[serde(default = "default_exchange")]
    exchange: String,
    /// The first part of routing keys and queues: `notifications.info`.
    #[serde(default = "default_topic")]
    topic: String,
    /// Notifications that wait for the broker, at most.
    #[serde(default = "default_max_waiting_notifications")]
    pub max_waiting_notifications: u64,
}

/// oslo.messaging's `control_exchange`.
fn default_exchange() -> String {
    "openstack".to_owned()
}

/// oslo.messaging's `topics`.
fn default_topic() -> String {
    "notifications".to_owned()
}

pub fn default_max_waiting_notifications() -> u64 {
    200_000
}

const MAX_WAITING_NOTIFICATIONS: std::ops::RangeInclusive<u64> = 1..=10_000_000;
/// Names at a broker, with room for `.info` and `.error`.
const MAX_NAME_BYTES: usize = 200;

impl BusSection {
    /// The bus, or what is wrong with the section.
    pub fn bus(&self, password: Option<&str>) -> Result<Bus, String> {
        let url = self.url.parse::<BrokerUrl>().map_err(|error: BusError| format!("bus.url: {error}"))?;
        for (key, name) in [("bus.exchange", &self.exchange), ("bus.topic", &self.topic)] {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
            if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
                return Err(format!("{key} must have 1 to {MAX_NAME_BYTES} letters, digits, or any of -_.:"));
            }
            if name.starts_with("amq.") {
                return Err(format!("{key}: names that begin with amq. are the broker's own"));
            }
        }
        if !MAX_WAITING_NOTIFICATIONS.contains(&self.max_waiting_notifications) {
            return Err(format!("bus.max_waiting_notifications must be in {MAX_WAITING_NOTIFICATIONS:?}"));
        }
        let authority = self.ca_file.as_ref().map(|file| {
            fs::read_to_string(file).map_err(|error| format!("bus.ca_file = {}: {error}", file.display()))
        });
        let authority = authority.transpose()?;
        if authority.is_some() && !url.is_tls() {
            return Err("bus.ca_file is of use with an amqps:// URL alone".to_owned());
        }
        let url = match password {
            Some(password) => url.with_password(password),
            None => url,
        };
        let (exchange, topic) = (self.exchange.clone(), self.topic.clone());
        Ok(Bus::rabbitmq(RabbitMqConfig { url, authority, exchange, topic }))
    }
}
