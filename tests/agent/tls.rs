//! HTTPS: what is shown, who may come, and what a reload changes.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::harness::{Agent, Folder, refused};
use crate::ports::free_port;

/// Who vouches for certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
struct Pair {
    cert: String,
    key: String,
}

/// A connection with TLS.
struct Secure(StreamOwned<ClientConnection, TcpStream>);

// === impl Authority ===

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str) -> Pair {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// A client that trusts this authority and shows a certificate, if it has one.
    fn client(&self, own: Option<&Pair>, protocols: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let cert = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config
    }
}

// === impl Secure ===

impl Secure {
    fn open(config: ClientConfig, port: u16, name: &str) -> Self {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        Self(StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port)).unwrap()))
    }

    /// Asks, and returns what comes until the end.
    fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<String> {
        let length = body.len();
        write!(
            self.0,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        self.0.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn shake_hands(&mut self) -> io::Result<()> {
        while self.0.conn.is_handshaking() {
            self.0.conn.complete_io(&mut self.0.sock)?;
        }
        Ok(())
    }
}

/// Writes an agent's files and its configuration.
fn configure(folder: &Folder, authority: &Authority, pair: &Pair, more: &str) -> String {
    let ca = folder.write("ca.pem", &authority.0.pem());
    let cert = folder.write("cert.pem", &pair.cert);
    let key = folder.write("key.pem", &pair.key);
    folder.write(
        "tls.hcl",
        &format!("tls {{ defaults {{ ca_file = {ca:?} cert_file = {cert:?} key_file = {key:?} }} {more} }}"),
    )
}

#[test]
fn whoever_has_no_certificate_stays_outside_where_one_is_asked_for() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let more = "https { verify_incoming = true }";
    let config = configure(&folder, &authority, &authority.issue("localhost"), more);
    let port = free_port();
    let https = format!("-https-port={port}");
    let agent = Agent::start(&["-dev", "-config-file", &config, &https]);
    let own = authority.issue("client");
    let mut welcome = Secure::open(authority.client(Some(&own), &[]), port, "localhost");
    let answer = welcome.ask("PUT", "/v1/kv/a", "over TLS").unwrap();
    assert!(answer.ends_with("\r\n\r\ntrue"), "{answer}");
    assert_eq!(agent.get("/v1/kv/a?raw"), "over TLS");
    let foreign = Authority::new().issue("client");
    for outsider in [None, Some(&foreign)] {
        let mut stream = Secure::open(authority.client(outsider, &[]), port, "localhost");
        assert!(stream.ask("GET", "/v1/kv/a", "").is_err());
    }
    let shown = agent.get("/v1/agent/self");
    assert!(shown.contains(&format!("\"HTTPSPort\": {port}")), "{shown}");
}

#[test]
fn http_2_is_spoken_with_who_chooses_it() {
    let (folder, authority) = (Folder::new(), Authority::new());
    configure(&folder, &authority, &authority.issue("localhost"), "");
    folder.write("late.hcl", "http_config { write_timeout = \"3s\" }");
    let config = folder.as_str();
    let port = free_port();
    let agent = Agent::start(&["-dev", "-config-dir", config, &format!("-https-port={port}")]);
    agent.put("/v1/kv/a", "v");
    let client = authority.client(None, &[b"h2", b"http/1.1"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(async {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let stream = connector.connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut ask = |method: &str, path: &str| {
            let request =
                http::Request::builder().method(method).uri(format!("https://localhost{path}"));
            let request = request.body(()).unwrap();
            sender.send_request(request, true).unwrap().0
        };
        // What comes after its time is not sent; the connection goes on.
        let late = ask("GET", "/v1/kv/a?index=9999&wait=5m").await.unwrap_err();
        assert_eq!(late.reason(), Some(h2::Reason::INTERNAL_ERROR));
        let head = ask("HEAD", "/v1/kv/a").await.unwrap();
        assert_eq!(
            (head.status().as_u16(), &head.headers()["content-length"]),
            (405, &"23".parse().unwrap())
        );
        assert!(head.into_body().data().await.is_none());
        let mut response = ask("GET", "/v1/kv/a?raw").await.unwrap();
        assert_eq!(response.headers()["x-consul-knownleader"], "true");
        response.body_mut().data().await.unwrap().unwrap()
    });
    assert_eq!(&answer[..], b"v");
}

#[test]
fn a_reload_shows_another_certificate_and_ends_no_connection() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let config = configure(&folder, &authority, &authority.issue("first.example"), "");
    let port = free_port();
    let agent = Agent::start(&["-dev", "-config-file", &config, &format!("-https-port={port}")]);
    // A certificate that is not for the name that is asked for ends the handshake.
    let is_for =
        |name: &str| Secure::open(authority.client(None, &[]), port, name).shake_hands().is_ok();
    assert!(is_for("first.example") && !is_for("second.example"));
    let mut open = Secure::open(authority.client(None, &[]), port, "first.example");
    open.shake_hands().unwrap();
    configure(&folder, &authority, &authority.issue("second.example"), "");
    agent.put("/v1/agent/reload", "");
    assert!(is_for("second.example") && !is_for("first.example"));
    assert!(open.ask("GET", "/v1/status/leader", "").unwrap().starts_with("HTTP/1.1 200 "));
    // What cannot be read changes nothing.
    fs::remove_file(folder.path().join("key.pem")).unwrap();
    let (status, told) = agent.ask("PUT", "/v1/agent/reload", "").expect("the agent answers");
    let start = "Failed reloading tls configuration: Failed to load cert/key pair: open ";
    assert!(status == 500 && told.starts_with(start), "{status} {told}");
    assert!(is_for("second.example"));
    let told = refused(&["-dev", "-config-file", &config]);
    assert!(told.contains("==> Failed to load cert/key pair: open "), "{told}");
}

#[test]
fn a_port_without_a_certificate_gets_one_and_wants_tls() {
    let port = free_port();
    let agent = Agent::start(&["-dev", &format!("-https-port={port}")]);
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut told = String::new();
    plain.read_to_string(&mut told).unwrap();
    assert_eq!(
        told,
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    );
    // Nobody vouches for it: who looks closely goes away.
    let client = Authority::new().client(None, &[]);
    let fault = Secure::open(client, port, "server.dc1.consul").shake_hands().unwrap_err();
    assert!(fault.to_string().contains("invalid peer certificate"), "{fault}");
    assert_eq!(agent.get("/v1/status/peers").matches(':').count(), 1);
}
