//! Microversions (API guide "Microversions"; history in the API reference, "REST API Version History").

use std::fmt;

/// The minor number of a 2.x version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microversion(pub u16);

impl Microversion {
    pub const MIN: Self = Self(1);
    /// 2.96 is OpenStack 2024.1's. What is newer (shares, image properties in servers, asynchronous attachment) is not
    /// offered, so no higher number is claimed.
    pub const MAX: Self = Self(96);

    /// Whether this is 2.`minor` or later.
    pub const fn at_least(self, minor: u16) -> bool {
        self.0 >= minor
    }
}

impl fmt::Display for Microversion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "2.{}", self.0)
    }
}
