//! Seeded random requests, asked of two subjects at once.
//!
//! The same seed makes the same requests for ever. Names are few, so that requests meet: the same key is put, locked and
//! deleted; the same service registered, failed and renamed. What depends on the clock is kept out (long TTLs, checks
//! that never come due, lock delays of none or of more than a run).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    differ::{Difference, Rules, compare},
    http::{Answer, Client, Request},
    json::Json,
    subject::Subject,
    ties::{Start, Ties},
};

mod make;

pub use make::{Guarded, MANAGEMENT, Traffic};

/// One request of the stream. `{s3}` stands for the fourth session of this side, `{i}` for the index last seen.
#[derive(Debug, Clone)]
pub struct Step {
    /// Method and route pattern, for grouping.
    pub route: String,
    /// What is sent.
    pub request: Request,
    /// How its answers are compared.
    pub rules: Rules,
    /// The session slot that the answer's `ID` goes into.
    pub session: Option<usize>,
}

impl Step {
    /// Method, target and body as written in the stream.
    #[must_use]
    pub fn said(&self) -> String {
        let Request { method, target, body, .. } = &self.request;
        format!("{method} {target} {}", String::from_utf8_lossy(body))
    }
}

/// One step whose two answers differ.
#[derive(Debug, Clone)]
pub struct Unequal {
    /// Its place in the stream, from 0.
    pub step: usize,
    /// Method and route pattern.
    pub route: String,
    /// Method, target and body as written in the stream.
    pub request: String,
    /// In which places.
    pub differences: Vec<Difference>,
    /// Both bodies.
    pub bodies: (String, String),
}

/// What a run showed.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Steps played.
    pub asked: usize,
    /// Those whose answers differ.
    pub unequal: Vec<Unequal>,
}

impl Report {
    /// Equal answers in a thousand.
    #[must_use]
    pub fn per_mille(&self) -> usize {
        (self.asked - self.unequal.len()) * 1000 / self.asked.max(1)
    }

    /// The differences by route and place, most frequent first, each with its first example.
    #[must_use]
    pub fn grouped(&self) -> String {
        let mut groups: BTreeMap<(String, String), (usize, &Unequal, &Difference)> =
            BTreeMap::new();
        for unequal in &self.unequal {
            let Some(first) = unequal.differences.first() else { continue };
            let key = (unequal.route.clone(), pattern(&first.place));
            groups.entry(key).or_insert((0, unequal, first)).0 += 1;
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, (count, ..))| std::cmp::Reverse(*count));
        let tell = |((route, place), (count, unequal, first)): (
            (String, String),
            (usize, &Unequal, &Difference),
        )| {
            format!(
                "{count:5}  {route}  {place}\n       step {}: {}\n       left  {}\n       right {}\n",
                unequal.step,
                cut(&unequal.request),
                cut(&first.left),
                cut(&first.right)
            )
        };
        groups.into_iter().map(tell).collect()
    }
}

/// Longer values are cut in reports.
const SHOWN_MAX: usize = 400;

fn cut(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

/// A place with list positions left out.
fn pattern(place: &str) -> String {
    let step =
        |step: &str| if step.parse::<usize>().is_ok() { "*".to_owned() } else { step.to_owned() };
    place.split('/').map(step).collect::<Vec<_>>().join("/")
}

/// Plays the stream against both.
///
/// # Errors
/// When one of them does not answer at all.
pub fn play(
    left: &Subject,
    right: &Subject,
    stream: impl Iterator<Item = Step>,
) -> Result<Report, String> {
    let mut ties = Ties::new(Start { left: left.start_index, right: right.start_index });
    let (mut left, mut right) = (Side::new(left), Side::new(right));
    let mut report = Report::default();
    for step in stream {
        let answers = (left.play(&step)?, right.play(&step)?);
        let bodies = (answers.0.text(), answers.1.text());
        let differences = compare(&answers.0, &answers.1, &mut ties, &step.rules);
        if !differences.is_empty() {
            report.unequal.push(unequal(report.asked, &step, differences, bodies));
        }
        report.asked += 1;
    }
    Ok(report)
}

/// Reads that show the whole state, for finding the write after which two programs part.
const PROBES: &[&str] = &[
    "/v1/agent/services",
    "/v1/agent/checks",
    "/v1/catalog/nodes",
    "/v1/catalog/services",
    "/v1/health/state/any",
    "/v1/health/service/web",
    "/v1/health/service/api",
    "/v1/health/service/db",
    "/v1/health/service/other",
    "/v1/health/service/none",
    "/v1/catalog/node/n1",
    "/v1/catalog/node/n2",
    "/v1/catalog/node/n3",
    "/v1/catalog/node/node1",
    "/v1/kv/?recurse",
    "/v1/kv/a?keys",
    "/v1/kv/a/?keys",
    "/v1/kv/b?keys",
    "/v1/kv/none",
    "/v1/session/list",
];

/// Plays the stream and asks for the whole state after every write; ends after `limit` writes that parted them in a place
/// where they were together before.
///
/// # Errors
/// As [`play`].
pub fn probe(
    left: &Subject,
    right: &Subject,
    stream: impl Iterator<Item = Step>,
    limit: usize,
) -> Result<Vec<Unequal>, String> {
    let mut ties = Ties::new(Start { left: left.start_index, right: right.start_index });
    let (mut left, mut right) = (Side::new(left), Side::new(right));
    let mut parted = Vec::new();
    let mut known = BTreeSet::new();
    for (n, step) in stream.enumerate() {
        let answers = (left.play(&step)?, right.play(&step)?);
        let bodies = (answers.0.text(), answers.1.text());
        let mut differences = compare(&answers.0, &answers.1, &mut ties, &step.rules);
        let probes: &[&str] = if step.request.method == "GET" { &[] } else { PROBES };
        for target in probes {
            let read = Request::new("GET", target);
            let rules = Rules { unordered: true, ..Rules::default() };
            let probe = Step { route: String::new(), request: read, rules, session: None };
            // What is read here must not become the `{i}` of the stream.
            let kept = (left.index, right.index);
            let answers = (left.play(&probe)?, right.play(&probe)?);
            let found = compare(&answers.0, &answers.1, &mut ties, &probe.rules);
            (left.index, right.index) = kept;
            let named = |d: Difference| Difference { place: format!("{target} {}", d.place), ..d };
            differences.extend(found.into_iter().map(named));
        }
        let fresh =
            differences.iter().filter(|d| !known.contains(&d.place)).cloned().collect::<Vec<_>>();
        if step.request.method != "GET" {
            known = differences.into_iter().map(|d| d.place).collect();
        }
        if !fresh.is_empty() {
            parted.push(unequal(n, &step, fresh, bodies));
            if parted.len() == limit {
                break;
            }
        }
    }
    Ok(parted)
}

fn unequal(
    step: usize,
    of: &Step,
    differences: Vec<Difference>,
    bodies: (String, String),
) -> Unequal {
    Unequal { step, route: of.route.clone(), request: of.said(), differences, bodies }
}

struct Side {
    client: Client,
    ports: [u16; 5],
    sessions: HashMap<usize, String>,
    index: u64,
}

impl Side {
    fn new(subject: &Subject) -> Self {
        let ports = subject.ports.list();
        Self { client: subject.client(), ports, sessions: HashMap::new(), index: 1 }
    }

    fn play(&mut self, step: &Step) -> Result<Answer, String> {
        let asked = self.index;
        let mut request = step.request.clone();
        request.target = self.fill(&request.target);
        if let Ok(text) = std::str::from_utf8(&request.body) {
            request.body = self.fill(text).into_bytes();
        }
        let said = || format!("{} {}", request.method, request.target);
        let mut answer = self.client.send(&request).map_err(|e| format!("{}: {e}", said()))?;
        if answer.index() > 0 {
            self.index = answer.index();
        }
        if let (Some(slot), Some(json)) = (step.session, Json::parse(&answer.text()))
            && let Some(id) = json.get("ID")
        {
            self.sessions.insert(slot, id.text().to_owned());
        }
        self.hide_ports(&mut answer);
        if answer.status >= 400 {
            // A refusal may quote the index that this side was asked with.
            let quoted = format!("cas={asked}");
            answer.body = answer.text().replace(&quoted, "cas={i}").into_bytes();
        }
        Ok(answer)
    }

    fn fill(&self, text: &str) -> String {
        let mut text = text.replace("{i}", &self.index.to_string());
        for (slot, id) in &self.sessions {
            text = text.replace(&format!("{{s{slot}}}"), id);
        }
        text
    }

    /// Both sides listen on ports of their own. Digits within a longer number or hash are none.
    fn hide_ports(&self, answer: &mut Answer) {
        let text = answer.text();
        if self.ports.iter().any(|port| text.contains(&port.to_string())) {
            let hide = |text: String, (n, port): (usize, &u16)| {
                hide_number(&text, &port.to_string(), &format!("1000{n}"))
            };
            answer.body = self.ports.iter().enumerate().fold(text, hide).into_bytes();
        }
    }
}

fn hide_number(text: &str, number: &str, by: &str) -> String {
    let mut parts = text.split(number).peekable();
    let mut out = String::new();
    while let Some(part) = parts.next() {
        out.push_str(part);
        let Some(next) = parts.peek() else { break };
        let within = out.ends_with(|c: char| c.is_ascii_hexdigit())
            || next.starts_with(|c: char| c.is_ascii_hexdigit());
        out.push_str(if within { number } else { by });
    }
    out
}
