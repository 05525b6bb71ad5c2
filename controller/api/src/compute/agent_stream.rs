//! The connection to a host's agent that a console passes through: in clear on this machine, else with TLS.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use updraft_core::{Core, Error, ErrorKind};

/// How long an agent may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes to and from an agent.
pub(super) trait AgentBytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> AgentBytes for T {}
pub(super) type AgentStream = Box<dyn AgentBytes>;

/// Connects to the agent of a `ws://` or `wss://` URL; its certificate must be of the configured authority.
pub(super) async fn open(core: &Core, url: &Uri) -> Result<AgentStream, Error> {
    let is_secure = url.scheme_str() == Some("wss");
    let port = url.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let connecting = async {
        let stream = TcpStream::connect((host, port)).await.map_err(unreachable)?;
        if !is_secure {
            return Ok(Box::new(stream) as AgentStream);
        }
        let name = ServerName::try_from(host.to_owned()).map_err(unreachable)?;
        let stream = connector(core)?.connect(name, stream).await.map_err(unreachable)?;
        Ok(Box::new(stream) as AgentStream)
    };
    timeout(CONNECT_TIMEOUT, connecting).await.map_err(unreachable)?
}

fn connector(core: &Core) -> Result<TlsConnector, Error> {
    let mut authorities = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_slice_iter(core.config.agent_authority.as_deref().unwrap_or_default())
    {
        authorities.add(certificate.map_err(Error::internal)?).map_err(Error::internal)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn unreachable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unavailable, "HostUnreachable", "The server's host does not answer.").because(error)
}
