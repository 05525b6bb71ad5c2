//! Going to a URL that a tenant chose, without being sent to where only we can go (server-side request forgery,
//! CVE-2026-34881; CVE-2016-9185).
//!
//! A name is resolved once, every address it has is checked, and the connection goes to the checked addresses and no
//! others, so that a name that changes its mind (DNS rebinding) gains nothing. Redirects are followed by hand, each
//! checked like the first URL. Only http and https, only the ports that are allowed, no credentials, no proxy.

mod address;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::header::LOCATION;
use reqwest::{Response, StatusCode, Url};

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 3;
/// The longest URL, in bytes.
const MAX_URL_BYTES: usize = 2048;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the other side may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// What the operator allows and forbids. What is forbidden is never allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRules {
    /// Networks that may be gone to although they are not of the open Internet.
    pub allowed_networks: Vec<IpNet>,
    pub denied_networks: Vec<IpNet>,
    /// Names (or addresses) that alone may be gone to; empty: any.
    pub allowed_hosts: Vec<String>,
    pub denied_hosts: Vec<String>,
    /// Ports that may be gone to.
    pub ports: Vec<u16>,
    /// The longest that one download may take.
    pub time_limit: Duration,
}

impl Default for FetchRules {
    fn default() -> Self {
        Self {
            allowed_networks: Vec::new(),
            denied_networks: Vec::new(),
            allowed_hosts: Vec::new(),
            denied_hosts: Vec::new(),
            ports: vec![80, 443],
            time_limit: Duration::from_secs(4 * 3600),
        }
    }
}

/// Why nothing came. The messages are for the tenant: they say no more of our network than the tenant said itself.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the URL is not allowed: {0}")]
    Refused(&'static str),
    #[error("the host of the URL cannot be found")]
    Unresolved { source: io::Error },
    #[error("the URL cannot be reached")]
    Unreachable { source: reqwest::Error },
    #[error("the URL is redirected more than {MAX_REDIRECTS} times")]
    Redirects,
    #[error("the URL answers with status {0}")]
    Status(u16),
}

type Addresses<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// From a name to its addresses. Tests bring their own.
pub trait Resolve: Debug + Send + Sync {
    fn resolve<'a>(&'a self, host: &'a str) -> Addresses<'a>;
}

/// The system's resolver.
#[derive(Debug)]
struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Addresses<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Fetches what tenants' URLs name.
#[derive(Clone, Debug)]
pub struct Fetcher {
    rules: FetchRules,
    resolver: Arc<dyn Resolve>,
}

impl Fetcher {
    pub fn new(rules: FetchRules) -> Self {
        Self::with_resolver(rules, Arc::new(SystemResolver))
    }

    pub fn with_resolver(rules: FetchRules, resolver: Arc<dyn Resolve>) -> Self {
        Self { rules, resolver }
    }

    /// What can be said of a URL without asking anybody, for an early refusal; [`Self::get`] looks again.
    ///
    /// # Errors
    /// [`FetchError::Refused`].
    pub fn check(&self, url: &str) -> Result<(), FetchError> {
        self.parse(url).map(|_| ())
    }

    /// Goes to the URL; the answer's status is 200 and its body has yet to be read. The caller bounds its size and the
    /// time that it takes.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn get(&self, url: &str) -> Result<Response, FetchError> {
        let (mut url, mut host) = self.parse(url)?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.hop(&url, &host).await?;
            match response.status() {
                StatusCode::OK => return Ok(response),
                status if status.is_redirection() => {
                    let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
                    let target = target.and_then(|target| url.join(target).ok());
                    let target = target.ok_or(FetchError::Status(status.as_u16()))?;
                    (url, host) = self.parse(target.as_str())?;
                }
                status => return Err(FetchError::Status(status.as_u16())),
            }
        }
        Err(FetchError::Redirects)
    }

    /// One request, to an address of the host that was checked.
    async fn hop(&self, url: &Url, host: &str) -> Result<Response, FetchError> {
        let port = url.port_or_known_default().ok_or(FetchError::Refused("it has no port"))?;
        let addresses = self.addresses(host).await?;
        let sockets: Vec<SocketAddr> =
            addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE)
            .resolve_to_addrs(host, &sockets)
            .build()
            .map_err(|source| FetchError::Unreachable { source })?;
        let response = client.get(url.clone()).send().await;
        let response = response.map_err(|source| FetchError::Unreachable { source })?;
        // The promise, looked at once more from the other end.
        match response.remote_addr() {
            Some(peer) if sockets.iter().any(|socket| socket.ip() == peer.ip()) => Ok(response),
            _ => Err(FetchError::Refused("another address answered")),
        }
    }

    /// The URL, and its host without brackets.
    fn parse(&self, text: &str) -> Result<(Url, String), FetchError> {
        if text.len() > MAX_URL_BYTES {
            return Err(FetchError::Refused("it is too long"));
        }
        // The parser would take the first part of the path for the host.
        if text.contains(":///") {
            return Err(FetchError::Refused("it has no host"));
        }
        let url = Url::parse(text).map_err(|_| FetchError::Refused("it is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Refused("only http and https are"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::Refused("it carries credentials"));
        }
        if !url.port_or_known_default().is_some_and(|port| self.rules.ports.contains(&port)) {
            return Err(FetchError::Refused("its port is not one that is allowed"));
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let is_in = |list: &[String]| list.iter().any(|known| known.eq_ignore_ascii_case(&name));
        let is_allowed = self.rules.allowed_hosts.is_empty() || is_in(&self.rules.allowed_hosts);
        if name.is_empty() || is_in(&self.rules.denied_hosts) || !is_allowed {
            return Err(FetchError::Refused("its host is not one that is allowed"));
        }
        // A number in any of its spellings is an address already.
        if let Ok(address) = host.parse() {
            self.check_address(address)?;
        }
        Ok((url, host))
    }

    /// The addresses of a host, when every one of them may be gone to.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, FetchError> {
        if let Ok(address) = host.parse() {
            return self.check_address(address).map(|()| vec![address]);
        }
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let found = tokio::time::timeout(RESOLVE_TIMEOUT, self.resolver.resolve(host)).await;
        let found = found.map_err(late).and_then(|found| found);
        let found = found.map_err(|source| FetchError::Unresolved { source })?;
        if found.is_empty() {
            return Err(FetchError::Unresolved { source: io::ErrorKind::NotFound.into() });
        }
        found.iter().try_for_each(|address| self.check_address(*address))?;
        Ok(found)
    }

    fn check_address(&self, address: IpAddr) -> Result<(), FetchError> {
        // An IPv4 address in IPv6's clothes is that IPv4 address to whoever connects to it.
        let seen = address.to_canonical();
        let is_in = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&seen));
        let is_allowed = is_in(&self.rules.allowed_networks) || (seen == address && address::is_public(seen));
        if is_allowed && !is_in(&self.rules.denied_networks) {
            return Ok(());
        }
        Err(FetchError::Refused("its address is not one of the open Internet"))
    }
}
