//! Proofs of answers: TXT of `_proof.<name>` tells where the attestations of what is answered about `<name>` are.
//!
//! What is attested is the *record set* of a name and a type, in a form that whoever has the answer can make again: a line
//! `owner type data` for each record of the answer section, in lower case, names with their dots at the end, one space
//! between, without class and time, the lines sorted by their bytes, each once, each ended by a line feed.
//!
//! ```text
//!   dig +tcp +noall +answer +nottlid +noclass NAME TYPE | tr -s '\t ' ' ' | tr A-Z a-z | LC_ALL=C sort -u | sha256sum
//! ```

use std::collections::BTreeSet;

use proconsul_anchors::credential::attestation::digest;
use proconsul_anchors::policy::Decided;

use crate::explain::data_text;
use crate::name::Name;
use crate::question::Question;
use crate::record::{Data, Kind, Record};

/// What stands before a name whose proofs are asked for.
const LABEL: &[u8] = b"_proof";
/// The types whose answers are attested.
const PROVEN: [Kind; 3] = [Kind::A, Kind::AAAA, Kind::SRV];

/// The questions whose answers are to be proven; none where no proof is asked for.
pub(crate) fn questions(asked: &Question) -> impl Iterator<Item = Question> + use<> {
    let (name, class) = (subject(asked), asked.class);
    let of_type = move |kind| name.clone().map(|name| Question { name, kind, class });
    PROVEN.into_iter().filter_map(of_type)
}

/// The name whose proofs are asked for.
fn subject(asked: &Question) -> Option<Name> {
    let mut suffixes = asked.name.suffixes();
    let first = suffixes.next()?;
    let is_label = first[1..].get(..LABEL.len()).is_some_and(|it| it.eq_ignore_ascii_case(LABEL));
    let asks = asked.kind == Kind::TXT && usize::from(first[0]) == LABEL.len() && is_label;
    asks.then(|| Name::from_wire(suffixes.next()?).ok()).flatten()
}

/// What the statement says that was asked (RFC 4501).
pub(crate) fn query(question: &Question) -> String {
    let name = question.name.to_lower().to_string();
    format!("dns:{}?type={}", name.trim_end_matches('.'), question.kind)
}

/// A record set in the form that is attested.
pub(crate) fn canonical(answer: &[Record]) -> String {
    let line = |record: &Record| {
        let (owner, kind) = (&record.owner, record.data.kind());
        format!("{owner} {kind} {}\n", data_text(&record.data)).to_ascii_lowercase()
    };
    answer.iter().map(line).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The record that tells where an attestation is. Nobody is to keep it: an attestation is over soon.
pub(crate) fn record(owner: &Name, kind: Kind, set: &str, decided: &Decided, id: &str) -> Record {
    let scope = decided.scope.as_ref().map(|scope| format!("scope={scope}"));
    let rule = Some(format!("rule={}", decided.rule));
    let parts = [
        format!("type={kind}"),
        format!("answer={}", digest(set.as_bytes())),
        format!("attestation=/v1/anchor/attestation/{id}"),
    ];
    let texts = parts.into_iter().chain(scope).chain(rule);
    Record { owner: owner.clone(), ttl: 0, data: Data::texts(texts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: Kind) -> Question {
        Question { name: Name::parse(name).unwrap(), kind, class: 1 }
    }

    #[test]
    fn proofs_are_asked_for_by_text_under_a_label() {
        for (name, kind, subject) in [
            ("_proof.web.service.consul", Kind::TXT, Some("web.service.consul.")),
            ("_PROOF.Web.service.consul", Kind::TXT, Some("Web.service.consul.")),
            ("_proof._web._tcp.service.consul", Kind::TXT, Some("_web._tcp.service.consul.")),
            ("_proof.web.service.consul", Kind::A, None),
            ("_proof.web.service.consul", Kind::ANY, None),
            ("_proofs.web.service.consul", Kind::TXT, None),
            ("a.web.service.consul", Kind::TXT, None),
            ("web._proof.service.consul", Kind::TXT, None),
            ("_proof", Kind::TXT, None),
            (".", Kind::TXT, None),
        ] {
            let first = questions(&question(name, kind)).next();
            let told = first.map(|question| question.name.to_string());
            assert_eq!(told.as_deref(), subject, "{name} {kind}");
        }
        let kinds: Vec<Kind> =
            questions(&question("_proof.a.consul", Kind::TXT)).map(|it| it.kind).collect();
        assert_eq!(kinds, PROVEN);
    }

    #[test]
    fn order_case_and_time_are_no_part_of_a_record_set() {
        let name = |text: &str| Name::parse(text).unwrap();
        let record = |owner: &str, ttl, data| Record { owner: name(owner), ttl, data };
        let srv = |port| {
            let target = name("N1.node.dc1.consul");
            Data::Srv { priority: 1, weight: 1, port, target }
        };
        let one = [
            record("Web.service.consul", 5, srv(90)),
            record("web.service.consul", 7, srv(80)),
            record("web.service.consul", 7, Data::Aaaa("2001:DB8::1".parse().unwrap())),
        ];
        let expected = "web.service.consul. aaaa 2001:db8::1\n\
            web.service.consul. srv 1 1 80 n1.node.dc1.consul.\n\
            web.service.consul. srv 1 1 90 n1.node.dc1.consul.\n";
        assert_eq!(canonical(&one), expected);
        let again = [2, 1, 0, 1].map(|at| one[at].clone());
        assert_eq!(canonical(&again), expected);
        assert_ne!(canonical(&one[1..]), expected);
        let asked = question("WEB.service.consul", Kind::SRV);
        assert_eq!(query(&asked), "dns:web.service.consul?type=SRV");
    }
}
