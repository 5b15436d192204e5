//! Real TLS handshakes with an issuer: who vouches for it, for which name, and until when.

use std::{
    fs, io,
    net::IpAddr,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use deputy::{
    base::{id::WriterId, random::Random, time::Timestamp},
    demo::issuer::Issuer,
    model::issuer::KeySource,
    service::remote::{
        fetch::{
            Fetcher, Options, Roots,
            resolve::{Lookup, Names},
        },
        keys::{Ages, Fetched, IssuerKeys, KeysUnavailable, Source},
    },
    store::Store,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::{postgres::Cluster, store::Hand};

/// The issuer's name, which resolves to this machine.
const NAME: &str = "login.company.example";

/// Answers for [`NAME`] and for nothing else.
struct Here;

impl Names for Here {
    fn lookup(&self, host: &str) -> Lookup {
        let known = host == NAME;
        Box::pin(async move {
            if known { Ok(vec![IpAddr::from([127, 0, 0, 1])]) } else { Err(io::Error::other(NAME)) }
        })
    }
}

/// An authority of a company's own.
struct Authority {
    pem: String,
    issuer: rcgen::Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        let key = KeyPair::generate().unwrap();
        let pem = pem(params.self_signed(&key).unwrap().der());
        Authority { pem, issuer: rcgen::Issuer::new(params, key) }
    }

    /// What an administrator puts into `trusted_roots`.
    fn roots(&self) -> Roots {
        Roots::from_pem(self.pem.as_bytes()).unwrap()
    }

    fn signed(&self, name: &str, until: i32) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A certificate for `name`, and its key as PEM, for a server that reads files.
    fn certificate(&self, name: &str, until: i32) -> (Vec<u8>, String) {
        let (certificate, key) = self.signed(name, until);
        let text = STANDARD.encode(key.serialize_der());
        let key = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        (certificate.der().to_vec(), key)
    }

    /// A server's side of TLS with a certificate for `name` that is over with the year `until`.
    fn vouches_for(&self, name: &str, until: i32) -> TlsAcceptor {
        let (certificate, key) = self.signed(name, until);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A certificate as administrators have it.
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|l| str::from_utf8(l).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Serves `body` over TLS to whoever completes the handshake; the port.
async fn serve(tls: TlsAcceptor, body: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = tls.accept(stream).await else { continue };
            let mut head = [0; 2_048];
            _ = stream.read(&mut head).await;
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
            _ = stream.write_all(answer.as_bytes()).await;
            _ = stream.shutdown().await;
        }
    });
    port
}

/// Asks an issuer behind `tls` for its keys, believing `roots`.
async fn keys(
    issuer: &Issuer,
    tls: TlsAcceptor,
    roots: Roots,
) -> Result<Arc<Fetched>, KeysUnavailable> {
    let port = serve(tls, issuer.jwks().to_string()).await;
    // This machine stands for the company's network.
    let options = Options { allow_loopback_http: true, ..Options::default() };
    let fetcher = Fetcher::with_names(options, Arc::new(Here)).trusting(roots);
    let keys = IssuerKeys::new(Arc::new(fetcher), Ages::default());
    let url = format!("https://{NAME}:{port}");
    let source = KeySource::JwksUri(format!("{url}/jwks"));
    let algorithms = ["ES256".to_owned()].into();
    let source = Source { issuer: &url, keys: &source, algorithms: &algorithms };
    keys.keys(source, None, Timestamp::from_epoch_s(1_800_000_000).unwrap()).await
}

async fn refused(tls: TlsAcceptor, roots: Roots) -> String {
    let issuer = Issuer::start("corp").await.unwrap();
    let cause = keys(&issuer, tls, roots).await.unwrap_err().cause;
    assert_eq!(cause.code(), "tls", "{cause}");
    cause.to_string()
}

#[tokio::test]
async fn an_issuer_that_a_trusted_authority_vouches_for_is_believed() {
    let (company, issuer) = (Authority::new(), Issuer::start("corp").await.unwrap());
    let fetched = keys(&issuer, company.vouches_for(NAME, 2096), company.roots()).await.unwrap();
    assert!(fetched.keys.contains_kid(&issuer.kid()));
    // One of several is enough.
    let both = format!("{}{}", Authority::new().pem, company.pem);
    let both = Roots::from_pem(both.as_bytes()).unwrap();
    assert!(keys(&issuer, company.vouches_for(NAME, 2096), both).await.is_ok());
}

#[tokio::test]
async fn an_authority_that_nobody_trusts_vouches_for_nothing() {
    let company = Authority::new();
    refused(company.vouches_for(NAME, 2096), Authority::new().roots()).await;
    refused(company.vouches_for(NAME, 2096), Roots::default()).await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let company = Authority::new();
    for name in ["mail.company.example", "company.example", "login.company.example.evil.example"] {
        refused(company.vouches_for(name, 2096), company.roots()).await;
    }
}

#[tokio::test]
async fn a_certificate_whose_time_is_over_is_refused() {
    let company = Authority::new();
    let why = refused(company.vouches_for(NAME, 2021), company.roots()).await;
    assert!(why.contains("expired"), "{why}");
}

#[test]
fn what_is_no_certificate_is_no_root() {
    for pem in ["", "company", "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
        assert!(Roots::from_pem(pem.as_bytes()).is_err(), "{pem:?}");
    }
}

/// Gives a PostgreSQL a certificate of this authority for `localhost`.
async fn with_certificate(cluster: &Cluster, authority: &Authority) {
    let (certificate, key) = authority.certificate("localhost", 2_099);
    let data = cluster.data();
    let owner = fs::metadata(&data).unwrap().uid();
    for (name, text) in [("server.crt", pem(&certificate)), ("server.key", key)] {
        let file = data.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&file, Some(owner), None).unwrap();
    }
    let mut hand = Hand::on(&cluster.url("postgres")).await;
    hand.run("ALTER SYSTEM SET ssl = on").await;
    hand.run("SELECT pg_reload_conf()").await;
    // The server takes it in when it comes to it.
    let off = "SELECT count(*) FROM pg_settings WHERE name = 'ssl' AND setting = 'off'";
    while Hand::on(&cluster.url("postgres")).await.number(off).await > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_way_to_postgresql_is_encrypted_and_the_server_proved() {
    let (cluster, authority) = (Cluster::own(), Authority::new());
    with_certificate(&cluster, &authority).await;
    let dir = std::env::temp_dir().join(format!("deputy-it-{}-pgtls", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let root = |name: &str, authority: &Authority| {
        let file = dir.join(name);
        fs::write(&file, &authority.pem).unwrap();
        file.display().to_string()
    };
    let (ours, theirs) = (root("ours.pem", &authority), root("theirs.pem", &Authority::new()));
    let at = |host: &str, query: &str| {
        format!("postgres://deputy:hush-hush@{host}:{}/postgres?{query}", cluster.port())
    };
    let options = deputy::store::Options::new(Timestamp::EPOCH, Arc::new(Random::system()));
    let open = async |url: &str, run: u8| {
        Store::open(url, &options, WriterId::from_bytes([run; 16])).await
    };

    let store = open(&at("localhost", &format!("sslmode=verify-full&sslrootcert={ours}")), 1).await;
    let store = store.unwrap();
    store.head().await.unwrap();
    let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'deputy' AND NOT ssl";
    let all = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'deputy'";
    let mut hand = Hand::on(&cluster.url("postgres")).await;
    assert_eq!(hand.number(plain).await, 0);
    assert!(hand.number(all).await >= 2, "one writes, one reads");
    store.close().await.unwrap();

    let without_tls = format!(
        "postgres://deputy:hush-hush@localhost:{}/postgres?sslmode=verify-full&sslrootcert={ours}",
        crate::postgres::cluster().port()
    );
    for (why, url) in [
        (
            "an authority that we do not know",
            at("localhost", &format!("sslmode=verify-full&sslrootcert={theirs}")),
        ),
        (
            "a certificate for another name",
            at("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={ours}")),
        ),
        ("nobody whom this machine trusts vouches for it", at("localhost", "sslmode=verify-full")),
        ("a server without TLS", without_tls),
    ] {
        let refused = open(&url, 2).await.map(|_| ()).unwrap_err();
        assert!(matches!(refused, deputy::store::Error::Unavailable(_)), "{why}: {refused:?}");
        let told = format!("{refused} {refused:?}");
        assert!(!told.contains("hush-hush"), "{why}: {told}");
    }
    // Nothing is dialled where the other side may decide.
    for mode in ["prefer", "allow"] {
        let url = format!("postgres://deputy@db.example/deputy?sslmode={mode}");
        let refused = Store::migrate(&url).await;
        assert!(matches!(refused, Err(deputy::store::Error::PlainText)), "{refused:?}");
    }
    fs::remove_dir_all(&dir).unwrap();
}
