use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Notify;

use super::*;
use crate::message::Header;
use crate::reader::Reader;
use crate::shape::Asker;

/// A server of the test's own: what it is asked decides what it answers.
#[derive(Default)]
struct Stub {
    asked: AtomicUsize,
    came: Notify,
    go_on: Notify,
}

impl Stub {
    async fn start() -> (Arc<Self>, SocketAddr) {
        let (listener, socket) = loop {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            // The same port may be taken for datagrams.
            if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
                break (listener, socket);
            }
        };
        let (stub, address) = (Arc::new(Self::default()), listener.local_addr().unwrap());
        let own = Arc::clone(&stub);
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let reply = own.reply(&buffer[..length], Transport::Udp).await;
                socket.send_to(&reply, from).await.unwrap();
            }
        });
        let own = Arc::clone(&stub);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let length = stream.read_u16().await.unwrap();
                let mut message = vec![0; usize::from(length)];
                stream.read_exact(&mut message).await.unwrap();
                let reply = own.reply(&message, Transport::Tcp).await;
                stream.write_u16(u16::try_from(reply.len()).unwrap()).await.unwrap();
                stream.write_all(&reply).await.unwrap();
            }
        });
        (stub, address)
    }

    async fn reply(&self, message: &[u8], transport: Transport) -> Vec<u8> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut reader = Reader::new(message);
        let (head, question) = (reader.head().unwrap(), reader.question().unwrap().unwrap());
        let text = question.name.to_lower().to_string();
        let word = text.split('.').next().unwrap();
        if word == "slow" {
            self.came.notify_one();
            self.go_on.notified().await;
        }
        let host =
            || Name::under("h.node", &question.name.suffix_like(&name("old")).unwrap()).unwrap();
        let data = match word {
            "alias" => vec![Data::Cname(name("elsewhere.example"))],
            "far" => vec![Data::Srv { priority: 0, weight: 1, port: 80, target: host() }],
            "none" | "fails" => vec![],
            _ => vec![Data::A([192, 0, 2, 1].into())],
        };
        let ttl = word.strip_prefix("ttl").map_or(9, |seconds| seconds.parse().unwrap());
        let record = |data| Record { owner: question.name.clone(), ttl, data };
        let rcode = match word {
            "none" => Rcode::NxDomain,
            "fails" => Rcode::ServFail,
            _ => Rcode::NoError,
        };
        let truncated = word == "cut" && transport == Transport::Udp;
        let answer = if truncated { vec![] } else { data.into_iter().map(record).collect() };
        let (authority, additional) = (Vec::new(), Vec::new());
        let header = Header { id: head.id, truncated, rcode, ..Header::default() };
        let question = Some(question);
        Reply { header, question, answer, authority, additional, compress: true }.to_bytes()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn fallback(server: SocketAddr, target: Target) -> Fallback {
    let (zone, timeout) = (None, Duration::from_secs(20));
    let servers = [server].into();
    Fallback::new(Rule { zone, target, servers, depth: 4, ttl_max: 30, timeout }, None)
}

fn asked(text: &str, kind: Kind, hops: u8) -> Asked {
    let question = Question { name: name(text), kind, class: 1 };
    let place = crate::question::parse(&question, &Settings::default());
    let asker = Asker {
        transport: Transport::Udp,
        edns: None,
        id: 7,
        opcode: 0,
        recursion_desired: true,
        checking_disabled: false,
    };
    Asked { message: [].into(), question, asker, from: None, place, hops }
}

/// What is told, a record a word.
async fn told(fallback: &Fallback, asked: &Asked) -> String {
    match fallback.ask(asked).await {
        Ok(Told::Nothing) => "nothing".to_owned(),
        Ok(Told::Draft(draft)) => {
            let shown = draft
                .answer
                .iter()
                .map(|Record { owner, ttl, data }| format!("{owner} {ttl} {}", data.kind()));
            shown.collect::<Vec<_>>().join(", ")
        }
        Ok(Told::Reply(_)) => panic!("a whole reply"),
        Err(error) => format!("EDE {}", error.code.0),
    }
}

#[tokio::test]
async fn answers_are_kept_for_their_time() {
    let (stub, server) = Stub::start().await;
    let fallback = fallback(server, Target::Recursor);
    // What is told first, and how often the server was asked after a second question.
    for (name, expected, times) in [
        ("ttl9.service.consul", "ttl9.service.consul. 9 A", 1),
        ("ttl900.service.consul", "ttl900.service.consul. 30 A", 1),
        ("ttl0.service.consul", "ttl0.service.consul. 0 A", 2),
        ("Ttl8.Service.Consul", "Ttl8.Service.Consul. 8 A", 1),
        ("alias.service.consul", "alias.service.consul. 9 CNAME", 1),
        // Shortened by datagram: asked again by stream.
        ("cut.service.consul", "cut.service.consul. 9 A", 2),
        ("none.service.consul", "nothing", 2),
        ("fails.service.consul", "EDE 22", 1),
        ("web.connect.consul", "nothing", 0),
    ] {
        let before = stub.asked();
        assert_eq!(told(&fallback, &asked(name, Kind::A, 0)).await, expected, "{name}");
        let again = told(&fallback, &asked(name, Kind::A, 0)).await;
        assert_eq!(again.split(' ').next(), expected.split(' ').next(), "{name}");
        assert_eq!(stub.asked() - before, times, "{name}");
    }
}

#[tokio::test]
async fn names_are_told_in_our_words() {
    let (_stub, server) = Stub::start().await;
    let other = fallback(server, Target::Consul(Some(name("old"))));
    let Ok(Told::Draft(draft)) = other.ask(&asked("far.service.consul", Kind::SRV, 0)).await else {
        panic!("no answer")
    };
    let [record] = draft.answer.as_slice() else { panic!("{draft:?}") };
    assert_eq!(record.owner.to_string(), "far.service.consul.");
    assert_eq!(server_of(record), "h.node.consul.");
    let legacy = fallback(server, Target::Zone(name("svc.example")));
    let told = told(&legacy, &asked("web.service.consul", Kind::A, 0)).await;
    assert_eq!(told, "web.service.consul. 9 A");
}

#[tokio::test]
async fn who_asks_by_stream_is_told_all() {
    let (stub, server) = Stub::start().await;
    let fallback = fallback(server, Target::Recursor);
    let by_datagram = asked("cut.service.consul", Kind::A, 0);
    let asker = Asker { transport: Transport::Tcp, ..by_datagram.asker.clone() };
    let by_stream = Asked { asker, ..by_datagram.clone() };
    assert_eq!(told(&fallback, &by_stream).await, "cut.service.consul. 9 A");
    assert_eq!(stub.asked(), 1, "by a stream at once");
    assert_eq!(told(&fallback, &by_datagram).await, "cut.service.consul. 9 A");
    assert_eq!(stub.asked(), 3, "a datagram first");
}

#[tokio::test]
async fn hosts_are_found_by_their_servers_or_addresses() {
    let (_stub, server) = Stub::start().await;
    let (settings, zone) = (Settings::default(), || Target::Zone(name("svc.example")));
    for (target, service, expected) in [
        (Target::Consul(Some(name("old"))), "far", "h.node.old. 192.0.2.1 80"),
        (zone(), "plain", "plain.svc.example. 192.0.2.1 0"),
    ] {
        let hosts = fallback(server, target).hosts(service, &settings, 0).await.unwrap().unwrap();
        let shown: Vec<String> = hosts
            .hosts
            .iter()
            .map(|host| format!("{} {} {}", host.name, host.address, host.port))
            .collect();
        assert_eq!(shown.first().map(String::as_str), Some(expected), "{service}");
    }
    let none = fallback(server, zone()).hosts("none", &settings, 0).await;
    assert_eq!(none, Ok(None));
    let fails = fallback(server, Target::Recursor).hosts("fails", &settings, 0).await;
    assert_eq!(fails.map_err(|error| error.code), Err(ErrorCode::NO_REACHABLE_AUTHORITY));
}

fn server_of(record: &Record) -> String {
    server(record).unwrap().2.to_string()
}

#[tokio::test]
async fn a_name_is_asked_for_once_however_many_want_it() {
    let (stub, server) = Stub::start().await;
    let fallback = fallback(server, Target::Recursor);
    let wanted = asked("slow.service.consul", Kind::A, 0);
    let all = join_all((0..10).map(|_| told(&fallback, &wanted)));
    let meanwhile = async {
        stub.came.notified().await;
        // It came back to who asked it: it must not wait for itself.
        let round = told(&fallback, &asked("slow.service.consul", Kind::A, 1)).await;
        stub.go_on.notify_one();
        round
    };
    let (all, round) = tokio::join!(all, meanwhile);
    assert_eq!((all, round), (vec!["slow.service.consul. 9 A".to_owned(); 10], "EDE 0".to_owned()));
    assert_eq!(stub.asked(), 1);
}

#[test]
fn queries_say_how_far_they_came() {
    let question = Question { name: name("web.service.consul"), kind: Kind::A, class: 1 };
    let message = query(&question, 3);
    let mut reader = Reader::new(&message);
    let head = reader.head().unwrap();
    assert_eq!((head.counts, reader.question().unwrap()), ([1, 0, 0, 1], Some(question)));
    assert_eq!(hops::told(&message), 3);
    assert_eq!(hops::told(&message[..40]), 0);
}

#[test]
fn servers_are_read_from_records() {
    let record = |kind, pieces: Vec<Piece>| Record {
        owner: Name::root(),
        ttl: 7,
        data: Data::Opaque(Box::new(Opaque { kind, class: 1, pieces: pieces.into() })),
    };
    let numbers = || Piece::Bytes([0, 1, 0, 2, 0, 80].into());
    let host = name("a.example");
    let told = record(Kind::SRV, vec![numbers(), Piece::WholeName(host.clone())]);
    assert_eq!(server(&told), Some((2, 80, host)));
    assert_eq!(server(&record(Kind::SRV, vec![numbers()])), None);
}
