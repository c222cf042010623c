//! The way of a query, gone once more for who wants to know it.

use std::sync::Arc;
use std::time::Instant;

use proconsul_anchors::acl::Authority;
use proconsul_anchors::caller::Caller;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::kept::Basis;
use super::{Asking, Door, Look, Service, bytes_max};
use crate::answer::{self, Absence, Draft, View};
use crate::explain::{Told, Trace, place};
use crate::fallback::{Whom, instead, whom};
use crate::limits::PLAIN_UDP_BYTES;
use crate::message::Reply;
use crate::name::Name;
use crate::question::{self, Place, Question};
use crate::record::{Edns, Kind};
use crate::settings::Settings;
use crate::shape::{Asker, Transport, shape};

/// What is to be explained.
#[derive(Clone, Debug)]
pub struct Inquiry {
    /// The name.
    pub name: Name,
    /// The type.
    pub kind: Kind,
    /// How it is asked.
    pub transport: Transport,
    /// The size that the client tells by EDNS; nothing for a client that does not speak it.
    pub udp_size: Option<u16>,
    /// For whom, and from where; nothing for whoever asks by DNS.
    pub caller: Option<Caller>,
}

impl Inquiry {
    fn question(&self) -> Question {
        Question { name: self.name.clone(), kind: self.kind, class: CLASS_IN }
    }

    fn asker(&self) -> Asker {
        let udp_size = self.udp_size;
        Asker {
            transport: self.transport,
            edns: udp_size.map(|udp_size| Edns { udp_size, subnet: None, error: None }),
            id: 0,
            opcode: 0,
            recursion_desired: true,
            checking_disabled: false,
        }
    }

    /// The query, as a client would send it.
    fn message(&self) -> Box<[u8]> {
        let additional = u8::from(self.udp_size.is_some());
        let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, additional];
        message.extend_from_slice(self.name.wire());
        message.extend_from_slice(&self.kind.0.to_be_bytes());
        message.extend_from_slice(&CLASS_IN.to_be_bytes());
        if let Some(size) = self.udp_size {
            message.extend_from_slice(&[0, 0, 41]);
            message.extend_from_slice(&size.to_be_bytes());
            message.extend_from_slice(&[0; 6]);
        }
        message.into()
    }
}

const CLASS_IN: u16 = 1;

impl<D: Door> Service<D> {
    /// Goes the way of a query, and tells it. Others who have a say in it are asked, too.
    pub async fn explain(self: &Arc<Self>, inquiry: &Inquiry) -> Trace {
        let settings = self.settings.load_full();
        let (question, asker) = (inquiry.question(), inquiry.asker());
        let place = question::parse(&question, &settings);
        let (caller, since) = (inquiry.caller.clone(), Instant::now());
        let from = caller.as_ref().and_then(|caller| caller.address);
        let asking = Asking { settings, from, caller, question, asker, place, since };
        let mut trace = began(&asking);
        let reply = self.trace(&asking, inquiry.message(), &mut trace).await;
        let bytes = reply.clone().to_bytes_within(bytes_max(inquiry.transport)).len();
        trace.reply = Told::of(&reply, bytes);
        trace
    }

    async fn trace(&self, asking: &Asking, message: Box<[u8]>, trace: &mut Trace) -> Reply {
        let Asking { settings, question, place, .. } = asking;
        if *place == Place::Foreign
            && let Some(image) = settings.images.of(&question.name)
        {
            trace.asked.push(format!("the bridged zone {}", image.zone()));
            return shaped(asking, image.answer(question), trace);
        }
        if let Some(subject) = self.subject(asking) {
            trace.asked.push("the anchor, which attests what is answered".to_owned());
            return self.prove(asking, subject).await;
        }
        let (datacenter, look) = match whom(place, question.kind, settings) {
            Whom::Nobody => {
                trace.asked.push("nobody: no recursors are configured".to_owned());
                return shaped(asking, answer::refusal(), trace);
            }
            whom @ (Whom::Recursors | Whom::Fallback(_)) => {
                trace.asked.push(told(&whom, settings));
                return self.ask(asking, message, &whom).await;
            }
            Whom::Index => (settings.datacenter.to_string(), self.look(asking)),
            Whom::Far(datacenter) => match self.look_far(asking, &datacenter) {
                Some(look) => (datacenter, look.await),
                None => {
                    trace.asked.push(format!("datacenter {datacenter}, which is not known"));
                    (settings.datacenter.to_string(), self.look(asking))
                }
            },
        };
        trace.asked.push(seen(&look, &datacenter));
        trace.asked.extend(self.names_asked(asking, &look, &datacenter));
        let draft = self.put_together(asking, &look, &datacenter).await;
        let hops = || crate::hops::told(&message);
        let sure = matches!(look, Look::Seen(..));
        let elsewhere = instead(place, question, &draft, settings, hops).filter(|_| sure);
        trace.asked.extend(draft.absence.map(absent));
        if draft.absence != Some(Absence::Far) {
            self.note_rows(asking, &look, &datacenter, trace);
        }
        match elsewhere {
            Some(whom) => {
                let kept = kept_elsewhere(asking, &whom).await;
                trace.asked.push(told(&whom, settings) + &kept);
                self.ask(asking, message, &whom).await
            }
            None => {
                trace.kept = kept(asking, &look, &draft);
                shaped(asking, draft, trace)
            }
        }
    }

    /// About which host names the recursors are asked.
    fn names_asked(&self, asking: &Asking, look: &Look, datacenter: &str) -> Option<String> {
        let recursors = asking.settings.recursors.as_ref()?;
        let chance = &mut StdRng::seed_from_u64(0);
        let wants = self.draft(asking, look, datacenter, None, chance).wants;
        let (servers, names) = (listed(&recursors.servers), listed(&wants));
        (!wants.is_empty()).then(|| format!("the recursors ({servers}) about {names}"))
    }

    fn note_rows(&self, asking: &Asking, look: &Look, datacenter: &str, trace: &mut Trace) {
        let Some((index, authority)) = look.seen() else { return };
        let Asking { settings, from, asker, .. } = asking;
        let (now, source) = (self.door.now(), asker.source().or(*from));
        let (edns, beyond) = (asker.edns.is_some(), None);
        let view = View { index, datacenter, authority, settings, now, edns, source, beyond };
        let (rows, hidden) = answer::rows(view, &asking.place);
        trace.rows = rows;
        trace.hidden = authority.has_token().then_some(hidden);
    }
}

fn began(asking: &Asking) -> Trace {
    let Asking { question, asker, from, caller, .. } = asking;
    let transport = match asker.transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
    };
    let edns = match &asker.edns {
        Some(edns) => format!("EDNS with {} bytes", edns.udp_size),
        None => "no EDNS".to_owned(),
    };
    let from = from.map(|from| format!(", from {from}")).unwrap_or_default();
    let rights = if caller.is_some() { "the caller's rights" } else { "the rights of DNS" };
    Trace {
        question: format!("{} {}", question.name, question.kind),
        asker: format!("{transport}, {edns}{from}, with {rights}"),
        place: place(&asking.place),
        kept: "no: it is made for each query".to_owned(),
        ..Trace::default()
    }
}

/// For how long whoever is asked has kept his answer, in words.
async fn kept_elsewhere(asking: &Asking, whom: &Whom) -> String {
    let Asking { settings, place, question, asker, .. } = asking;
    let Whom::Fallback(at) = whom else { return String::new() };
    let Some(fallback) = settings.fallbacks.get(*at) else { return String::new() };
    let kept = fallback.kept_for(place, question, asker.transport).await;
    kept.map(|seconds| format!(", as it was told {seconds} s ago")).unwrap_or_default()
}

/// Who is asked, in words.
fn told(whom: &Whom, settings: &Settings) -> String {
    match whom {
        Whom::Recursors => {
            let servers = settings.recursors.as_ref().map(|recursors| listed(&recursors.servers));
            format!("the recursors: {}", servers.unwrap_or_default())
        }
        Whom::Fallback(at) => {
            let rule = settings.fallbacks.get(*at).map(|fallback| fallback.rule());
            format!(
                "fallback {}: {}",
                at + 1,
                rule.map(|rule| listed(&rule.servers)).unwrap_or_default()
            )
        }
        Whom::Far(datacenter) => format!("datacenter {datacenter}"),
        Whom::Index => "the index".to_owned(),
        Whom::Nobody => "nobody".to_owned(),
    }
}

fn listed(things: &[impl ToString]) -> String {
    things.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What a look came to, in words.
fn seen(look: &Look, datacenter: &str) -> String {
    let index = format!("the index of {datacenter}");
    match look {
        Look::Seen(at, authority)
        | Look::Stale(at, authority, _)
        | Look::Leaderless(at, authority, _)
            if !authority.is_known() =>
        {
            format!("{index} at revision {}, with a token that is not known", at.revision())
        }
        Look::Seen(at, _) => format!("{index} at revision {}", at.revision()),
        Look::Leaderless(at, ..) => {
            format!("{index} at revision {}, without a leader", at.revision())
        }
        Look::Stale(at, _, why) => {
            format!("{index} as it was at revision {}: {why}", at.revision())
        }
        Look::Refused(why) => format!("{index}, which refuses: {why}"),
        Look::NotReady(why) => format!("{index}, which is not ready: {why}"),
        Look::Unreachable(why) => format!("{index}, which was not reached: {why}"),
    }
}

fn absent(absence: Absence) -> String {
    match absence {
        Absence::Malformed => "nothing has such a name",
        Absence::Unknown => "nothing of this name is there",
        Absence::Hidden => "nothing of this name is there for this asker",
        Absence::Unfit => "something of this name is there, and nothing of it is fit",
        Absence::Far => "its datacenter or peer is not known",
    }
    .to_owned()
}

/// Whether listeners keep such a reply.
fn kept(asking: &Asking, look: &Look, draft: &Draft) -> String {
    let reply = shape(draft.clone(), Some(&asking.question), &asking.asker, &asking.settings);
    let basis = match look {
        Look::Seen(index, authority)
            if Authority::is_open(authority) && asking.asker.transport == Transport::Udp =>
        {
            Basis::of(&asking.place, &reply, index)
        }
        _ => None,
    };
    match basis {
        Some(Basis::Service(name, _)) => {
            format!("by UDP listeners, while the row of service {name} stands")
        }
        Some(Basis::Index(_)) => "by UDP listeners, while the index stands".to_owned(),
        None => "no: it is made for each query".to_owned(),
    }
}

/// Makes the reply, and notes what was cut.
fn shaped(asking: &Asking, draft: Draft, trace: &mut Trace) -> Reply {
    let Asking { settings, asker, question, .. } = asking;
    let before = (draft.answer.len(), draft.authority.len(), draft.additional.len());
    let reply = shape(draft, Some(question), asker, settings);
    let edns = reply.additional.iter().filter(|record| record.data.kind() == Kind::OPT).count();
    let after = (reply.answer.len(), reply.authority.len(), reply.additional.len() - edns);
    let said = asker.edns.as_ref().map_or(0, |edns| usize::from(edns.udp_size));
    if asker.transport == Transport::Udp {
        let limit = if said <= PLAIN_UDP_BYTES { PLAIN_UDP_BYTES } else { said };
        trace.sizing.push(format!("the client takes {limit} bytes"));
        if said <= PLAIN_UDP_BYTES && before.0 > after.0 {
            let limit = settings.udp_answer_limit;
            trace
                .sizing
                .push(format!("without EDNS it is told {limit} answers (udp_answer_limit)"));
        }
    }
    for (section, before, after) in [
        ("answers", before.0, after.0),
        ("authority records", before.1, after.1),
        ("additional records", before.2, after.2),
    ] {
        if before != after {
            trace.sizing.push(format!("{after} of {before} {section} are sent"));
        }
    }
    if before.0 > after.0 && !reply.header.truncated {
        trace.sizing.push("TC is not set, because enable_truncate is off".to_owned());
    }
    reply
}
