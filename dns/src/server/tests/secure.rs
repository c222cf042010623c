//! DNS within TLS, HTTPS and QUIC: the same answers as over TCP.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use quinn::crypto::rustls::QuicClientConfig;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::*;

const NAME: &str = "dns.example.test";

/// Certificates of a server, and the one to trust.
fn certificates() -> (ServerConfig, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    (config, made.cert.der().clone())
}

fn client(trusted: &CertificateDer<'static>, protocol: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config
}

async fn tls(to: SocketAddr, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(to).await?;
    let name = ServerName::try_from(NAME).unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// What the service says over TCP.
fn expected(id: u16) -> Vec<u8> {
    let (world, settings) = world();
    let service = Service::new(world, settings);
    match service.respond(Transport::Tcp, None, &query(id), &mut rand::rng()) {
        Response::Now(reply) => reply,
        _ => panic!("an answer"),
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn service() -> Arc<Service<World>> {
    let (world, settings) = world();
    Service::new(world, settings)
}

#[tokio::test]
async fn tls_carries_messages_as_tcp_does_and_takes_new_certificates() {
    let (listener, address) = listen().await;
    let (_stop, stopped) = watch::channel(false);
    let (config, first) = certificates();
    let certificates_now = Arc::new(Certificates::new(&config).unwrap());
    let _server =
        tokio::spawn(serve_tls(listener, service(), Arc::clone(&certificates_now), stopped));
    let mut stream = tls(address, client(&first, b"dot")).await.unwrap();
    let (config, second) = certificates();
    certificates_now.store(&config).unwrap();
    for id in [1, 2] {
        stream.write_all(&[&[0, 32], &query(id)[..]].concat()).await.unwrap();
        let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(reply, expected(id));
    }
    assert!(tls(address, client(&first, b"dot")).await.is_err());
    assert!(tls(address, client(&second, b"dot")).await.is_ok());
}

#[tokio::test]
async fn https_takes_get_and_post() {
    let (listener, address) = listen().await;
    let (_stop, stopped) = watch::channel(false);
    let (config, trusted) = certificates();
    let certificates = Arc::new(Certificates::new(&config).unwrap());
    let _server = tokio::spawn(serve_https(listener, service(), certificates, stopped));
    let stream = tls(address, client(&trusted, b"h2")).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let encoded = URL_SAFE_NO_PAD.encode(query(0));
    let message = "application/dns-message";
    let whole = query(0);
    let cases: [(&str, String, &str, &[u8], u16); 8] = [
        ("GET", format!("/dns-query?dns={encoded}"), message, b"", 200),
        ("GET", format!("/dns-query?a=b&dns={encoded}"), message, b"", 200),
        ("POST", "/dns-query".to_owned(), message, &whole, 200),
        ("POST", "/dns-query".to_owned(), "text/plain", &whole, 415),
        ("POST", "/dns-query".to_owned(), message, b"noise", 400),
        ("GET", "/dns-query?dns=%%%".to_owned(), message, b"", 400),
        ("PUT", "/dns-query".to_owned(), message, &whole, 405),
        ("GET", format!("/other?dns={encoded}"), message, b"", 404),
    ];
    for (method, path, kind, body, status) in cases {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("https://{NAME}{path}"))
            .header("content-type", kind)
            .body(Full::new(Bytes::copy_from_slice(body)))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        if status == 200 {
            assert_eq!(answer.headers()["content-type"], message);
            assert_eq!(answer.headers()["cache-control"], "max-age=0");
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, expected(0));
        }
    }
}

async fn quic(to: SocketAddr, trusted: &CertificateDer<'static>) -> quinn::Connection {
    let mut endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let crypto = QuicClientConfig::try_from(client(trusted, b"doq")).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
    endpoint.connect(to, NAME).unwrap().await.unwrap()
}

#[tokio::test]
async fn quic_has_a_stream_for_each_query() {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let (_stop, stopped) = watch::channel(false);
    let (config, trusted) = certificates();
    let certificates = Arc::new(Certificates::new(&config).unwrap());
    let _server = tokio::spawn(serve_quic(socket, service(), certificates, stopped));
    let connection = quic(address, &trusted).await;
    for _ in 0..3 {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&[&[0, 32], &query(0)[..]].concat()).await.unwrap();
        send.finish().unwrap();
        let reply = receive.read_to_end(65_537).await.unwrap();
        assert_eq!(reply[2..], expected(0));
    }
    // A number is against the protocol, and ends the connection.
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&[&[0, 32], &query(7)[..]].concat()).await.unwrap();
    let quinn::ConnectionError::ApplicationClosed(close) = connection.closed().await else {
        panic!("closed by the server")
    };
    assert_eq!(close.error_code, 2_u32.into());
}
