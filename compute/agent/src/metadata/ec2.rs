//! The EC2-compatible tree (Nova user guide, "EC2-compatible metadata"), for images that know no other.

use updraft_base::ServerId;
use updraft_compute_api::metadata::ServerMetadata;

use crate::metadata::documents::Documents;

/// The versions that Nova publishes.
const VERSIONS: [&str; 10] = [
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "latest",
];

/// Hexadecimal digits of an EC2 instance id, after `i-`.
const INSTANCE_ID_DIGITS: usize = 17;

pub(super) fn render(
    documents: &mut Documents,
    id: ServerId,
    metadata: &ServerMetadata,
    user_data: Option<&[u8]>,
) {
    let digits = id.0.simple().to_string();
    let ipv4 = || metadata.nics.iter().flat_map(|nic| &nic.addresses).filter(|a| !a.address.contains(':'));
    let local_ipv4 = ipv4().next().map_or("", |address| &address.address);
    let public_ipv4 = ipv4().find_map(|address| address.floating_address.as_deref()).unwrap_or_default();
    let fixed = [
        ("ami-launch-index", "0"),
        ("hostname", &metadata.hostname),
        ("instance-action", "none"),
        ("instance-id", &format!("i-{}", &digits[..INSTANCE_ID_DIGITS])),
        ("instance-type", &metadata.flavor_name),
        ("local-hostname", &metadata.hostname),
        ("local-ipv4", local_ipv4),
        ("placement/availability-zone", &metadata.availability_zone),
        ("public-hostname", &metadata.hostname),
        ("public-ipv4", public_ipv4),
        ("reservation-id", &format!("r-{}", &digits[..8])),
        ("security-groups", &metadata.security_group_names.join("\n")),
    ];
    for version in VERSIONS {
        let root = format!("{version}/meta-data");
        for (name, value) in fixed {
            documents.insert(format!("{root}/{name}"), value);
        }
        let mut names = Vec::new();
        for (index, (name, key)) in metadata.public_keys.iter().enumerate() {
            documents.insert(format!("{root}/public-keys/{index}/openssh-key"), key.as_str());
            names.push(format!("{index}={name}"));
        }
        if !names.is_empty() {
            documents.list_as(format!("{root}/public-keys"), names.join("\n"));
        }
        if let Some(user_data) = user_data {
            documents.insert(format!("{version}/user-data"), user_data);
        }
    }
}
