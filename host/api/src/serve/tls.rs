//! TLS: a certificate and its key from two files, read again when they change.
//!
//! The crypto provider is named here and not set for the process: other parts of the process may use another one.
//! Not here: when a handshake has taken too long (`connection`).

use crate::reload;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use riad_core::{Error, Result};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use sha2::{Digest, Sha256};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio_rustls::TlsAcceptor;
use x509_parser::time::ASN1Time;

const CERTIFICATE_KEY: &str = "server.tls_certificate";
const KEY_KEY: &str = "server.tls_key";

/// The certificate in use, and the files it comes from.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    config: ArcSwap<ServerConfig>,
    /// Digest of the files' contents when they were last read, usable or not.
    last_digest: Mutex<[u8; 32]>,
}

/// What a certificate says about its time, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub not_before: u64,
    pub not_after: u64,
}

impl Tls {
    /// Reads both files. TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// `InvalidRequest` names the key of the configuration and what is wrong with its file.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self> {
        let files = Files::read(certificate, key)?;
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            config: ArcSwap::new(files.config(certificate, key)?),
            last_digest: Mutex::new(files.digest()),
        })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }

    /// Reads the files again and uses them for new handshakes. Returns whether they had changed.
    ///
    /// # Errors
    /// As [`Tls::open`], once for the same contents. The certificate that was in use stays in use.
    pub fn reload(&self) -> Result<bool> {
        let files = Files::read(&self.certificate, &self.key)?;
        let digest = files.digest();
        {
            let mut last_digest = self.last_digest.lock();
            if *last_digest == digest {
                return Ok(false);
            }
            *last_digest = digest;
        }
        self.config.store(files.config(&self.certificate, &self.key)?);
        Ok(true)
    }

    /// Reloads after each `interval`, and at once on SIGHUP, as long as the future is polled.
    pub async fn watch(self: Arc<Self>, interval: Duration) {
        reload::watch("the TLS certificate", interval, move || self.reload()).await;
    }
}

/// The time for which the first certificate of a PEM file is valid.
///
/// # Errors
/// `InvalidRequest` for a file that cannot be read, has no certificate, or one that cannot be understood.
pub fn validity(certificate: &Path) -> Result<Validity> {
    let chain = chain(&read(certificate, CERTIFICATE_KEY)?, certificate)?;
    let unreadable = || {
        Error::invalid(format!(
            "{CERTIFICATE_KEY}: the time for which {} is valid cannot be read",
            certificate.display()
        ))
    };
    let leaf = chain.first().ok_or_else(unreadable)?;
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf).map_err(|_| unreadable())?;
    let validity = leaf.validity();
    let seconds = |time: ASN1Time| u64::try_from(time.timestamp()).unwrap_or_default();
    Ok(Validity {
        not_before: seconds(validity.not_before),
        not_after: seconds(validity.not_after),
    })
}

/// The contents of both files.
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    fn read(certificate: &Path, key: &Path) -> Result<Self> {
        Ok(Self {
            certificate: read(certificate, CERTIFICATE_KEY)?,
            key: read(key, KEY_KEY)?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(Sha256::digest(&self.certificate));
        digest.update(Sha256::digest(&self.key));
        digest.finalize().into()
    }

    fn config(&self, certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
        let chain = chain(&self.certificate, certificate)?;
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| {
            Error::invalid(format!(
                "{KEY_KEY}: {} has no private key in PEM that can be read without a password (PKCS#8, SEC1 or PKCS#1)",
                key.display()
            ))
            .with_param(KEY_KEY)
        })?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(Error::internal)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| {
                let what = match matches!(error, rustls::Error::InconsistentKeys(_)) {
                    true => "the key does not belong to the certificate".to_owned(),
                    false => error.to_string(),
                };
                Error::invalid(format!(
                    "{CERTIFICATE_KEY} and {KEY_KEY}: {} and {} cannot be used: {what}",
                    certificate.display(),
                    key.display()
                ))
                .with_param(CERTIFICATE_KEY)
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn read(path: &Path, key: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::invalid(format!("{key}: cannot read {}: {error}", path.display()))
            .with_param(key)
            .with_source(error)
    })
}

fn chain(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let chain: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) | Err(_) => Err(Error::invalid(format!(
            "{CERTIFICATE_KEY}: {} has no certificate in PEM",
            path.display()
        ))
        .with_param(CERTIFICATE_KEY)),
    }
}
