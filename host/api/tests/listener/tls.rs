//! TLS: what a client sees, also after the files have changed. Not here: the configuration's keys (`app`).

use crate::support::{A_WHILE, PATIENCE, Wire, options, start};
use axum::{Router, routing::get};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use reqwest::Client;
use riad_api::{ServeOptions, tls, tls::Tls};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const SOON: Duration = Duration::from_millis(20);

/// An authority, and the files that it has issued.
struct Files {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Files {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        Self {
            folder: tempfile::tempdir().unwrap(),
            authority: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// Writes a new key and its certificate, and returns the certificate's bytes.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        change(&mut params);
        let made = params.signed_by(&key, &self.authority).unwrap();
        std::fs::write(self.certificate(), made.pem()).unwrap();
        std::fs::write(self.key(), key.serialize_pem()).unwrap();
        made.der().to_vec()
    }

    fn open(&self) -> riad_core::Result<Tls> {
        Tls::open(&self.certificate(), &self.key())
    }

    /// A server with these files, which looks at them often.
    async fn serve(&self) -> (riad_api::Serving, SocketAddr) {
        let tls = Arc::new(self.open().unwrap());
        tokio::spawn(tls.clone().watch(SOON));
        let options = ServeOptions {
            tls: Some(tls),
            header_timeout: A_WHILE,
            ..options()
        };
        let router = Router::new().route("/", get(async || "hello"));
        let (serving, _, address) = start(&router, options).await;
        (serving, address)
    }

    async fn connect(&self, address: SocketAddr, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap()
    }

    /// The certificate that a new connection is shown.
    async fn shown(&self, address: SocketAddr) -> Vec<u8> {
        let stream = self.connect(address, &[b"http/1.1"]).await;
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    async fn until_shown(&self, address: SocketAddr, wanted: &[u8]) {
        let waiting = async {
            while self.shown(address).await != wanted {
                tokio::time::sleep(SOON).await;
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .expect("the new certificate is not used");
    }
}

async fn hello(stream: &mut TlsStream<TcpStream>) {
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"hello") {
        read.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn an_ordinary_client_is_served() {
    let files = Files::new();
    files.issue(|_| {});
    let (_serving, address) = files.serve().await;
    let root = reqwest::Certificate::from_pem(files.authority.pem().as_bytes()).unwrap();
    let http = Client::builder().tls_certs_only([root]).build().unwrap();
    let answer = http.get(format!("https://localhost:{}/", address.port())).send().await;
    assert_eq!(answer.unwrap().text().await.unwrap(), "hello");
    // A client that does not know the authority is refused by itself.
    assert!(
        Client::new()
            .get(format!("https://localhost:{}/", address.port()))
            .send()
            .await
            .is_err()
    );
}

#[tokio::test]
async fn both_protocols_are_offered() {
    let files = Files::new();
    files.issue(|_| {});
    let (_serving, address) = files.serve().await;
    for (offered, chosen) in [
        (&[b"h2".as_slice(), b"http/1.1"][..], &b"h2"[..]),
        (&[b"http/1.1"], b"http/1.1"),
    ] {
        let stream = files.connect(address, offered).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(chosen));
    }
}

#[tokio::test]
async fn new_connections_use_a_changed_certificate() {
    let files = Files::new();
    let first = files.issue(|_| {});
    let (_serving, address) = files.serve().await;
    assert_eq!(files.shown(address).await, first);
    // Its head's time is short here, so it asks again and again.
    let mut old = files.connect(address, &[b"http/1.1"]).await;
    hello(&mut old).await;

    let second = files.issue(|_| {});
    assert_ne!(first, second);
    files.until_shown(address, &second).await;
    let mut new = files.connect(address, &[b"http/1.1"]).await;
    hello(&mut new).await;
}

#[tokio::test]
async fn an_old_connection_works_on_after_a_reload() {
    let files = Files::new();
    files.issue(|_| {});
    let tls = Arc::new(files.open().unwrap());
    let options = ServeOptions {
        tls: Some(tls.clone()),
        ..options()
    };
    let router = Router::new().route("/", get(async || "hello"));
    let (_serving, _, address) = start(&router, options).await;
    let mut old = files.connect(address, &[b"http/1.1"]).await;
    hello(&mut old).await;
    let second = files.issue(|_| {});
    assert!(tls.reload().unwrap());
    assert!(!tls.reload().unwrap());
    assert_eq!(files.shown(address).await, second);
    hello(&mut old).await;
}

#[tokio::test]
async fn files_that_are_bad_leave_the_old_certificate_in_use() {
    let files = Files::new();
    let first = files.issue(|_| {});
    let tls = files.open().unwrap();
    for bad in [
        "",
        "not pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(files.certificate(), bad).unwrap();
        let error = tls.reload().unwrap_err();
        assert!(error.message().contains("certificate.pem"), "{error}");
        // The same contents are complained about once.
        assert!(!tls.reload().unwrap());
    }
    std::fs::remove_file(files.certificate()).unwrap();
    assert!(tls.reload().is_err());
    let second = files.issue(|_| {});
    assert!(tls.reload().unwrap());
    assert_ne!(first, second);

    // Over the wire: a half of a change, and then the other.
    let (_serving, address) = files.serve().await;
    let other = Files::new();
    other.issue(|_| {});
    std::fs::copy(other.key(), files.key()).unwrap();
    tokio::time::sleep(SOON * 5).await;
    assert_eq!(files.shown(address).await, second);
    let third = files.issue(|_| {});
    files.until_shown(address, &third).await;
}

#[tokio::test]
async fn plain_http_and_silence_on_the_port_do_no_harm() {
    let files = Files::new();
    files.issue(|_| {});
    let (_serving, address) = files.serve().await;
    let mut plain = Wire::open(address).await;
    plain.get("/").await;
    assert!(!plain.rest().await.contains("HTTP"));
    let mut silent = Wire::open(address).await;
    assert_eq!(silent.rest().await, "");
    hello(&mut files.connect(address, &[b"http/1.1"]).await).await;
}

#[test]
fn an_unusable_file_is_reported_with_its_configuration_key() {
    let files = Files::new();
    files.issue(|_| {});
    let wrong = |certificate: &Path, key: &Path, key_name: &str, words: &str| {
        let error = Tls::open(certificate, key).err().expect(words);
        assert_eq!(error.param(), Some(key_name), "{error}");
        assert!(error.message().contains(words), "{error}");
    };
    let nowhere = files.folder.path().join("nowhere.pem");
    wrong(&nowhere, &files.key(), "server.tls_certificate", "nowhere.pem");
    wrong(&files.certificate(), &nowhere, "server.tls_key", "nowhere.pem");
    wrong(
        &files.certificate(),
        &files.certificate(),
        "server.tls_key",
        "private key",
    );
    wrong(&files.key(), &files.key(), "server.tls_certificate", "no certificate");
    let other = Files::new();
    other.issue(|_| {});
    wrong(
        &files.certificate(),
        &other.key(),
        "server.tls_certificate",
        "does not belong",
    );
}

#[test]
fn a_certificates_time_is_read() {
    let files = Files::new();
    files.issue(|params| {
        params.not_before = rcgen::date_time_ymd(2001, 2, 3);
        params.not_after = rcgen::date_time_ymd(2034, 5, 6);
    });
    let validity = tls::validity(&files.certificate()).unwrap();
    assert_eq!((validity.not_before, validity.not_after), (981_158_400, 2_030_486_400));
    assert!(tls::validity(&files.key()).is_err());
}
