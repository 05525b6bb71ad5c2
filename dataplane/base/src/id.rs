//! Typed identifiers. Every id from outside becomes one of these before it is used in a path, a look-up or a
//! comparison, so that no string of a tenant ever reaches the file system.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new random (version 4) id.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            /// Accepts the dashed and the plain 32-digit form.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    )+};
}

ids! {
    /// A tenant's server (OpenStack compute).
    ServerId,
    /// A virtual disk of a server: a volume, or the root disk made from an image.
    DiskId,
    /// An image.
    ImageId,
    /// A physical machine that runs an agent.
    HostId,
    /// A network.
    NetworkId,
    /// A subnet.
    SubnetId,
    /// A port of a network: what a guest's network card is plugged into.
    PortId,
    /// A router.
    RouterId,
    /// A security group.
    SecurityGroupId,
    /// A floating IP.
    FloatingIpId,
}

#[cfg(test)]
mod tests {
    use super::ServerId;

    #[test]
    fn ids_refuse_what_is_not_a_uuid() {
        assert!("../../etc/passwd".parse::<ServerId>().is_err());
        assert!("".parse::<ServerId>().is_err());
    }

    #[test]
    fn ids_survive_json() {
        let id = ServerId::random();
        let text = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<ServerId>(&text).unwrap(), id);
    }
}
