mod explain;
mod governed;
mod looks;
mod secure;

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::limits::TCP_QUERIES_MAX;
use crate::settings::{Recursors, Strategy};
use crate::testing::world::World;

/// `n1.node.consul A` with this number.
fn query(id: u16) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend_from_slice(b"\x01\0\0\x01\0\0\0\0\0\0\x02n1\x04node\x06consul\0\0\x01\0\x01");
    bytes
}

fn world() -> (World, Arc<ArcSwap<Settings>>) {
    (World::read("node n1 10.0.0.1"), Arc::new(ArcSwap::from_pointee(Settings::default())))
}

async fn tcp() -> (TcpStream, watch::Sender<bool>, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let (world, settings) = world();
    let server = tokio::spawn(serve_tcp(listener, Service::new(world, settings), stopped));
    (TcpStream::connect(address).await.unwrap(), stop, server)
}

async fn send(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await.unwrap();
}

async fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut reply).await.unwrap();
    reply
}

#[tokio::test]
async fn datagrams_are_answered_with_the_settings_of_the_moment() {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let (world, settings) = world();
    let server =
        tokio::spawn(serve_udp(socket, Service::new(world, Arc::clone(&settings)), stopped));
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    client.connect(address).await.unwrap();
    let mut buffer = [0; 512];
    for (id, ttl) in [(7, 0), (8, 5)] {
        settings.store(Arc::new(Settings {
            node_ttl: Duration::from_secs(ttl),
            ..Settings::default()
        }));
        // What is no query is skipped, and does not stop what comes after it.
        client.send(b"noise").await.unwrap();
        client.send(&query(id)).await.unwrap();
        let length = client.recv(&mut buffer).await.unwrap();
        let reply = &buffer[..length];
        assert_eq!(reply[..2], id.to_be_bytes());
        let record =
            [b"\xc0\x0c\0\x01\0\x01\0\0\0".as_slice(), &[ttl as u8], b"\0\x04\x0a\0\0\x01"]
                .concat();
        assert!(reply.ends_with(&record), "{reply:?}");
    }
    stop.send(true).unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn the_address_that_was_asked_answers() {
    for (everywhere, asked) in
        [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "::1"), ("[::]:0", "127.0.0.3")]
    {
        let Ok(socket) = std::net::UdpSocket::bind(everywhere) else { continue };
        let port = socket.local_addr().unwrap().port();
        let (_stop, stopped) = watch::channel(false);
        let (world, settings) = world();
        let _server = tokio::spawn(serve_udp(socket, Service::new(world, settings), stopped));
        let asked: IpAddr = asked.parse().unwrap();
        let client =
            UdpSocket::bind(if asked.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await.unwrap();
        client.send_to(&query(7), (asked, port)).await.unwrap();
        let (_, from) = client.recv_from(&mut [0; 512]).await.unwrap();
        assert_eq!((from.ip(), from.port()), (asked, port));
    }
}

#[tokio::test]
async fn queries_of_a_connection_are_answered_in_order() {
    let (mut stream, stop, server) = tcp().await;
    send(&mut stream, &query(1)).await;
    send(&mut stream, b"noise").await;
    send(&mut stream, &query(2)).await;
    for id in [1_u16, 2] {
        assert_eq!(receive(&mut stream).await[..2], id.to_be_bytes());
    }
    stop.send(true).unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_connection_ends_after_so_many_queries() {
    let (mut stream, _stop, _server) = tcp().await;
    for id in 0..u16::try_from(TCP_QUERIES_MAX).unwrap() {
        send(&mut stream, &query(id)).await;
        receive(&mut stream).await;
    }
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_asked_before_the_client_closed_its_side_is_answered() {
    let (mut stream, _stop, _server) = tcp().await;
    for id in [1, 2] {
        send(&mut stream, &query(id)).await;
    }
    stream.shutdown().await.unwrap();
    for id in [1_u16, 2] {
        assert_eq!(receive(&mut stream).await[..2], id.to_be_bytes());
    }
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_query_that_waits_for_others_does_not_hold_up_the_next() {
    let silent = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let recursors = Recursors {
        servers: [silent.local_addr().unwrap()].into(),
        strategy: Strategy::Sequential,
        timeout: Duration::from_secs(60),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = listener.local_addr().unwrap();
    let (_stop, stopped) = watch::channel(false);
    let (world, _) = world();
    let settings = Settings { recursors: Some(Arc::new(recursors)), ..Settings::default() };
    let service = Service::new(world, Arc::new(ArcSwap::from_pointee(settings)));
    let _server = tokio::spawn(serve_tcp(listener, service, stopped));
    let mut stream = TcpStream::connect(to).await.unwrap();
    let outside = [&query(1)[..12], b"\x03www\x07example\0\0\x01\0\x01"].concat();
    send(&mut stream, &outside).await;
    send(&mut stream, &query(2)).await;
    assert_eq!(receive(&mut stream).await[..2], [0, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_dawdles_ends() {
    let (mut stream, _stop, _server) = tcp().await;
    stream.write_all(&[0]).await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn connections_that_say_nothing_leave_datagrams_alone() {
    let (first, _stop, _server) = tcp().await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(first.peer_addr().unwrap()).await.unwrap();
        stream.write_all(&[0]).await.unwrap();
        idle.push(stream);
    }
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let (_stop, stopped) = watch::channel(false);
    let (world, settings) = world();
    let _server = tokio::spawn(serve_udp(socket, Service::new(world, settings), stopped));
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    client.send_to(&query(7), address).await.unwrap();
    assert!(client.recv(&mut [0; 512]).await.unwrap() > 12);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_ends() {
    let (mut stream, _stop, _server) = tcp().await;
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

/// Answers from what is kept, as a listener does: the number of the reply and its addresses, in their order.
fn ask_again(service: &Arc<Service<World>>, kept: &mut Kept, message: &[u8]) -> (u16, Vec<u8>) {
    let mut out = Vec::new();
    service.turn(kept);
    let again = service.respond_again(kept, None, message, &mut rand::rng(), &mut out);
    assert!(matches!(again, Again::Now));
    (u16::from_be_bytes([out[0], out[1]]), out[2..].to_vec())
}

#[test]
fn kept_replies_have_the_number_that_was_asked_with() {
    let (world, settings) = world();
    let (service, mut kept) = (Service::new(world, settings), Kept::default());
    let (_, first) = ask_again(&service, &mut kept, &query(1));
    for id in 2..900 {
        assert_eq!(ask_again(&service, &mut kept, &query(id)), (id, first.clone()));
    }
}

#[test]
fn what_is_kept_goes_with_the_row_it_was_made_from() {
    let text = "node n1 10.0.0.1\nnode n2 10.0.0.2\nservice n1 w1 web\nservice n2 a1 api";
    let web = [&query(7)[..12], b"\x03web\x07service\x06consul\0\0\x01\0\x01"].concat();
    let settings = Arc::new(ArcSwap::from_pointee(Settings::default()));
    let mut kept = Kept::default();
    let before = Service::new(World::read(text), Arc::clone(&settings));
    let (_, old) = ask_again(&before, &mut kept, &web);
    for _ in 0..20 {
        assert_eq!(ask_again(&before, &mut kept, &web).1, old);
    }
    let after = Service::new(World::read(&text.replace("10.0.0.1", "10.0.0.9")), settings);
    let (_, new) = ask_again(&after, &mut kept, &web);
    assert_eq!(new[new.len() - 4..], [10, 0, 0, 9]);
}

#[test]
fn names_of_the_mesh_are_kept_until_the_index_moves() {
    let text =
        "node n1 10.0.0.1\nservice n1 web web\nservice n1 web-proxy web-proxy port=7 proxy=web";
    let settings = Arc::new(ArcSwap::from_pointee(Settings::default()));
    let mut kept = Kept::default();
    for (text, last) in [(text.to_owned(), 1), (text.replace("10.0.0.1", "10.0.0.9"), 9)] {
        let service = Service::new(World::read(&text), Arc::clone(&settings));
        for (keyword, address) in [("connect", [10, 0, 0, last]), ("virtual", [240, 0, 0, 1])] {
            let keyword = [&[u8::try_from(keyword.len()).unwrap()], keyword.as_bytes()].concat();
            let name = [b"\x03web".as_slice(), &keyword, b"\x06consul\0\0\x01\0\x01"].concat();
            let message = [&query(7)[..12], &name].concat();
            for _ in 0..20 {
                let told = ask_again(&service, &mut kept, &message).1;
                assert_eq!(told[told.len() - 4..], address, "{text}");
            }
            let mut out = Vec::new();
            assert!(kept.reply(&message, &mut rand::rng(), &mut out).is_some(), "it is kept");
        }
    }
}
