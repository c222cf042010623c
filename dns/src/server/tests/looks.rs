//! What a look at the index comes to, and what is told then.

use proconsul_conformance::dns::shown::show;
use proconsul_conformance::dns::wire;

use super::*;

/// A scope of which a word says how it is.
#[derive(Clone)]
struct Scope {
    world: World,
    state: &'static str,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Scope {
    fn is(&self, state: &str) -> Look {
        let (index, open) = (Arc::clone(&self.world.index), Authority::open());
        match state {
            "leaderless" => Look::Leaderless(index, open, DAY),
            "stale" => Look::Stale(index, open, "held since noon".into()),
            "refusing" => Look::Refused("scope payments refuses".into()),
            "unready" => Look::NotReady("it starts".into()),
            "unreachable" => Look::Unreachable("no anchor answers".into()),
            _ => Look::Seen(index, open),
        }
    }
}

impl Door for Scope {
    fn look(&self, _: Option<IpAddr>, _: &Query) -> Look {
        self.is(self.state)
    }

    fn look_as(&self, caller: &Caller, query: &Query) -> Look {
        self.look(caller.address, query)
    }

    fn look_far(
        &self,
        _: Option<IpAddr>,
        datacenter: &str,
        _: &Query,
    ) -> Option<BoxFuture<'static, Look>> {
        let look = self.is(self.state);
        (datacenter == "dc2").then(|| Box::pin(async { look }) as _)
    }

    fn bearer(&self, _: Option<IpAddr>, _: &SealedSecret) -> Authority {
        Authority::open()
    }

    fn is_led(&self) -> bool {
        self.state != "leaderless"
    }

    fn snapshot(&self) -> Arc<Index> {
        Arc::clone(&self.world.index)
    }

    fn now(&self) -> Time {
        Time(0)
    }
}

/// The reply without its question: code, flags and records.
async fn told(state: &'static str, set: &str, question: &str) -> String {
    let world = World::read(&format!(
        "set node_ttl=5s\nset service_ttl:web=7s\nnode n1 10.0.0.1\nservice n1 w web port=80\nprepared q web\n{set}"
    ));
    let allow_stale = !set.contains("allow_stale=false");
    let max_stale = if set.contains("max_stale=1h") { DAY / 24 } else { DAY };
    let settings = Settings { allow_stale, max_stale, ..world.settings.clone() };
    let service = Service::new(Scope { world, state }, Arc::new(ArcSwap::from_pointee(settings)));
    let message = wire::question(question, 7).unwrap();
    let reply = match service.respond(Transport::Udp, None, &message, &mut rand::rng()) {
        Response::Silence => return "silence".to_owned(),
        Response::Now(reply) => reply,
        Response::Later(reply) => reply.await,
    };
    let shown = show(Some(&reply));
    let soa = "NS consul. 0 SOA ns.consul. hostmaster.consul. <now> 3600 600 86400 0";
    [vec![shown.head], shown.records[1..].to_vec()].concat().join(" | ").replace(soa, "SOA")
}

/// How an extended error is shown.
fn because(code: u8, text: &str) -> String {
    let bytes: Vec<u8> = [[0, code].as_slice(), text.as_bytes()].concat();
    format!(" | OPT version 0, udp 1232 Unknown(15, {bytes:?})")
}

#[tokio::test]
async fn what_is_told_without_a_leader() {
    let answer = "NOERROR qr aa | AN web.service.consul. 7 A 10.0.0.1";
    let fails = "SERVFAIL qr aa";
    let why = "the scope has no leader";
    for (set, told_plainly, code) in
        [("", answer, 3), ("allow_stale=false", fails, 14), ("max_stale=1h", fails, 14)]
    {
        assert_eq!(
            told("leaderless", set, "udp web.service.consul A").await,
            told_plainly,
            "{set}"
        );
        let full = told("leaderless", set, "udp edns=1232 web.service.consul A").await;
        assert_eq!(full, format!("{told_plainly}{}", because(code, why)), "{set}");
        let query = told("leaderless", set, "udp q.query.consul A").await;
        assert!(query.starts_with(&told_plainly[..10]), "{set}: {query}");
    }
}

#[tokio::test]
async fn what_a_scope_keeps_or_cannot_tell_is_told_as_such() {
    for (state, expected, code, why) in [
        ("stale", "NOERROR qr aa | AN web.service.consul. 0 A 10.0.0.1", 3, "held since noon"),
        ("refusing", "NXDOMAIN qr aa | SOA", 18, "scope payments refuses"),
        ("unready", "SERVFAIL qr aa", 14, "it starts"),
        ("unreachable", "SERVFAIL qr aa", 22, "no anchor answers"),
    ] {
        let plain = told(state, "", "udp web.service.consul A").await;
        assert_eq!(plain, expected, "{state}");
        let full = told(state, "", "udp edns=1232 web.service.consul A").await;
        assert_eq!(full, format!("{expected}{}", because(code, why)), "{state}");
        let far = told(state, "", "udp edns=1232 web.service.dc2.consul A").await;
        assert_eq!(far.replace(".dc2", ""), full, "{state}");
    }
}

#[tokio::test]
async fn names_of_other_datacenters_are_looked_up_there() {
    for (question, expected) in [
        ("udp web.service.dc2.consul A", "NOERROR qr aa | AN web.service.dc2.consul. 7 A 10.0.0.1"),
        ("udp n1.node.dc2.dc.consul A", "NOERROR qr aa | AN n1.node.dc2.dc.consul. 5 A 10.0.0.1"),
        ("udp q.query.dc2.consul A", "NOERROR qr aa | AN q.query.dc2.consul. 7 A 10.0.0.1"),
        ("udp nope.service.dc2.consul A", "NXDOMAIN qr aa | SOA"),
        ("udp web.service.dc3.consul A", "NXDOMAIN qr aa | SOA"),
        ("udp web.service.east.peer.consul A", "NXDOMAIN qr aa | SOA"),
    ] {
        assert_eq!(told("", "", question).await, expected, "{question}");
    }
}

#[test]
fn kept_replies_do_not_outlive_a_leader_where_that_matters() {
    let message = wire::question("udp web.service.consul A", 7).unwrap();
    let world = World::read("node n1 10.0.0.1\nservice n1 w web port=80");
    for (allow_stale, after) in [(true, 0), (false, 2)] {
        let settings = Settings { allow_stale, ..world.settings.clone() };
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let mut kept = Kept::default();
        for (state, code) in [("", 0), ("leaderless", after)] {
            let scope = Scope { world: world.clone(), state };
            let service = Service::new(scope, Arc::clone(&settings));
            for _ in 0..9 {
                let mut out = Vec::new();
                service.turn(&mut kept);
                service.respond_again(&mut kept, None, &message, &mut rand::rng(), &mut out);
                assert_eq!(out[3] & 0xF, code, "{state} {allow_stale}");
            }
        }
    }
}
