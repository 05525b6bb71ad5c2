//! The certificate that the APIs are served with: read again when its files change, without dropping a connection.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// `[tls]` of the configuration: PEM files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The server's certificate, then those between it and its authority.
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} is no PEM file of what it should be")]
    Pem { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("{path} holds no certificate")]
    Empty { path: PathBuf },
    #[error("the certificate and its key are of no use")]
    Key { source: rustls::Error },
}

/// The certificate in use.
#[derive(Debug)]
pub struct Certificate {
    files: TlsFiles,
    /// How the files were before they were read first.
    first_marks: Marks,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// They cannot be read, or do not belong together.
    pub fn load(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let first_marks = marks(&files);
        let current = RwLock::new(Arc::new(read(&files)?));
        Ok(Arc::new(Self { files, first_marks, current }))
    }

    /// What turns a connection into a TLS session: TLS 1.3 or 1.2, HTTP/2 or 1.1.
    ///
    /// # Errors
    /// Never with the provider that is built in.
    pub fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(|source| TlsError::Key { source })?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again whenever they change, for ever. What cannot be read leaves the old certificate in use: the
    /// two files are not replaced at the same instant.
    pub async fn keep_fresh(self: Arc<Self>) {
        let mut known = self.first_marks;
        loop {
            tokio::time::sleep(LOOK_PERIOD).await;
            let found = marks(&self.files);
            if found == known {
                continue;
            }
            match read(&self.files) {
                Ok(fresh) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
                    known = found;
                    tracing::info!(file = %self.files.cert_file.display(), "the certificate was read again");
                }
                // Not noted as known: it is tried again at the next look.
                Err(error) => tracing::warn!(%error, "the new certificate is of no use (yet)"),
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, source }
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(&files.cert_file).map_err(wrong(&files.cert_file))?.collect();
    let chain = chain.map_err(wrong(&files.cert_file))?;
    if chain.is_empty() {
        return Err(TlsError::Empty { path: files.cert_file.clone() });
    }
    let key = PrivateKeyDer::from_pem_file(&files.key_file).map_err(wrong(&files.key_file))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|source| TlsError::Key { source })
}

/// What changes when a file does; nothing for one that is not there.
type Marks = [Option<(SystemTime, u64)>; 2];

fn marks(files: &TlsFiles) -> Marks {
    let mark = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    [mark(&files.cert_file), mark(&files.key_file)]
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    use axum::Router;
    use axum::routing::get;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use tokio::net::TcpListener;
    use tokio::sync::watch;

    use super::{Certificate, TlsError, TlsFiles};
    use crate::listen;

    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        pem: String,
    }

    fn authority() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// The key first: for a moment the two do not belong together, as when an operator copies them.
    fn issue(authority: &Authority, directory: &Path) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority.issuer).unwrap();
        let files =
            TlsFiles { cert_file: directory.join("server.pem"), key_file: directory.join("server.key") };
        fs::write(&files.key_file, key.serialize_pem()).unwrap();
        fs::write(&files.cert_file, certificate.pem()).unwrap();
        files
    }

    fn scratch() -> std::path::PathBuf {
        let directory = std::env::temp_dir().join(format!("updraft-tls-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&directory).unwrap();
        directory
    }

    fn client(authority: &Authority) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(authority.pem.as_bytes()).unwrap();
        // Each request makes a connection of its own, and so a handshake.
        reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([root])
            .pool_max_idle_per_host(0)
            .build()
            .unwrap()
    }

    /// THREATS A4-25.
    #[tokio::test(flavor = "multi_thread")]
    async fn requests_go_on_while_the_certificate_is_replaced() {
        let (directory, authority) = (scratch(), Arc::new(authority()));
        let certificate = Certificate::load(issue(&authority, &directory)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let (stop, stopping) = watch::channel(false);
        let router = Router::new().route("/", get(async || "here"));
        let acceptor = certificate.acceptor().unwrap();
        let server = tokio::spawn(listen::serve(listener, Some(acceptor), router, stopping));
        let fresh = tokio::spawn(Arc::clone(&certificate).keep_fresh());

        let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let (client, url) = (client(&authority), url.clone());
                let (done, answered) = (Arc::clone(&done), Arc::clone(&answered));
                tokio::spawn(async move {
                    while !done.load(Ordering::Relaxed) {
                        let text = client.get(&url).send().await.unwrap().text().await.unwrap();
                        assert_eq!(text, "here");
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let serial = || certificate.current.read().unwrap().cert[0].clone();
        for _ in 0..3 {
            let (before, count) = (serial(), answered.load(Ordering::Relaxed));
            issue(&authority, &directory);
            tokio::time::timeout(Duration::from_secs(60), async {
                while serial() == before || answered.load(Ordering::Relaxed) < count + 10 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
            .await
            .unwrap();
        }
        done.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await.unwrap();
        }
        stop.send_replace(true);
        server.await.unwrap();
        fresh.abort();
        fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn a_client_that_trusts_another_authority_gets_nothing() {
        let (directory, ours, other) = (scratch(), authority(), authority());
        let certificate = Certificate::load(issue(&ours, &directory)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let (_stop, stopping) = watch::channel(false);
        let acceptor = certificate.acceptor().unwrap();
        tokio::spawn(listen::serve(listener, Some(acceptor), Router::new(), stopping));
        assert!(client(&other).get(&url).send().await.unwrap_err().is_connect());
        assert_eq!(client(&ours).get(&url).send().await.unwrap().status(), 404);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (directory, authority) = (scratch(), authority());
        let files = issue(&authority, &directory);
        fs::write(&files.key_file, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        assert!(matches!(Certificate::load(files.clone()).unwrap_err(), TlsError::Key { .. }));
        fs::write(&files.cert_file, "nothing").unwrap();
        assert!(matches!(Certificate::load(files).unwrap_err(), TlsError::Empty { .. }));
        fs::remove_dir_all(directory).unwrap();
    }
}
