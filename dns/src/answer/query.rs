//! Prepared queries: instances in the order in which the query wants them.

use std::net::IpAddr;

use proconsul_anchors::prepared::Resolved;
use proconsul_anchors::prepared::execute::Wanted;
use rand::RngCore;

use super::service::{Eligible, told};
use super::{Absence, Miss, Search, Sections, View};
use crate::settings::seconds;

/// The segment of agents in the community edition: the one without a name.
const SEGMENT: &str = "";

/// A query that is not here. What it would find elsewhere cannot be judged by rules for services.
fn unknown(view: View<'_>) -> Miss {
    let absence = if view.authority.is_open() { Absence::Unknown } else { Absence::Hidden };
    Miss::NoName(absence)
}

/// What a query of this name or id finds.
pub(super) fn answer(
    search: &Search<'_>,
    name: &str,
    datacenter: Option<&str>,
    chance: &mut dyn RngCore,
) -> Result<Sections, Miss> {
    let (view, settings) = (search.view, search.view.settings);
    if datacenter.unwrap_or(&settings.datacenter) != view.datacenter {
        return Err(Miss::NoName(Absence::Far));
    }
    if name.is_empty() {
        return Err(Miss::Nameless);
    }
    // A template that cannot be used for this name fails as Consul fails.
    let resolved = view.index.resolve_query(name, SEGMENT).map_err(|_| Miss::Nameless)?;
    let Resolved { query, .. } = resolved.ok_or_else(|| unknown(view))?;
    if !view.authority.is_known() {
        return Err(Miss::NotAllowed);
    }
    let ip = view.source.as_ref().map(IpAddr::to_string).unwrap_or_default();
    let wanted = Wanted {
        ip: &ip,
        agent: &settings.node_name,
        datacenter: view.datacenter,
        ..Wanted::default()
    };
    let found = query.execute(view.index, view.authority, &wanted, chance);
    if found.instances.is_empty() {
        return Err(Miss::NoName(Absence::Unfit));
    }
    let instances: Vec<Eligible<'_>> =
        found.instances.iter().map(|(node, instance)| Eligible { node, instance }).collect();
    let ttl = query.ttl().unwrap_or_else(|| settings.service_ttl.of(&query.service.service));
    told(search, &instances, None, seconds(ttl), chance)
}

#[cfg(test)]
mod tests {
    use proconsul_anchors::acl::Authority;
    use proconsul_anchors::clock::Time;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use crate::answer::{View, answer};
    use crate::name::Name;
    use crate::question::{Question, parse};
    use crate::record::{Data, Kind};
    use crate::testing::world::World;

    const WORLD: &str = "
        set service_ttl:web=7s
        node n1 10.0.0.1
        node n2 10.0.0.2
        node n3 10.0.0.3
        service n1 web1 web port=80
        service n2 web2 web port=81
        service n3 web3 web port=82
        check n3 web3 critical
        prepared My.Query web ttl=3s
        prepared plain web
        prepared near web near=_ip
        prepared none nothing
        prepared geo- ${name.suffix} template=true
        prepared bad- ${match(\"${name.suffix}\")} template=true";

    /// The code, then the answers, each an address or a port with its TTL, in order.
    fn told(name: &str, kind: &str, source: &str) -> String {
        let world = World::read(WORLD);
        let question = Question {
            name: Name::parse(name).unwrap(),
            kind: Kind::parse(kind).unwrap(),
            class: 1,
        };
        let view = View {
            index: &world.index,
            datacenter: &world.settings.datacenter,
            authority: &Authority::open(),
            settings: &world.settings,
            now: Time(0),
            edns: true,
            source: source.parse().ok(),
            beyond: None,
        };
        let place = parse(&question, &world.settings);
        let draft = answer(view, &question, &place, &mut StdRng::seed_from_u64(1));
        let mut told: Vec<String> = draft
            .answer
            .iter()
            .map(|record| match &record.data {
                Data::A(ip) => format!("{ip} {}", record.ttl),
                Data::Srv { port, .. } => format!("{port} {}", record.ttl),
                other => format!("{other:?}"),
            })
            .collect();
        if source.is_empty() {
            told.sort();
        }
        format!("{:?}: {}", draft.rcode, told.join(", "))
    }

    #[test]
    fn queries_are_answered_as_consul_answers_them() {
        for (name, kind, source, expected) in [
            ("my.query.query.consul.", "A", "", "NoError: 10.0.0.1 3, 10.0.0.2 3"),
            ("MY.QUERY.query.dc1.consul.", "A", "", "NoError: 10.0.0.1 3, 10.0.0.2 3"),
            ("my.query.query.dc2.consul.", "A", "", "NxDomain: "),
            ("_my.query._tcp.query.consul.", "SRV", "", "NoError: 80 3, 81 3"),
            ("plain.query.consul.", "A", "", "NoError: 10.0.0.1 7, 10.0.0.2 7"),
            ("plain.query.consul.", "MX", "", "NoError: "),
            ("geo-web.query.consul.", "A", "", "NoError: 10.0.0.1 7, 10.0.0.2 7"),
            ("geo-nothing.query.consul.", "A", "", "NxDomain: "),
            ("none.query.consul.", "A", "", "NxDomain: "),
            ("unknown.query.consul.", "A", "", "NxDomain: "),
            ("bad-word.query.consul.", "A", "", "ServFail: "),
            ("near.query.consul.", "A", "10.0.0.2", "NoError: 10.0.0.2 7, 10.0.0.1 7"),
            ("near.query.consul.", "A", "10.0.0.1", "NoError: 10.0.0.1 7, 10.0.0.2 7"),
        ] {
            assert_eq!(told(name, kind, source), expected, "{name} {kind} from {source}");
        }
    }
}
