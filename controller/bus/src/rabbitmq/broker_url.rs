use std::fmt;
use std::str::FromStr;

use lapin::uri::{AMQPScheme, AMQPUri};

use super::BusError;

/// Seconds between signs of life; a broker that is silent for two of them counts as lost.
const HEARTBEAT_S: u16 = 10;

/// `amqp://USER@HOST:PORT/VHOST`, or `amqps://…` for TLS. The password is kept apart, and shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl(AMQPUri);

impl BrokerUrl {
    /// With what the broker asks the user for.
    pub fn with_password(mut self, password: &str) -> Self {
        self.0.authority.userinfo.password = password.to_owned();
        self
    }

    pub fn is_tls(&self) -> bool {
        self.0.scheme == AMQPScheme::AMQPS
    }

    pub(super) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }
}

impl FromStr for BrokerUrl {
    type Err = BusError;

    fn from_str(text: &str) -> Result<Self, BusError> {
        let refuse = |problem| Err(BusError::Url { problem });
        let Some((_, rest)) = text.split_once("://") else {
            return refuse("a broker's URL is amqp://USER@HOST:PORT/VHOST or amqps://…");
        };
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
            return refuse("a password does not belong into the URL; it has a file of its own");
        }
        let Ok(mut uri) = text.parse::<AMQPUri>() else {
            return refuse("a broker's URL is amqp://USER@HOST:PORT/VHOST or amqps://…");
        };
        uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
        Ok(Self(uri))
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, vhost, .. } = &self.0;
        let (user, host, port) = (&authority.userinfo.username, &authority.host, authority.port);
        write!(formatter, "{scheme}://{user}@{host}:{port}/{}", vhost.replace('/', "%2f"))
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BrokerUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::BrokerUrl;

    #[test]
    fn urls_that_are_none_are_refused() {
        for text in ["", "rabbit", "http://host/", "amqp://user:secret@host/", "amqp://host:port/"] {
            let problem = text.parse::<BrokerUrl>().unwrap_err().to_string();
            assert!(!problem.contains("secret"), "{text}: {problem}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = "amqps://cloud@broker:5671/%2f".parse::<BrokerUrl>().unwrap().with_password("secret");
        assert_eq!(url.to_string(), "amqps://cloud@broker:5671/%2f");
        assert_eq!(format!("{url:?}"), "BrokerUrl(amqps://cloud@broker:5671/%2f)");
        assert!(url.is_tls());
        assert_eq!(url.uri().query.heartbeat, Some(10));
    }
}
