use super::*;
use crate::settings::Zone;

/// `name type`, and what it is taken for: the keyword, the name, and whatever else there is.
fn told(line: &str) -> String {
    let settings = Settings { alt_domain: Zone::parse("test.consul").ok(), ..Settings::default() };
    let (name, kind) = line.split_once(' ').unwrap_or((line, "A"));
    let name = Name::parse(name).unwrap();
    let question = Question { name, kind: Kind::parse(kind).unwrap(), class: 1 };
    match parse(&question, &settings) {
        Place::Foreign => "foreign".into(),
        Place::Malformed => "malformed".into(),
        Place::Reverse => "reverse".into(),
        Place::Ask { ask, zone } => format!("{} in {zone}", show(&ask)),
    }
}

fn show(ask: &Ask) -> String {
    match ask {
        Ask::Zone => "zone".into(),
        Ask::Transfer => "transfer".into(),
        Ask::Service { name, tag, locality } => {
            let tag = tag.as_ref().map(|tag| format!(" tag {tag}")).unwrap_or_default();
            format!("service {name}{tag}{}", place(locality))
        }
        Ask::Connect { name, locality } => format!("connect {name}{}", place(locality)),
        Ask::Ingress { name, locality } => format!("ingress {name}{}", place(locality)),
        Ask::Virtual { name, peer, .. } => {
            format!("virtual {name} of {}", peer.as_deref().unwrap_or("none"))
        }
        Ask::Node { name, locality } => format!("node {name}{}", place(locality)),
        Ask::Query { name, datacenter } => {
            format!("query {name} at {}", datacenter.as_deref().unwrap_or("here"))
        }
        Ask::Address { ip, owner } => format!("address {ip} as {owner}"),
    }
}

fn place(locality: &Locality) -> String {
    let Locality { datacenter, peer, port } = locality;
    let parts = [("dc", datacenter), ("peer", peer), ("port", port)];
    parts.iter().filter_map(|(word, part)| Some(format!(" {word} {}", part.as_ref()?))).collect()
}

#[track_caller]
fn check(lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (question, expected) = line.split_once(" -> ").unwrap();
        assert_eq!(told(question), expected, "{question}");
    }
}

#[test]
fn services_and_tags() {
    check(
        "web.service.consul -> service web in consul.
         Web.SERVICE.Consul -> service web in Consul.
         v1.web.service.consul -> service web tag v1 in consul.
         a.b.web.service.consul -> service web tag a.b in consul.
         _web._v1.service.consul -> service web tag v1 in consul.
         _web._tcp.service.consul -> service web in consul.
         _web._udp.service.consul -> service web tag udp in consul.
         x._web._v1.service.consul -> service _v1 tag x._web in consul.
         _web.service.consul -> service _web in consul.
         _web._tcp.consul SRV -> service web in consul.
         _web._v1.dc1.consul SRV -> service web tag v1 dc dc1 in consul.
         _web._tcp.consul -> malformed
         web.service.test.consul -> service web in test.consul.
         service.consul -> malformed",
    );
}

#[test]
fn other_kinds_of_names() {
    check(
        "n1.node.consul -> node n1 in consul.
         a.b.node.dc1.consul -> node a.b dc dc1 in consul.
         node.consul -> malformed
         0a000001.addr.consul -> address 10.0.0.1 as 0a000001.addr in consul.
         0A000001.ADDR.dc1.consul -> address 10.0.0.1 as 0a000001.addr.dc1 in consul.
         fd000000000000000000000000000001.addr.consul -> address fd00::1 as fd000000000000000000000000000001.addr in consul.
         0a0000011.addr.consul -> malformed
         +a000001.addr.consul -> malformed
         x.0a000001.addr.consul -> malformed
         x.web.connect.dc2.consul -> connect web dc dc2 in consul.
         web.ingress.consul -> ingress web in consul.
         web.virtual.east.consul -> virtual web of east in consul.
         web.virtual.dc9.dc.consul -> virtual web of none in consul.
         web.virtual.east.peer.consul -> virtual web of east in consul.
         my.query.query.consul -> query my.query at here in consul.
         my.query.dc2.consul -> query my at dc2 in consul.
         my.query.dc2.dc.consul -> malformed
         _my.name._tcp.query.consul -> query my.name at here in consul.
         x.consul SOA -> zone in consul.
         consul NS -> zone in consul.
         consul AXFR -> transfer in consul.
         consul -> malformed
         1.0.0.10.in-addr.arpa -> reverse
         home.ARPA SOA -> reverse
         www.example.com -> foreign
         . -> foreign
         notconsul -> foreign",
    );
}

#[test]
fn localities() {
    check(
        "web.service.dc2.consul -> service web dc dc2 in consul.
         web.service.dc2.dc.consul -> service web dc dc2 in consul.
         web.service.east.peer.consul -> service web peer east in consul.
         web.service.http.port.consul -> service web port http in consul.
         web.service.dc2.dc.http.port.consul -> service web dc dc2 port http in consul.
         web.service.a.dc.b.dc.consul -> service web dc b in consul.
         web.service.dc2.dc.east.peer.consul -> malformed
         web.service.x.ns.consul -> malformed
         web.service.a.b.c.consul -> malformed
         n1.node.dc1.extra.more.consul -> malformed",
    );
}
