//! Answers without a wire: a catalog in lines, a question, and the records that are expected, in any order.

use proconsul_anchors::acl::rules::Rules;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::record::Data;
use crate::settings::Zone;
use crate::testing::world::World;

const NOW: Time = Time(1_700_000_000_000_000_000);
const SOA: &str = "NS consul. 0 SOA ns.consul. hostmaster.consul. 1700000000 3600 600 86400 0";

fn lines(draft: &Draft) -> Vec<String> {
    let sections = [("AN", &draft.answer), ("NS", &draft.authority), ("AR", &draft.additional)];
    let records = sections
        .into_iter()
        .flat_map(|(name, records)| records.iter().map(move |record| (name, record)));
    records.map(|(section, record)| format!("{section} {}", record_line(record))).collect()
}

fn record_line(record: &Record) -> String {
    let Record { owner, ttl, data } = record;
    let text = match data {
        Data::A(ip) => ip.to_string(),
        Data::Aaaa(ip) => ip.to_string(),
        Data::Cname(name) | Data::Ns(name) | Data::Ptr(name) => name.to_string(),
        Data::Srv { priority, weight, port, target } => {
            format!("{priority} {weight} {port} {target}")
        }
        Data::Txt(strings) => format!("{:?}", String::from_utf8_lossy(&strings[1..])),
        Data::Opt(edns) => format!("{edns:?}"),
        Data::Opaque(opaque) => format!("{opaque:?}"),
        Data::Soa(soa) => {
            let times = [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum]
                .map(|time| time.to_string());
            format!("{} {} {}", soa.server, soa.mailbox, times.join(" "))
        }
    };
    format!("{owner} {ttl} {} {text}", data.kind())
}

fn ask(world: &World, name: &str, kind: &str, seed: u64) -> Draft {
    ask_as(world, &Authority::open(), name, kind, seed)
}

fn ask_as(world: &World, authority: &Authority, name: &str, kind: &str, seed: u64) -> Draft {
    let question =
        Question { name: Name::parse(name).unwrap(), kind: Kind::parse(kind).unwrap(), class: 1 };
    let view = View {
        index: &world.index,
        datacenter: &world.settings.datacenter,
        authority,
        settings: &world.settings,
        now: NOW,
        edns: false,
        source: None,
        beyond: None,
    };
    let place = question::parse(&question, &world.settings);
    answer(view, &question, &place, &mut StdRng::seed_from_u64(seed))
}

/// Compares the code and the records, whose order is random.
#[track_caller]
fn check(catalog: &str, question: &str, expected: &str) {
    let (name, kind) = question.split_once(' ').unwrap();
    let draft = ask(&World::read(catalog), name, kind, 1);
    let mut told = lines(&draft);
    told.sort();
    let code = format!("{:?}", draft.rcode);
    let mut wanted: Vec<&str> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let wanted_code = if wanted.first().is_some_and(|line| !line.contains(' ')) {
        wanted.remove(0)
    } else {
        "NoError"
    };
    wanted.sort_unstable();
    assert_eq!(
        (code.as_str(), told),
        (wanted_code, wanted.into_iter().map(str::to_owned).collect()),
        "{question}"
    );
}

/// The code alone.
#[track_caller]
fn misses(catalog: &str, questions: &[&str]) {
    for question in questions {
        check(catalog, question, &format!("NxDomain\n{SOA}"));
    }
}

const WEB: &str = "
    node n1 10.0.0.1
    node n2 10.0.0.2
    service n1 web1 web port=8080 tags=v1,Primary,a.b
    service n2 web2 web port=8081 addr=10.1.0.2 tags=v1,udp
    service n2 web3 web port=8082 addr=10.1.0.2 tags=v2";

#[test]
fn service_lookup_dedup() {
    check(
        WEB,
        "web.service.consul A",
        "AN web.service.consul. 0 A 10.0.0.1\nAN web.service.consul. 0 A 10.1.0.2",
    );
}

#[test]
fn service_lookup_dedup_srv() {
    check(
        WEB,
        "V1.web.service.Consul SRV",
        "AN V1.web.service.Consul. 0 SRV 1 1 8080 n1.node.dc1.Consul.
         AN V1.web.service.Consul. 0 SRV 1 1 8081 0a010002.addr.dc1.Consul.
         AR n1.node.dc1.Consul. 0 A 10.0.0.1
         AR 0a010002.addr.dc1.Consul. 0 A 10.1.0.2",
    );
    let same =
        "node n1 10.0.0.1\nservice n1 a db port=1\nservice n1 b db port=1\nservice n1 c db port=2";
    check(
        same,
        "db.service.consul SRV",
        "AN db.service.consul. 0 SRV 1 1 1 n1.node.dc1.consul.
         AN db.service.consul. 0 SRV 1 1 2 n1.node.dc1.consul.
         AR n1.node.dc1.consul. 0 A 10.0.0.1
         AR n1.node.dc1.consul. 0 A 10.0.0.1",
    );
}

#[test]
fn service_lookup_tag_period_and_extra_tags() {
    check(WEB, "a.b.web.service.consul A", "AN a.b.web.service.consul. 0 A 10.0.0.1");
    check(WEB, "primary.web.service.consul A", "AN primary.web.service.consul. 0 A 10.0.0.1");
    misses(
        WEB,
        &[
            "dummy.primary.web.service.consul A",
            "v1.v2.web.service.consul A",
            "v9.web.service.consul A",
        ],
    );
}

#[test]
fn service_lookup_srv_rfc() {
    let srv = |name: &str| {
        format!(
            "AN {name}. 0 SRV 1 1 8082 0a010002.addr.dc1.consul.
             AR 0a010002.addr.dc1.consul. 0 A 10.1.0.2"
        )
    };
    for name in [
        "_web._v2.service.dc1.consul",
        "_web._v2.service.consul",
        "_web._v2.dc1.consul",
        "_web._v2.consul",
    ] {
        check(WEB, &format!("{name} SRV"), &srv(name));
    }
}

#[test]
fn service_lookup_filter_critical() {
    let mixed = "
        node n1 10.0.0.1\nnode n2 10.0.0.2\nnode n3 10.0.0.3\nnode n4 10.0.0.4
        service n1 s db port=1\nservice n2 s db port=1\nservice n3 s db port=1\nservice n4 s db port=1
        check n1 s passing\ncheck n2 s critical\ncheck n3 - critical\ncheck n4 s warning";
    check(
        mixed,
        "db.service.consul A",
        "AN db.service.consul. 0 A 10.0.0.1\nAN db.service.consul. 0 A 10.0.0.4",
    );
    check(
        &format!("set only_passing=true\n{mixed}"),
        "db.service.consul A",
        "AN db.service.consul. 0 A 10.0.0.1",
    );
    misses(
        "node n1 10.0.0.1\nservice n1 s db\ncheck n1 s critical",
        &["db.service.consul A", "db.service.consul SRV"],
    );
}

#[test]
fn weights_follow_the_state() {
    for (status, weight) in [("passing", 7), ("warning", 3), ("strange", 1)] {
        let catalog =
            format!("node n1 10.0.0.1\nservice n1 s db port=1 weights=7,3\ncheck n1 s {status}");
        let draft = ask(&World::read(&catalog), "db.service.consul", "SRV", 1);
        assert_eq!(
            lines(&draft)[0],
            format!("AN db.service.consul. 0 SRV 1 {weight} 1 n1.node.dc1.consul.")
        );
    }
}

#[test]
fn service_lookup_multi_port_srv() {
    let multi =
        "node n1 10.0.0.1\nservice n1 s db ports=http:8080*,grpc:9090\nservice n1 t plain port=1";
    for (name, port) in [
        ("db.service", 8080),
        ("db.service.http.port", 8080),
        ("db.service.dc1.dc.grpc.port", 9090),
    ] {
        let draft = ask(&World::read(multi), &format!("{name}.consul"), "SRV", 1);
        assert_eq!(
            lines(&draft)[0],
            format!("AN {name}.consul. 0 SRV 1 1 {port} n1.node.dc1.consul.")
        );
    }
    misses(multi, &["db.service.nope.port.consul SRV", "plain.service.http.port.consul SRV"]);
    check(
        multi,
        "plain.service.http.port.consul A",
        "AN plain.service.http.port.consul. 0 A 10.0.0.1",
    );
}

#[test]
fn external_names_are_told_and_ours_are_followed() {
    let catalog = "
        node n1 10.0.0.1 meta:k=v
        service n1 ext ext port=80 addr=ext.example.test
        service n1 web web port=80
        service n1 alias alias port=81 addr=Web.Service.Consul
        service n1 self self port=82 addr=self.service.consul
        service n1 loop loop port=83 addr=LOOP.service.consul";
    check(catalog, "ext.service.consul A", "AN ext.service.consul. 0 CNAME ext.example.test.");
    check(
        catalog,
        "ext.service.consul SRV",
        "AN ext.service.consul. 0 SRV 1 1 80 ext.example.test.\nAR n1.node.dc1.consul. 0 TXT \"k=v\"",
    );
    check(
        catalog,
        "alias.service.consul AAAA",
        "AN alias.service.consul. 0 CNAME Web.Service.Consul.\nAN Web.Service.Consul. 0 A 10.0.0.1",
    );
    check(catalog, "self.service.consul A", "AN self.service.consul. 0 A 10.0.0.1");
    check(
        catalog,
        "loop.service.consul A",
        "AN loop.service.consul. 0 CNAME LOOP.service.consul.\nAN LOOP.service.consul. 0 A 10.0.0.1",
    );
    let ring = "node n1 10.0.0.1\nservice n1 a a addr=b.service.consul\nservice n1 b b addr=a.service.consul";
    check(
        ring,
        "a.service.consul A",
        "AN a.service.consul. 0 CNAME b.service.consul.
         AN b.service.consul. 0 CNAME a.service.consul.
         AN a.service.consul. 0 CNAME b.service.consul.
         AN b.service.consul. 0 CNAME a.service.consul.",
    );
}

#[test]
fn service_lookup_no_multi_cname_and_prefer_no_cname() {
    let hosts = "
        node n1 10.0.0.1\nnode n2 10.0.0.2
        service n1 s db addr=foo.example.test\nservice n2 s db addr=bar.example.test";
    let draft = ask(&World::read(hosts), "db.service.consul", "A", 1);
    assert_eq!((draft.answer.len(), draft.answer[0].data.kind()), (1, Kind::CNAME));
    let mixed = "node n1 10.0.0.1\nnode n2 10.0.0.2\nservice n1 s db addr=foo.example.test\nservice n2 s db";
    check(mixed, "db.service.consul A", "AN db.service.consul. 0 A 10.0.0.2");
}

#[test]
fn non_existent_lookup_empty_a_or_aaaa() {
    let v6 = "node n1 fd00::1\nservice n1 s db\nnode n2 10.0.0.2\nservice n2 s web";
    check(v6, "db.service.consul A", SOA);
    check(v6, "web.service.consul AAAA", SOA);
    check(v6, "web.service.consul MX", SOA);
    check(v6, "n1.node.consul A", "");
    check(v6, "n1.node.consul SRV", "");
    check(v6, "nosuch.node.consul MX", "");
    misses(
        v6,
        &[
            "nosuch.node.consul A",
            "nonexisting.consul A",
            "web.service.dc2.consul A",
            "n2.node.dc2.consul A",
        ],
    );
}

#[test]
fn invalid_queries() {
    misses(
        WEB,
        &[
            "consul A",
            "node.consul A",
            "service.consul A",
            "query.consul A",
            "foo.node.dc1.extra.more.consul A",
            "foo.service.dc1.extra.more.consul A",
            "foo.query.dc1.extra.more.consul A",
            "web.connect.consul A",
            "web.ingress.consul A",
            "my.query.consul A",
            "web.service.east.peer.consul A",
        ],
    );
    check(WEB, "web.virtual.consul A", "");
    check(WEB, "_._tcp.service.consul A", "ServFail");
    check(WEB, "consul AXFR", "NotImp");
    check(WEB, "www.example.com A", "Refused");
}

#[test]
fn node_lookup() {
    let node = "node n1 10.0.0.1 id=aabb0000-0000-4000-8000-000000000001 meta:key=value meta:rfc1035-00=bare
        node a.b 10.0.0.9\nnode six fd00::1\nset node_ttl=5s";
    check(
        node,
        "N1.node.consul ANY",
        "AN N1.node.consul. 5 A 10.0.0.1
         AN N1.node.consul. 5 TXT \"key=value\"
         AN N1.node.consul. 5 TXT \"bare\"",
    );
    check(
        node,
        "aabb.node.dc1.consul A",
        "AN aabb.node.dc1.consul. 5 A 10.0.0.1
         AR aabb.node.dc1.consul. 5 TXT \"key=value\"
         AR aabb.node.dc1.consul. 5 TXT \"bare\"",
    );
    check(node, "a.b.node.consul A", "AN a.b.node.consul. 5 A 10.0.0.9");
    check(node, "six.node.consul AAAA", "AN six.node.consul. 5 AAAA fd00::1");
    let quiet = format!("{node}\nset enable_additional_node_meta_txt=false");
    check(&quiet, "n1.node.consul A", "AN n1.node.consul. 5 A 10.0.0.1");
}

#[test]
fn node_lookup_cname() {
    let host =
        "node h www.example.test meta:m=1\nnode inside n.node.consul\nnode n 10.0.0.1 meta:k=v";
    check(
        host,
        "h.node.consul A",
        "AN h.node.consul. 0 CNAME www.example.test.\nAR h.node.consul. 0 TXT \"m=1\"",
    );
    check(
        host,
        "inside.node.consul A",
        "AN inside.node.consul. 0 CNAME n.node.consul.
         AN n.node.consul. 0 A 10.0.0.1
         AN n.node.consul. 0 TXT \"k=v\"",
    );
}

#[test]
fn lookup_tagged_ip_addresses() {
    let tagged = "
        node n1 10.0.0.1 tagged:lan_ipv4=10.44.0.1 tagged:lan_ipv6=fd44::1
        service n1 s db port=1
        service n1 t web port=1 addr=10.1.0.1 tagged:lan_ipv4=10.45.0.1|80 tagged:lan_ipv6=fd45::1|81";
    for (question, expected) in [
        ("n1.node.consul A", "AN n1.node.consul. 0 A 10.44.0.1"),
        ("n1.node.consul AAAA", "AN n1.node.consul. 0 AAAA fd44::1"),
        ("db.service.consul A", "AN db.service.consul. 0 A 10.44.0.1"),
        ("db.service.consul AAAA", "AN db.service.consul. 0 AAAA fd44::1"),
        ("web.service.consul A", "AN web.service.consul. 0 A 10.45.0.1"),
        ("web.service.consul AAAA", "AN web.service.consul. 0 AAAA fd45::1"),
    ] {
        check(tagged, question, expected);
    }
}

#[test]
fn address_lookup() {
    check("", "7f000001.addr.dc1.consul A", "AN 7f000001.addr.dc1.consul. 0 A 127.0.0.1");
    check("", "7F000001.addr.CONSUL ANY", "AN 7f000001.addr.CONSUL. 0 A 127.0.0.1");
    check("", "7f000001.addr.consul SRV", "AR 7f000001.addr.consul. 0 A 127.0.0.1");
    let six = "20010db800010002cafe000000001337.addr.consul";
    check("", &format!("{six} AAAA"), &format!("AN {six}. 0 AAAA 2001:db8:1:2:cafe::1337"));
    check("", &format!("{six} A"), &format!("AR {six}. 0 AAAA 2001:db8:1:2:cafe::1337"));
}

#[test]
fn reverse_lookup() {
    let catalog = "
        node Foo2 127.0.0.2\nnode six ::4242:4242
        service Foo2 s db addr=127.0.0.3\nservice six t web addr=127.0.0.2";
    check(
        catalog,
        "2.0.0.127.in-addr.arpa PTR",
        "AN 2.0.0.127.in-addr.arpa. 0 PTR Foo2.node.dc1.consul.",
    );
    check(
        catalog,
        "3.0.0.127.in-addr.arpa A",
        "AN 3.0.0.127.in-addr.arpa. 0 PTR db.service.dc1.consul.",
    );
    let arpa = "2.4.2.4.2.4.2.4.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa";
    check(catalog, &format!("{arpa} ANY"), &format!("AN {arpa}. 0 PTR six.node.dc1.consul."));
    misses(catalog, &["9.9.9.9.in-addr.arpa PTR", "home.arpa PTR"]);
    // An IPv4 address within IPv6: of services alone.
    let of = |nibble: u8| format!("{nibble}.0.0.0.0.0.f.7.f.f.f.f.{}ip6.arpa", "0.".repeat(20));
    let (node, service) = (of(2), of(3));
    let web = format!("AN {node}. 0 PTR web.service.dc1.consul.");
    check(catalog, &format!("{node} PTR"), &web);
    let db = format!("AN {service}. 0 PTR db.service.dc1.consul.");
    check(catalog, &format!("{service} PTR"), &db);
    let odd = "node n ::ffff:10.0.0.7\nnode m 2001:DB8:0::1";
    check(odd, "7.0.0.10.in-addr.arpa PTR", "AN 7.0.0.10.in-addr.arpa. 0 PTR n.node.dc1.consul.");
    let m = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    check(odd, &format!("{m} PTR"), &format!("AN {m}. 0 PTR m.node.dc1.consul."));
    check(catalog, "9.9.9.9.in-addr.arpa SOA", &format!("NxDomain\n{SOA}\n{SOA}"));
    check(
        &format!("{catalog}\nset domain=Custom\nset alt_domain=alt"),
        "2.0.0.127.in-addr.arpa PTR",
        "AN 2.0.0.127.in-addr.arpa. 0 PTR Foo2.node.dc1.custom.",
    );
}

const SERVERS: &str = "
    node server1 127.0.0.1\nnode server2 fd00::2\nnode bad_name 127.0.0.3
    service server1 consul consul\nservice server2 consul consul\nservice bad_name consul consul";

#[test]
fn ns_records() {
    check(
        SERVERS,
        "something.node.Consul NS",
        "AN Consul. 0 NS server1.node.dc1.consul.
         AN Consul. 0 NS server2.node.dc1.consul.
         AR server1.node.dc1.consul. 0 A 127.0.0.1
         AR server2.node.dc1.consul. 0 AAAA fd00::2",
    );
    check("", "consul NS", "");
}

#[test]
fn soa_settings() {
    let catalog =
        "set soa:min_ttl=10\nset soa:expire=43200\nset soa:refresh=1800\nset soa:retry=300";
    check(
        catalog,
        "nofoo.node.dc1.consul SOA",
        "AN consul. 10 SOA ns.consul. hostmaster.consul. 1700000000 1800 300 43200 10",
    );
    check(
        catalog,
        "nofoo.node.dc1.consul A",
        "NxDomain\nNS consul. 10 SOA ns.consul. hostmaster.consul. 1700000000 1800 300 43200 10",
    );
}

#[test]
fn alt_domains() {
    let catalog = format!("{WEB}\nset alt_domain=test.consul");
    check(&catalog, "v2.web.service.test.consul A", "AN v2.web.service.test.consul. 0 A 10.1.0.2");
    check(
        &catalog,
        "v2.web.service.test.consul SRV",
        "AN v2.web.service.test.consul. 0 SRV 1 1 8082 0a010002.addr.dc1.test.consul.
         AR 0a010002.addr.dc1.test.consul. 0 A 10.1.0.2",
    );
    let soa = "SOA ns.test.consul. hostmaster.test.consul. 1700000000 3600 600 86400 0";
    check(&catalog, "x.test.consul SOA", &format!("AN test.consul. 0 {soa}"));
    let main = SOA.trim_start_matches("NS ");
    check(&catalog, "x.TEST.consul SOA", &format!("AN {main}"));
    check(&catalog, "test.consul SOA", &format!("AN {main}"));
}

#[test]
fn service_lookup_ttl() {
    let catalog = "
        set service_ttl:d*=42s\nset service_ttl:db=10s\nset service_ttl:db*=66s\nset service_ttl:*=4s
        node n1 10.0.0.1\nservice n1 a db\nservice n1 b dblb\nservice n1 c dk\nservice n1 d api\nservice n1 e Db";
    for (name, ttl) in [("db", 10), ("DB", 10), ("dblb", 66), ("dk", 42), ("api", 4)] {
        let expected = format!("AN {name}.service.consul. {ttl} A 10.0.0.1");
        check(catalog, &format!("{name}.service.consul A"), &expected);
    }
}

#[test]
fn what_consul_cannot_pack_is_told_well() {
    let long = "x".repeat(64);
    let catalog = format!(
        "node {long} 10.0.0.1\nservice {long} s web port=80\nservice {long} b bad addr=a..b"
    );
    check(
        &catalog,
        "web.service.consul SRV",
        "AN web.service.consul. 0 SRV 1 1 80 0a000001.addr.dc1.consul.\nAR 0a000001.addr.dc1.consul. 0 A 10.0.0.1",
    );
    check(&catalog, "bad.service.consul A", SOA);
    check(&catalog, "bad.service.consul SRV", SOA);
    misses(&catalog, &["1.0.0.10.in-addr.arpa PTR"]);
}

#[test]
fn what_may_not_be_read_is_not_told() {
    let world = World::read(
        "node n1 10.0.0.1\nnode n2 10.0.0.2\nservice n1 w1 web port=80\nservice n2 w2 web port=80 addr=10.1.0.2\nprepared q web",
    );
    let told = |rules: Option<&str>, name: &str, kind: &str| {
        let authority = rules.map_or_else(Authority::nothing, |rules| {
            Authority::of_rules([&Rules::parse(rules).unwrap()])
        });
        let draft = ask_as(&world, &authority, name, kind, 1);
        format!("{:?} {}", draft.rcode, draft.answer.len())
    };
    let (web, n1) = ("service \"web\" { policy = \"read\" }", "node \"n1\" { policy = \"read\" }");
    let both = format!("{web} {n1}");
    for (rules, name, kind, expected) in [
        (Some(both.as_str()), "web.service.consul", "A", "NoError 1"),
        (Some(web), "web.service.consul", "A", "NxDomain 0"),
        (Some(n1), "web.service.consul", "SRV", "NxDomain 0"),
        (Some(n1), "n1.node.consul", "A", "NoError 1"),
        (Some(n1), "n2.node.consul", "A", "NxDomain 0"),
        (Some(n1), "1.0.0.10.in-addr.arpa", "PTR", "NoError 1"),
        (Some(n1), "2.0.0.10.in-addr.arpa", "PTR", "NxDomain 0"),
        (Some(both.as_str()), "2.0.1.10.in-addr.arpa", "PTR", "NxDomain 0"),
        (Some(n1), "web.connect.consul", "A", "ServFail 0"),
        (Some(both.as_str()), "q.query.consul", "A", "NoError 1"),
        (Some(web), "q.query.consul", "A", "NxDomain 0"),
        (None, "q.query.consul", "A", "ServFail 0"),
        (None, "nope.query.consul", "A", "NxDomain 0"),
        // Whether there is a datacenter comes before what may be read there.
        (Some(n1), "web.ingress.dc9.consul", "SRV", "NxDomain 0"),
        (None, "web.service.dc9.consul", "A", "NxDomain 0"),
        (None, "_._tcp.service.dc9.consul", "A", "NxDomain 0"),
        (None, "n1.node.consul", "SRV", "NoError 0"),
        (Some(n1), "web.virtual.consul", "A", "ServFail 0"),
        (Some(web), "web.virtual.consul", "A", "NoError 0"),
        // What a peer exports is for those who may read everything, or offer something themselves.
        (Some(web), "web.virtual.east.consul", "A", "ServFail 0"),
        (Some("service \"x\" { policy = \"write\" }"), "web.virtual.east.consul", "A", "NoError 0"),
        (
            Some("service_prefix \"\" { policy = \"read\" }"),
            "web.virtual.east.consul",
            "A",
            "NoError 0",
        ),
        (None, "web.service.consul", "A", "ServFail 0"),
        (None, "n1.node.consul", "A", "ServFail 0"),
        (None, "1.0.0.10.in-addr.arpa", "PTR", "NxDomain 0"),
    ] {
        assert_eq!(told(rules, name, kind), expected, "{name} {kind} with {rules:?}");
    }
}

#[test]
fn order_is_random() {
    let world = World::read(WEB);
    let first = |seed| lines(&ask(&world, "web.service.consul", "A", seed)).remove(0);
    let orders: std::collections::BTreeSet<String> = (0..32).map(first).collect();
    assert_eq!(orders.len(), 2);
}

#[test]
fn addresses_of_other_datacenters_may_be_seen_from_outside() {
    let world = World::read("node n1 10.0.0.1 tagged:wan=192.0.2.1\nset translate_wan_addrs=true");
    let settings = Settings {
        datacenter: "dc2".into(),
        domain: Zone::parse("consul").unwrap(),
        ..world.settings
    };
    let row = world.index.node("n1").unwrap();
    assert_eq!(node::address(&settings, row, address::Want::V4), "192.0.2.1");
}

const MESH: &str = r#"
    node n1 10.0.0.1
    node n2 10.0.0.2
    service n1 web web port=80
    service n1 web-proxy web-proxy port=21000 proxy=web
    service n2 web-proxy web-proxy port=21001 addr=10.1.0.2 proxy=web
    service n2 db db port=5432 native=true
    service n1 ig ig port=443 kind=ingress-gateway
    entry ingress-gateway ig {"Listeners":[{"Port":80,"Services":[{"Name":"web"}]}]}
    set service_ttl:web=7s
    set node_ttl=5s"#;

#[test]
fn connect_service_lookup() {
    check(
        MESH,
        "web.connect.consul SRV",
        "AN web.connect.consul. 7 SRV 1 1 21000 n1.node.dc1.consul.
         AN web.connect.consul. 7 SRV 1 1 21001 0a010002.addr.dc1.consul.
         AR n1.node.dc1.consul. 7 A 10.0.0.1
         AR 0a010002.addr.dc1.consul. 7 A 10.1.0.2",
    );
    check(MESH, "x.Db.connect.dc1.consul A", "AN x.Db.connect.dc1.consul. 0 A 10.0.0.2");
    // A peer is read and left alone there.
    check(MESH, "db.connect.east.peer.consul A", "AN db.connect.east.peer.consul. 0 A 10.0.0.2");
    misses(MESH, &["ig.connect.consul A", "web.connect.dc2.consul A"]);
}

#[test]
fn ingress_service_lookup() {
    check(MESH, "web.ingress.consul A", "AN web.ingress.consul. 7 A 10.0.0.1");
    misses(MESH, &["db.ingress.consul A"]);
}

#[test]
fn virtual_ip_lookup() {
    let address = "x.web.virtual.dc9.dc.consul. 5 A 240.0.0.1";
    check(MESH, "X.web.virtual.dc9.dc.consul A", &format!("AN {address}"));
    check(MESH, "x.web.virtual.dc9.dc.consul AAAA", &format!("AR {address}"));
    // No SOA where there is none, and nothing of a peer's.
    check(MESH, "nope.virtual.consul A", "");
    check(MESH, "web.virtual.east.consul A", "");
}

/// A node of `dc1` and what it offers, asked for from `here`.
fn seen_from(here: &str, translate: bool, service: &str, kind: &str) -> Vec<String> {
    let world = World::read(&format!(
        "node n1 10.0.0.1 tagged:wan=192.0.2.1\nservice n1 s web port=80 {service}"
    ));
    let settings = Settings {
        datacenter: here.into(),
        translate_wan_addrs: translate,
        ..world.settings.clone()
    };
    let name = Name::parse("web.service.dc1.consul").unwrap();
    let question = Question { name, kind: Kind::parse(kind).unwrap(), class: 1 };
    let view = View {
        index: &world.index,
        datacenter: "dc1",
        authority: &Authority::open(),
        settings: &settings,
        now: NOW,
        edns: false,
        source: None,
        beyond: None,
    };
    let place = question::parse(&question, &settings);
    lines(&answer(view, &question, &place, &mut StdRng::seed_from_u64(1)))
        .iter()
        .map(|line| line.replace("web.service.dc1.consul. 0 ", ""))
        .collect()
}

#[test]
fn service_lookup_wan_translation() {
    let at_node = ["AN SRV 1 1 80 n1.node.dc1.consul.", "AR n1.node.dc1.consul. 0 A 10.0.0.1"];
    let outside = |port: &str, hex: &str, ip: &str| {
        vec![
            format!("AN SRV 1 1 {port} {hex}.addr.dc1.consul."),
            format!("AR {hex}.addr.dc1.consul. 0 A {ip}"),
        ]
    };
    let own = "addr=10.1.0.1 tagged:wan=192.0.2.9|443";
    let same_port = "addr=10.1.0.1 tagged:wan=192.0.2.9|0";
    for (here, translate, service, expected) in [
        ("dc1", true, "", at_node.map(str::to_owned).to_vec()),
        ("dc2", false, "", at_node.map(str::to_owned).to_vec()),
        ("dc2", true, "", outside("80", "c0000201", "192.0.2.1")),
        ("dc1", true, own, outside("80", "0a010001", "10.1.0.1")),
        ("dc2", false, own, outside("80", "0a010001", "10.1.0.1")),
        ("dc2", true, own, outside("443", "c0000209", "192.0.2.9")),
        ("dc2", true, same_port, outside("80", "c0000209", "192.0.2.9")),
        ("dc2", true, "addr=10.1.0.1", outside("80", "0a010001", "10.1.0.1")),
    ] {
        assert_eq!(
            seen_from(here, translate, service, "SRV"),
            expected,
            "{here} {translate} {service}"
        );
    }
    assert_eq!(seen_from("dc2", true, own, "A"), ["AN A 192.0.2.9"]);
    assert_eq!(seen_from("dc2", true, "", "A"), ["AN A 192.0.2.1"]);
}
