//! The cloud's own certificate authority: made by the first `updraft up` that needs it, it signs the certificate of the
//! APIs and signs a new one when that comes to its end or the cloud's addresses change.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use nix::ifaddrs::getifaddrs;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde::{Deserialize, Serialize};

use crate::cloud::Cloud;
use crate::error::Error;
use crate::layout::{Layout, write_atomically, write_secret};

/// How long the authority lives. A cloud that outlives it gets another by removing its files.
const AUTHORITY_DAYS: i64 = 3650;
/// How long a server's certificate lives.
const SERVER_DAYS: i64 = 90;
/// How long before its end a server's certificate is replaced.
const RENEW_DAYS: i64 = 30;

/// Where the authority's files lie.
pub struct Authority {
    directory: PathBuf,
    name: String,
}

/// What was signed last; beside the certificate, so that it need not be taken apart.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Issued {
    names: BTreeSet<String>,
    ends_at: Timestamp,
}

impl Authority {
    pub fn new(layout: &Layout, cloud: &Cloud) -> Self {
        Self { directory: layout.tls_dir(), name: cloud.name.clone() }
    }

    /// The authority's certificate, which clients trust: `OS_CACERT`.
    pub fn certificate_file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// The server's certificate.
    pub fn server_certificate_file(&self) -> PathBuf {
        self.directory.join("server.pem")
    }

    pub fn server_key_file(&self) -> PathBuf {
        self.directory.join("server.key")
    }

    fn key_file(&self) -> PathBuf {
        self.directory.join("ca.key")
    }

    fn issued_file(&self) -> PathBuf {
        self.directory.join("server.toml")
    }

    /// Makes what is missing, replaces what is about to end or names other addresses. True when a certificate was
    /// signed; the controller reads it by itself.
    ///
    /// # Errors
    /// The file system's, or a key file that is none.
    pub fn ensure(&self, cloud: &Cloud, now: Timestamp) -> Result<bool, Error> {
        fs::create_dir_all(&self.directory).map_err(Error::path("make folder", &self.directory))?;
        let names = names(cloud);
        let last = fs::read_to_string(self.issued_file()).ok();
        let last: Option<Issued> = last.and_then(|text| toml::from_str(&text).ok());
        let renew_at = now + SignedDuration::from_hours(24 * RENEW_DAYS);
        let is_good = last.is_some_and(|last| last.names == names && last.ends_at > renew_at);
        if is_good && self.server_certificate_file().is_file() && self.server_key_file().is_file() {
            return Ok(false);
        }
        let issuer = self.issuer(now)?;
        let key = KeyPair::generate().map_err(failed)?;
        let ends_at = now + SignedDuration::from_hours(24 * SERVER_DAYS);
        let params = server_params(&names, now, ends_at)?;
        let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
        write_secret(&self.server_key_file(), &key.serialize_pem())?;
        write_atomically(&self.server_certificate_file(), &certificate.pem())?;
        let issued = toml::to_string(&Issued { names, ends_at });
        write_atomically(&self.issued_file(), &issued.map_err(Error::bad_file(&self.issued_file()))?)?;
        Ok(true)
    }

    /// The certificate and key of another host's agent, which is called `name`: both as PEM. They live as long as the
    /// authority; enrolling the host again replaces them.
    ///
    /// # Errors
    /// The file system's, or a name that no certificate can have.
    pub fn for_agent(&self, name: &str, now: Timestamp) -> Result<(String, String), Error> {
        let issuer = self.issuer(now)?;
        let key = KeyPair::generate().map_err(failed)?;
        let ends_at = now + SignedDuration::from_hours(24 * AUTHORITY_DAYS);
        let params = server_params(&BTreeSet::from([name.to_owned()]), now, ends_at)?;
        let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// The authority's key and name; made when they are missing.
    fn issuer(&self, now: Timestamp) -> Result<Issuer<'static, KeyPair>, Error> {
        let path = self.key_file();
        if let (Ok(pem), true) = (fs::read_to_string(&path), self.certificate_file().is_file()) {
            let key = KeyPair::from_pem(&pem).map_err(Error::bad_file(&path))?;
            // Only the name and the key of an issuer go into what it signs.
            return Ok(Issuer::new(authority_params(&self.name, now)?, key));
        }
        let key = KeyPair::generate().map_err(failed)?;
        let params = authority_params(&self.name, now)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        write_secret(&path, &key.serialize_pem())?;
        write_atomically(&self.certificate_file(), &certificate.pem())?;
        Ok(Issuer::new(params, key))
    }
}

fn failed(error: rcgen::Error) -> Error {
    Error::Certificate { source: error }
}

fn authority_params(name: &str, now: Timestamp) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, format!("Updraft cloud {name}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_life(&mut params, now, now + SignedDuration::from_hours(24 * AUTHORITY_DAYS));
    Ok(params)
}

fn server_params(
    names: &BTreeSet<String>,
    now: Timestamp,
    ends_at: Timestamp,
) -> Result<CertificateParams, Error> {
    let names: Vec<String> = names.iter().cloned().collect();
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, "Updraft");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    set_life(&mut params, now, ends_at);
    Ok(params)
}

/// From the day before, for clocks that are behind, to the day of the end.
fn set_life(params: &mut CertificateParams, now: Timestamp, ends_at: Timestamp) {
    let day = |time: Timestamp| {
        let date = time.to_zoned(TimeZone::UTC).date();
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = day(now - SignedDuration::from_hours(24));
    params.not_after = day(ends_at);
}

/// What clients may call the machine: the addresses listened on, this host by itself, and what the operator added.
fn names(cloud: &Cloud) -> BTreeSet<String> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    for listen in [cloud.listen.ip(), cloud.agent_listen.ip()] {
        if listen.is_unspecified() {
            addresses.extend(own_addresses());
        } else {
            addresses.push(listen);
        }
    }
    let mut names: BTreeSet<String> = addresses.iter().map(IpAddr::to_string).collect();
    names.insert("localhost".to_owned());
    names.extend(cloud.tls_names.iter().cloned());
    let hostname = fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
    let hostname = hostname.trim();
    if !hostname.is_empty() && hostname.is_ascii() {
        names.insert(hostname.to_owned());
    }
    names
}

/// The addresses of this host's interfaces, but those that change by themselves (IPv6 link-local).
fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let of = |address: nix::sys::socket::SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    };
    let is_lasting = |address: &IpAddr| match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    };
    interfaces.filter_map(|interface| of(interface.address?)).filter(is_lasting).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::sync::Arc;

    use jiff::{SignedDuration, Timestamp};
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

    use super::Authority;
    use crate::cloud::Cloud;
    use crate::layout::Layout;

    fn cloud(listen: &str) -> Cloud {
        Cloud {
            name: "test".into(),
            listen: listen.parse().unwrap(),
            agent_listen: "127.0.0.1:8701".parse().unwrap(),
            external_cidr: "203.0.113.0/24".parse().unwrap(),
            dns_upstreams: Vec::new(),
            tls: true,
            tls_names: vec!["cloud.example".into()],
        }
    }

    #[test]
    fn certificates_are_signed_anew_when_needed_and_only_then() {
        let directory = std::env::temp_dir().join(format!("u-ca-{}", std::process::id()));
        let layout = Layout::new(&directory).unwrap();
        let at_home = cloud("127.0.0.1:8700");
        let authority = Authority::new(&layout, &at_home);
        let now = Timestamp::now();
        assert!(authority.ensure(&at_home, now).unwrap());
        let (ca, first) = (
            fs::read(authority.certificate_file()).unwrap(),
            fs::read(authority.server_certificate_file()).unwrap(),
        );
        assert!(!authority.ensure(&at_home, now).unwrap());
        for secret in ["ca.key", "server.key"] {
            let mode = fs::metadata(layout.tls_dir().join(secret)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{secret}");
        }
        // Near its end, and for another address.
        assert!(!authority.ensure(&at_home, now + SignedDuration::from_hours(24 * 59)).unwrap());
        assert!(authority.ensure(&at_home, now + SignedDuration::from_hours(24 * 61)).unwrap());
        assert!(authority.ensure(&cloud("192.0.2.7:8700"), now).unwrap());
        assert_ne!(fs::read(authority.server_certificate_file()).unwrap(), first);
        assert_eq!(fs::read(authority.certificate_file()).unwrap(), ca, "clients trust the same authority");
        fs::remove_dir_all(directory).unwrap();
    }

    /// What a client that trusts `authority` says of a server with this certificate, at 127.0.0.1.
    async fn handshake(authority: &Path, certificate: &Path, key: &Path, name: &str) -> Result<(), String> {
        let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (near, far) = tokio::io::duplex(1 << 16);
        let accept = tokio_rustls::TlsAcceptor::from(Arc::new(server)).accept(far);
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connect = tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, near);
        let (_, connected) = tokio::join!(accept, connect);
        connected.map(drop).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn clients_that_trust_the_authority_accept_what_it_signs_for_the_names_it_is_for() {
        let directory = std::env::temp_dir().join(format!("u-hs-{}", std::process::id()));
        let layout = Layout::new(&directory).unwrap();
        let cloud = cloud("192.0.2.7:8700");
        let authority = Authority::new(&layout, &cloud);
        authority.ensure(&cloud, Timestamp::now()).unwrap();
        let ca = authority.certificate_file();
        let (certificate, key) = (authority.server_certificate_file(), authority.server_key_file());
        for name in ["127.0.0.1", "::1", "192.0.2.7", "localhost", "cloud.example"] {
            assert_eq!(handshake(&ca, &certificate, &key, name).await, Ok(()), "{name}");
        }
        assert!(handshake(&ca, &certificate, &key, "other.example").await.is_err());
        let (pem, key_pem) = authority.for_agent("node-2", Timestamp::now()).unwrap();
        let (certificate, key) = (directory.join("agent.pem"), directory.join("agent.key"));
        fs::write(&certificate, pem).unwrap();
        fs::write(&key, key_pem).unwrap();
        assert_eq!(handshake(&ca, &certificate, &key, "node-2").await, Ok(()));
        assert!(handshake(&ca, &certificate, &key, "127.0.0.1").await.is_err(), "it is node-2's alone");
        fs::remove_dir_all(directory).unwrap();
    }
}
