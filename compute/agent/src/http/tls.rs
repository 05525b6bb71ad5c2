//! The agent's own address with TLS, where it is not this machine's alone.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::TlsFiles;

/// How long the other end may take to say whom it is talking to.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Sessions that wait to be served.
const WAITING: usize = 64;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} is no PEM file of what it should be: {source}")]
    Pem { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("the certificate and its key are of no use: {0}")]
    Key(#[from] rustls::Error),
    #[error("{0}")]
    Address(#[from] io::Error),
}

/// Accepts TLS sessions: several at a time, so that a slow one keeps nobody waiting.
#[derive(Debug)]
pub struct TlsListener {
    address: SocketAddr,
    sessions: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    /// Ends with the listener.
    _accepting: JoinSet<()>,
}

impl TlsListener {
    /// Shows the certificate of `files` to whoever comes to `listener`.
    ///
    /// # Errors
    /// The files cannot be read or do not belong together.
    pub fn new(listener: TcpListener, files: &TlsFiles) -> Result<Self, TlsError> {
        let acceptor = acceptor(files)?;
        let address = listener.local_addr()?;
        let (sender, sessions) = mpsc::channel(WAITING);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, acceptor, sender));
        Ok(Self { address, sessions, _accepting: accepting })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.sessions.recv().await {
            Some(session) => session,
            // The task that accepts ends with this listener only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

async fn accept(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    sessions: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let mut greeting = JoinSet::new();
    loop {
        // Axum's own: it logs what fails, and rests where that helps.
        let (stream, peer) = Listener::accept(&mut listener).await;
        let (acceptor, sessions) = (acceptor.clone(), sessions.clone());
        while greeting.try_join_next().is_some() {}
        greeting.spawn(async move {
            match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(session)) => drop(sessions.send((session, peer)).await),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS session"),
                Err(_) => tracing::debug!(%peer, "no TLS session in time"),
            }
        });
    }
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, source }
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(&files.cert_file).map_err(wrong(&files.cert_file))?.collect();
    let chain = chain.map_err(wrong(&files.cert_file))?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file).map_err(wrong(&files.key_file))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::{TlsError, TlsListener};
    use crate::config::TlsFiles;

    #[tokio::test]
    async fn sessions_are_served_to_those_who_know_the_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let files = TlsFiles {
            cert_file: directory.path().join("agent.pem"),
            key_file: directory.path().join("agent.key"),
        };
        std::fs::write(&files.cert_file, cert.pem()).unwrap();
        std::fs::write(&files.key_file, signing_key.serialize_pem()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TlsListener::new(listener, &files).unwrap();
        let router = Router::new().route("/", get(async || "here"));
        tokio::spawn(async move { axum::serve(listener, router).await });

        // Somebody who says nothing, and somebody who talks in clear, keep nobody waiting.
        let _silent = TcpStream::connect(address).await.unwrap();
        TcpStream::connect(address).await.unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let client = reqwest::Client::builder().no_proxy();
        let root = reqwest::Certificate::from_pem(cert.pem().as_bytes()).unwrap();
        let url = format!("https://{address}/");
        let trusting = client.tls_certs_only([root]).build().unwrap();
        assert_eq!(trusting.get(&url).send().await.unwrap().text().await.unwrap(), "here");
        let stranger = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        assert!(stranger.get(&url).send().await.is_err());

        std::fs::write(&files.key_file, "nothing").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert!(matches!(TlsListener::new(listener, &files).unwrap_err(), TlsError::Pem { .. }));
    }
}
