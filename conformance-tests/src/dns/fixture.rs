//! A file of DNS exchanges: a world in lines, and what was asked of it (`fixtures/dns/README.md`).

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use super::{
    shown::{self, Shown},
    wire::Transport,
    world,
};
use crate::{
    subject::{Kind, Mode, Setup, Subject},
    traffic::MANAGEMENT,
};

/// One file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fixture {
    /// What it is about.
    pub title: String,
    /// Settings, as in `dns_config`.
    pub settings: Vec<(String, String)>,
    /// What the program said of its own node. Not registered again.
    pub own: Vec<String>,
    /// What was registered.
    pub registrations: Vec<String>,
    /// What is asked of the HTTP interface before: `METHOD TARGET BODY`.
    pub requests: Vec<String>,
    /// Configuration entries, which come before registrations.
    pub entries: Vec<String>,
    /// The prepared queries.
    pub prepared: Vec<String>,
    /// What was asked.
    pub exchanges: Vec<Exchange>,
}

/// A question, and what came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The question for people to read; the message is made from it when there is none.
    pub ask: String,
    /// The message.
    pub query: Vec<u8>,
    /// The reply; `None` is silence.
    pub reply: Option<Vec<u8>>,
    /// The sizes seen, when the same question was answered in different ways.
    pub varies: Vec<usize>,
}

/// `fixtures/dns` of the checkout.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/dns")
}

fn put(subject: &Subject, method: &str, path: &str, bodies: &[String]) -> Result<(), String> {
    for body in bodies {
        let answer = subject.ask(method, path, body);
        if answer.status != 200 {
            return Err(format!("{body}: {}", answer.text()));
        }
    }
    Ok(())
}

// === impl Fixture ===

impl Fixture {
    /// Reads a file.
    ///
    /// # Errors
    /// What the file system said, or the line that cannot be understood.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|line| format!("{}: {line}", path.display()))
    }

    /// Understands a text.
    ///
    /// # Errors
    /// The line that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut fixture = Self::default();
        for line in text.lines() {
            fixture.line(line.trim()).ok_or_else(|| line.to_owned())?;
        }
        Ok(fixture)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (word, self.exchanges.last_mut()) {
            ("#", None) => rest.clone_into(&mut self.title),
            ("set", None) => {
                let (key, value) = rest.split_once('=')?;
                self.settings.push((key.to_owned(), value.to_owned()));
            }
            ("node" | "service" | "check", None) => {
                let own = world::node_of(line) == crate::subject::NODE;
                let lines = if own { &mut self.own } else { &mut self.registrations };
                lines.push(line.to_owned());
            }
            ("request", None) => self.requests.push(rest.to_owned()),
            ("entry", None) => self.entries.push(line.to_owned()),
            ("prepared", None) => self.prepared.push(line.to_owned()),
            ("ask", _) => {
                let id = u16::try_from(self.exchanges.len() + 1).ok()?;
                let query = super::wire::question(rest, id)?;
                self.exchanges.push(Exchange {
                    ask: rest.to_owned(),
                    query,
                    reply: None,
                    varies: Vec::new(),
                });
            }
            ("query", Some(exchange)) => exchange.query = super::wire::from_hex(rest)?,
            ("reply", Some(exchange)) if rest == "-" => exchange.reply = None,
            ("reply", Some(exchange)) => exchange.reply = Some(super::wire::from_hex(rest)?),
            ("varies", Some(exchange)) => {
                exchange.varies = rest.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
            }
            // What the reply says, for people to read.
            (_, Some(_)) | ("", None) => {}
            (_, None) => return None,
        }
        Some(())
    }

    /// The text of the file.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = format!("# {}\n", self.title);
        for (key, value) in &self.settings {
            let _ = writeln!(text, "set {key}={value}");
        }
        for line in &self.requests {
            let _ = writeln!(text, "request {line}");
        }
        let lines = self.own.iter().chain(&self.entries).chain(&self.registrations);
        for line in lines.chain(&self.prepared) {
            let _ = writeln!(text, "{line}");
        }
        self.exchanges.iter().for_each(|exchange| exchange.print(&mut text));
        text
    }

    /// How to start a program with these settings.
    #[must_use]
    pub fn setup(&self, kind: Kind) -> Setup {
        let setup = Setup::of(kind, Mode::Dev).config(&world::config(&self.settings));
        let guarded = self.settings.iter().any(|(key, _)| key.starts_with("acl:"));
        Setup { token: guarded.then(|| MANAGEMENT.to_owned()), ..setup }
    }

    /// Whether only a whole program can be in this world: an index does not have access control or recursors.
    #[must_use]
    pub fn needs_a_program(&self) -> bool {
        let of_programs =
            |(key, _): &(String, String)| key.starts_with("acl:") || key == "recursors";
        !self.requests.is_empty() || self.settings.iter().any(of_programs)
    }

    /// Makes the world in a program: registrations and prepared queries, in order.
    ///
    /// # Errors
    /// The line that cannot be understood, or what the program refused.
    pub fn establish(&self, subject: &Subject) -> Result<(), String> {
        for request in &self.requests {
            let (method, rest) = request.split_once(' ').ok_or_else(|| request.clone())?;
            let (target, body) = rest.split_once(' ').ok_or_else(|| request.clone())?;
            put(subject, method, target, &[body.to_owned()])?;
        }
        put(subject, "PUT", "/v1/config", &world::entries(&self.entries)?)?;
        let registrations = world::bodies(&self.registrations)?;
        let prepared = world::prepared(&self.prepared)?;
        put(subject, "PUT", "/v1/catalog/register", &registrations)?;
        put(subject, "POST", "/v1/query", &prepared)
    }
}

// === impl Exchange ===

impl Exchange {
    /// How it travels.
    #[must_use]
    pub fn transport(&self) -> Transport {
        if self.ask.starts_with("tcp") { Transport::Tcp } else { Transport::Udp }
    }

    /// Whether a reply is what was recorded. One that varies by itself must have a size that was seen or one between, and
    /// as many records of each kind; of each kind some, when not even the size stays.
    #[must_use]
    pub fn is_like(&self, reply: Option<&[u8]>) -> bool {
        let (ours, theirs) = (shown::show(reply), shown::show(self.reply.as_deref()));
        if ours == theirs {
            return true;
        }
        let (Some(least), Some(most)) = (self.varies.iter().min(), self.varies.iter().max()) else {
            return false;
        };
        let kinds = |shown: &Shown| {
            let (head, mut kinds) = shown.outline();
            if least < most {
                kinds.dedup();
            }
            (head, kinds)
        };
        (*least..=*most).contains(&ours.bytes) && kinds(&ours) == kinds(&theirs)
    }

    fn print(&self, text: &mut String) {
        let reply = self.reply.as_deref().map_or_else(|| "-".to_owned(), super::wire::to_hex);
        let _ = write!(
            text,
            "\nask {}\n  query {}\n  reply {reply}\n",
            self.ask,
            super::wire::to_hex(&self.query)
        );
        if !self.varies.is_empty() {
            let sizes: Vec<String> = self.varies.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "  varies {}", sizes.join(" "));
        }
        let shown = shown::show(self.reply.as_deref());
        let _ = writeln!(text, "  {}, {} B", shown.head, shown.bytes);
        for record in &shown.records {
            let _ = writeln!(text, "  {record}");
        }
    }
}
