use std::time::Duration;

use proconsul_conformance::dns::stub;

use super::*;
use crate::explain::Trace;
use crate::fallback::{Rule, Target};
use crate::name::Name;
use crate::record::Kind;
use crate::server::Inquiry;
use crate::settings::{Recursors, Strategy};
use crate::upstream::Fallback;

const WORLD: &str = "
    set udp_answer_limit=1
    node n1 10.0.0.1
    node n2 10.0.0.2
    service n1 web1 web port=80 tags=v1
    service n2 web2 web port=81 addr=10.1.0.2 tags=v1,v2
    service n2 web3 web port=82 tags=v2
    check n2 web2 critical
    service n1 ext ext addr=gone.example.test port=1
    prepared find web";

async fn trace(line: &str, recursors: bool) -> Trace {
    let words: Vec<&str> = line.split(' ').collect();
    let world = World::read(WORLD);
    let nobody = Recursors {
        servers: [([127, 0, 0, 1], 1).into()].into(),
        strategy: Strategy::Sequential,
        timeout: Duration::from_secs(1),
    };
    let recursors = recursors.then(|| Arc::new(nobody));
    let settings = Settings { recursors, ..world.settings.clone() };
    let service = Service::new(world, Arc::new(ArcSwap::from_pointee(settings)));
    let inquiry = Inquiry {
        name: Name::parse(words[0]).unwrap(),
        kind: Kind::parse(words[1]).unwrap(),
        transport: if words.contains(&"tcp") { Transport::Tcp } else { Transport::Udp },
        udp_size: words.contains(&"edns").then_some(1232),
        caller: None,
    };
    service.explain(&inquiry).await
}

#[tokio::test]
async fn the_way_of_an_answer_is_told() {
    let index = "the index of dc1 at revision 8";
    for (line, place, asked, rows, kept, reply) in [
        (
            "V1.web.service.consul A",
            "the instances of service web with tag v1, in zone consul.",
            vec![index],
            vec![
                "n1/web1 at 10.0.0.1:80: told",
                "n2/web2 at 10.1.0.2:81: left out, because its check web2-critical is critical",
                "n2/web3 at 10.0.0.2:82: left out, because its tags (v2) lack v1",
            ],
            "by UDP listeners, while the row of service web stands",
            "NOERROR qr aa rd 1",
        ),
        (
            "nope.service.consul A",
            "the instances of service nope, in zone consul.",
            vec![index, "nothing of this name is there"],
            vec![],
            "no: it is made for each query",
            "NXDOMAIN qr aa rd 0",
        ),
        (
            "web.service.dc2.consul A",
            "the instances of service web in datacenter dc2, in zone consul.",
            vec![
                "datacenter dc2, which is not known",
                index,
                "its datacenter or peer is not known",
            ],
            vec![],
            "no: it is made for each query",
            "NXDOMAIN qr aa rd 0",
        ),
        (
            "n1.node.consul TXT",
            "node n1, in zone consul.",
            vec![index],
            vec!["n1 at 10.0.0.1: told"],
            "by UDP listeners, while the index stands",
            "NOERROR qr aa rd 0",
        ),
        (
            "find.query.consul A tcp",
            "the results of prepared query find, in zone consul.",
            vec![index],
            vec![
                "n1/web1 at 10.0.0.1:80: told",
                "n2/web2 at 10.1.0.2:81: left out, because its check web2-critical is critical",
                "n2/web3 at 10.0.0.2:82: told",
            ],
            "no: it is made for each query",
            "NOERROR qr aa rd 2",
        ),
        (
            "www.example.com A",
            "a name outside of our zones",
            vec!["nobody: no recursors are configured"],
            vec![],
            "no: it is made for each query",
            "REFUSED qr rd 0",
        ),
    ] {
        let told = trace(line, false).await;
        let told_rows: Vec<String> = told.rows.iter().map(ToString::to_string).collect();
        let told_reply = format!(
            "{} {} {}",
            told.reply.rcode,
            told.reply.flags.join(" "),
            told.reply.answer.len()
        );
        assert_eq!(told.place, place, "{line}");
        assert_eq!(told.asked, asked, "{line}");
        assert_eq!(told_rows, rows, "{line}");
        assert_eq!(told.kept, kept, "{line}");
        assert_eq!(told_reply, reply, "{line}");
    }
}

#[tokio::test]
async fn what_others_said_and_what_was_cut_is_told() {
    let told = trace("web.service.consul A", false).await;
    assert_eq!(
        told.sizing,
        [
            "the client takes 512 bytes",
            "without EDNS it is told 1 answers (udp_answer_limit)",
            "1 of 2 answers are sent",
            "TC is not set, because enable_truncate is off",
        ]
    );
    let told = trace("www.example.com A edns", true).await;
    assert_eq!(told.asked, ["the recursors: 127.0.0.1:1"]);
    assert_eq!(told.reply.error.as_deref(), Some("23 (Network Error): no recursor answered"));
    let told = trace("ext.service.consul A edns", true).await;
    assert_eq!(told.asked[1], "the recursors (127.0.0.1:1) about gone.example.test.");
    let text = told.to_string();
    assert!(
        text.contains("Asker      UDP, EDNS with 1232 bytes, with the rights of DNS\n"),
        "{text}"
    );
    assert!(text.contains("Answer     ext.service.consul. 0 CNAME gone.example.test.\n"), "{text}");
}

#[tokio::test]
async fn fallbacks_are_told_with_the_age_of_what_they_said() {
    let rule = Rule {
        zone: None,
        target: Target::Recursor,
        servers: [stub::address()].into(),
        depth: 1,
        ttl_max: 30,
        timeout: Duration::from_secs(2),
    };
    let fallbacks = [Arc::new(Fallback::new(rule, None))].into();
    let settings = Settings { fallbacks, ..Settings::default() };
    let service = Service::new(World::read(WORLD), Arc::new(ArcSwap::from_pointee(settings)));
    let inquiry = Inquiry {
        name: Name::parse("old.service.consul").unwrap(),
        kind: Kind::A,
        transport: Transport::Udp,
        udp_size: None,
        caller: None,
    };
    for age in ["", ", as it was told 0 s ago"] {
        let told = service.explain(&inquiry).await;
        let asked = format!("fallback 1: {}{age}", stub::address());
        assert_eq!(told.asked[1..], ["nothing of this name is there".to_owned(), asked]);
        assert_eq!(told.reply.answer, ["old.service.consul. 30 A 192.0.2.33"]);
    }
}
