//! Messages to a server that keeps a bridged zone: what it has (RFC 5936), what it should have (RFC 2136), each signed with a
//! shared key (RFC 8945); and those that tell secondaries of a new version (RFC 1996).
//!
//! Each step is one message and so is carried out whole or not at all. Its prerequisites keep what somebody else wrote: a
//! name is added only where nothing is, and changed only while our own text stands beside it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SRV, TXT};
use hickory_proto::rr::{DNSClass, Name as WireName, RData, Record as WireRecord, RecordType};
use hickory_proto::rr::{TSigVerifier, TSigner, rdata::tsig::TsigAlgorithm};
use hickory_proto::serialize::binary::BinEncodable;

use crate::bridge::{Content, Fact, OWNER_LABEL, Step};
use crate::name::Name;

/// Clocks may differ by so many seconds: what BIND takes.
const FUDGE_SECONDS: u16 = 300;

/// Records of a zone that are taken: some hundred bytes each.
const RECORDS_MAX: usize = 1_000_000;

/// A key that both sides know. No `Debug`: it is a secret.
#[derive(Clone)]
pub struct Key(TSigner);

/// Why a key cannot be used. The text tells nothing of the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not the form that `tsig-keygen` writes.
    #[error(
        "no key is found; the file must hold key \"NAME\" {{ algorithm hmac-sha256; secret \"BASE64\"; }}; as tsig-keygen writes it"
    )]
    Form,
    /// Only HMACs of SHA-2 sign here.
    #[error("the algorithm {0:?} is not done here; make a key with tsig-keygen -a hmac-sha256")]
    Algorithm(String),
    /// The secret or the name of the key.
    #[error("the {0} of the key cannot be read")]
    Part(&'static str),
}

/// What a server did not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// It answered otherwise than well. The second part says what may help.
    #[error("the server answered {0}{1}")]
    Answered(String, &'static str),
    /// Its signature does not hold, or there is none.
    #[error("the answer is not signed by the key")]
    Signature,
    /// It cannot be read, or is not an answer to this.
    #[error("the answer cannot be read")]
    Unreadable,
    /// The zone has more records than are taken.
    #[error("the zone has more than {RECORDS_MAX} records")]
    TooMany,
    /// A name or text is too long for a message.
    #[error("{0} does not fit into a message")]
    TooLong(String),
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// As it should.
    Yes,
    /// The name is somebody else's, or what was there is not there any more: left alone.
    NotOurs,
}

/// The zone on another server.
pub struct Primary {
    zone: WireName,
    owner: Box<str>,
    ttl: u32,
    key: Key,
}

/// A message on its way, and what it takes to judge the answer.
pub struct Sent {
    /// For the wire.
    pub bytes: Vec<u8>,
    verifier: TSigVerifier,
}

/// A transfer that comes in several messages.
pub struct Transfer {
    verifier: TSigVerifier,
    zone: WireName,
    content: Content,
    starts: usize,
    records: usize,
}

// === impl Key ===

impl Key {
    /// Reads a key as `tsig-keygen` writes it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, KeyError> {
        let words: Vec<&str> = text
            .split(|letter: char| letter.is_whitespace() || "\"{};".contains(letter))
            .filter(|word| !word.is_empty())
            .collect();
        let after = |word: &str| {
            let at = words.iter().position(|found| *found == word)?;
            words.get(at + 1).copied()
        };
        let (Some(name), Some(algorithm), Some(secret)) =
            (after("key"), after("algorithm"), after("secret"))
        else {
            return Err(KeyError::Form);
        };
        let algorithm = match algorithm.trim_end_matches('.') {
            "hmac-sha256" => TsigAlgorithm::HmacSha256,
            "hmac-sha384" => TsigAlgorithm::HmacSha384,
            "hmac-sha512" => TsigAlgorithm::HmacSha512,
            other => return Err(KeyError::Algorithm(other.to_owned())),
        };
        let name = WireName::from_ascii(name).map_err(|_| KeyError::Part("name"))?;
        let secret = BASE64.decode(secret).map_err(|_| KeyError::Part("secret"))?;
        let signer = TSigner::new(secret, algorithm, name, FUDGE_SECONDS);
        signer.map(Self).map_err(|_| KeyError::Part("secret"))
    }
}

// === impl Primary ===

impl Primary {
    /// The zone with the key that may change it; whose our names are, and how long they may be kept.
    pub fn new(zone: &Name, owner_text: &str, ttl: u32, key: Key) -> Self {
        Self { zone: wire(zone), owner: owner_text.into(), ttl, key }
    }

    /// Asks for the whole zone.
    ///
    /// # Errors
    /// When the message cannot be made.
    pub fn transfer(&self, id: u16, now: u64) -> Result<(Vec<u8>, Transfer), UpdateError> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(self.zone.clone(), RecordType::AXFR));
        let Sent { bytes, verifier } = self.sign(message, now)?;
        let (zone, content) = (self.zone.clone(), Content::new());
        Ok((bytes, Transfer { verifier, zone, content, starts: 0, records: 0 }))
    }

    /// Makes the message of a step.
    ///
    /// # Errors
    /// When a name does not fit.
    pub fn step(&self, step: &Step, id: u16, now: u64) -> Result<Sent, UpdateError> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Update);
        let mut zone = Query::query(self.zone.clone(), RecordType::SOA);
        zone.set_query_class(DNSClass::IN);
        message.add_query(zone);
        let (Step::Add(labels, _) | Step::Replace(labels, _) | Step::Remove(labels)) = step;
        let name = self.under(labels)?;
        let mark = self.under(&format!("{OWNER_LABEL}.{labels}"))?;
        // Prerequisites stand where answers do, and updates where authorities do.
        match step {
            Step::Add(..) => {
                message.add_answer(empty(&name, DNSClass::NONE, RecordType::ANY));
                message.add_answer(empty(&mark, DNSClass::NONE, RecordType::ANY));
            }
            Step::Replace(..) | Step::Remove(_) => {
                message.add_answer(self.mark(&mark, 0));
                message.add_authority(empty(&name, DNSClass::ANY, RecordType::ANY));
            }
        }
        match step {
            Step::Add(_, facts) | Step::Replace(_, facts) => {
                message.add_authorities(self.records(&name, facts)?);
                message.add_authority(self.mark(&mark, self.ttl));
            }
            Step::Remove(_) => {
                message.add_authority(empty(&mark, DNSClass::ANY, RecordType::ANY));
            }
        }
        self.sign(message, now)
    }

    fn records(
        &self,
        name: &WireName,
        facts: &BTreeSet<Fact>,
    ) -> Result<Vec<WireRecord>, UpdateError> {
        let mut records = Vec::new();
        for fact in facts {
            let data = match fact {
                Fact::Address(std::net::IpAddr::V4(ip)) => RData::A(A(*ip)),
                Fact::Address(std::net::IpAddr::V6(ip)) => RData::AAAA(AAAA(*ip)),
                Fact::Alias(host) => RData::CNAME(CNAME(self.under(host)?)),
                Fact::Server { weight, port, target } => {
                    RData::SRV(SRV::new(1, *weight, *port, self.under(target)?))
                }
                Fact::Other(_) => continue,
            };
            records.push(WireRecord::from_rdata(name.clone(), self.ttl, data));
        }
        Ok(records)
    }

    /// The text that says whose a name is.
    fn mark(&self, name: &WireName, ttl: u32) -> WireRecord {
        let text = RData::TXT(TXT::new(vec![self.owner.to_string()]));
        WireRecord::from_rdata(name.clone(), ttl, text)
    }

    /// A name in the zone, or with its last dot one that stands alone.
    fn under(&self, labels: &str) -> Result<WireName, UpdateError> {
        let too_long = || UpdateError::TooLong(labels.to_owned());
        let mut name = WireName::from_ascii(labels).map_err(|_| too_long())?;
        if labels.ends_with('.') {
            return Ok(name);
        }
        name.set_fqdn(false);
        name.append_domain(&self.zone).map_err(|_| too_long())
    }

    fn sign(&self, mut message: Message, now: u64) -> Result<Sent, UpdateError> {
        let too_long = || UpdateError::TooLong("the update".to_owned());
        let signed = message.finalize(&self.key.0, now).map_err(|_| too_long())?;
        let verifier = signed.ok_or_else(too_long)?;
        let bytes = message.to_bytes().map_err(|_| too_long())?;
        Ok(Sent { bytes, verifier })
    }
}

/// A record without data: a prerequisite or a deletion.
fn empty(name: &WireName, class: DNSClass, kind: RecordType) -> WireRecord {
    let mut record = WireRecord::update0(name.clone(), 0, kind);
    record.dns_class = class;
    record
}

fn wire(name: &Name) -> WireName {
    let mut wire = WireName::from_labels(name.labels()).unwrap_or_else(|_| WireName::root());
    wire.set_fqdn(true);
    wire
}

// === impl Sent ===

impl Sent {
    /// What the server made of it.
    ///
    /// # Errors
    /// When it did not do it for another reason than that the name is not ours.
    pub fn judge(mut self, answer: &[u8]) -> Result<Done, UpdateError> {
        match checked(&mut self.verifier, answer)?.response_code {
            ResponseCode::NoError => Ok(Done::Yes),
            ResponseCode::YXDomain
            | ResponseCode::YXRRSet
            | ResponseCode::NXDomain
            | ResponseCode::NXRRSet => Ok(Done::NotOurs),
            code => Err(answered(code)),
        }
    }
}

/// An answer whose signature holds. A refusal to look at ours is not signed.
fn checked(verifier: &mut TSigVerifier, answer: &[u8]) -> Result<Message, UpdateError> {
    let message = Message::from_vec(answer).map_err(|_| UpdateError::Unreadable)?;
    if message.signature().is_none() && message.response_code != ResponseCode::NoError {
        return Err(answered(message.response_code));
    }
    if verifier.verify(answer).is_err() {
        return Err(match message.response_code {
            ResponseCode::NoError => UpdateError::Signature,
            code => answered(code),
        });
    }
    Ok(message)
}

fn answered(code: ResponseCode) -> UpdateError {
    let help = match code {
        ResponseCode::NotAuth => "; it knows no such zone, or another key or time than ours",
        ResponseCode::Refused => {
            "; let the key update (allow-update) and transfer (allow-transfer) the zone"
        }
        ResponseCode::NotZone => "; it does not keep this zone",
        _ => "",
    };
    UpdateError::Answered(code.to_string(), help)
}

// === impl Transfer ===

impl Transfer {
    /// Takes one message of a transfer; the zone's content when it was the last.
    ///
    /// # Errors
    /// When the zone is not given.
    pub fn take(&mut self, answer: &[u8]) -> Result<Option<Content>, UpdateError> {
        let message = checked(&mut self.verifier, answer)?;
        if message.response_code != ResponseCode::NoError {
            return Err(answered(message.response_code));
        }
        if message.answers.is_empty() {
            return Err(UpdateError::Unreadable);
        }
        self.records += message.answers.len();
        if self.records > RECORDS_MAX {
            return Err(UpdateError::TooMany);
        }
        for record in &message.answers {
            self.starts += usize::from(record.record_type() == RecordType::SOA);
            // The last record is the first again.
            if self.starts < 2
                && let Some(labels) = self.labels(&record.name)
            {
                let fact = self.fact(&record.data);
                self.content.entry(labels).or_default().insert(fact);
            }
        }
        Ok((self.starts >= 2).then(|| std::mem::take(&mut self.content)))
    }

    /// What stands before the zone.
    fn labels(&self, name: &WireName) -> Option<Box<str>> {
        let inside = self.zone.zone_of(name);
        inside.then(|| {
            let count = name.num_labels() - self.zone.num_labels();
            let labels = name.iter().take(usize::from(count));
            let texts: Vec<String> =
                labels.map(|label| crate::name::label_text(label).to_ascii_lowercase()).collect();
            texts.join(".").into()
        })
    }

    fn fact(&self, data: &RData) -> Fact {
        match data {
            RData::A(ip) => Fact::Address(ip.0.into()),
            RData::AAAA(ip) => Fact::Address(ip.0.into()),
            RData::CNAME(host) => Fact::Alias(self.spelt(&host.0)),
            RData::SRV(srv) => {
                Fact::Server { weight: srv.weight, port: srv.port, target: self.spelt(&srv.target) }
            }
            RData::TXT(text) => {
                let text: Vec<u8> = text.txt_data.iter().flat_map(|part| part.to_vec()).collect();
                Fact::Other(String::from_utf8_lossy(&text).into())
            }
            other => Fact::Other(format!("{} {other}", other.record_type()).into()),
        }
    }

    /// A host as [`Fact`] names it.
    fn spelt(&self, host: &WireName) -> Box<str> {
        match self.labels(host) {
            // Our own targets are told without the zone.
            Some(labels) if labels.ends_with(".addr") => labels,
            _ => {
                let text = host.to_ascii().to_ascii_lowercase();
                format!("{}.", text.trim_end_matches('.')).into()
            }
        }
    }
}

/// Tells a secondary that the zone has another version (RFC 1996).
pub fn notification(zone: &Name, id: u16) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Notify);
    message.metadata.authoritative = true;
    message.add_query(Query::query(wire(zone), RecordType::SOA));
    message.to_bytes().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::owner_text;

    #[test]
    fn keys_are_read_as_they_are_made() {
        let file =
            "key \"upd.\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0LXNlY3JldA==\";\n};\n";
        assert!(Key::read(file).is_ok());
        for (text, why) in [
            ("", KeyError::Form),
            (
                "key x { algorithm hmac-md5; secret \"AAAA\"; };",
                KeyError::Algorithm("hmac-md5".to_owned()),
            ),
            ("key x { algorithm hmac-sha256; secret \"?\"; };", KeyError::Part("secret")),
        ] {
            assert_eq!(Key::read(text).err(), Some(why), "{text}");
        }
    }

    #[test]
    fn steps_say_what_must_hold() {
        let key = Key::read("key k { algorithm hmac-sha256; secret \"c2VjcmV0\"; };").unwrap();
        let zone = Name::parse("corp.example").unwrap();
        let primary = Primary::new(&zone, &owner_text("dc1"), 30, key);
        let facts = || BTreeSet::from([Fact::Address("10.0.0.1".parse().unwrap())]);
        for (step, prerequisites, updates) in [
            (Step::Add("web".into(), facts()), 2, 2),
            (Step::Replace("web".into(), facts()), 1, 3),
            (Step::Remove("web".into()), 1, 2),
        ] {
            let sent = primary.step(&step, 7, 1_000_000).unwrap();
            let message = Message::from_vec(&sent.bytes).unwrap();
            assert_eq!(
                (message.answers.len(), message.authorities.len()),
                (prerequisites, updates)
            );
            assert!(message.signature().is_some());
        }
    }
}
