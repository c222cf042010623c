//! Seeded random requests, asked of two subjects at once.
//!
//! The same seed makes the same requests for ever. Names are few, so that requests meet: the same key is put, locked and
//! deleted; the same service registered, failed and renamed. What depends on the clock is kept out (long TTLs, checks
//! that never come due, lock delays of none or of more than a run).

use std::collections::{BTreeMap, HashMap};

use crate::{
    differ::{Difference, Rules, compare},
    http::{Answer, Client, Request},
    json::Json,
    subject::Subject,
    ties::{Start, Ties},
};

mod make;

pub use make::Traffic;

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
        let differences = compare(&answers.0, &answers.1, &mut ties, &step.rules);
        if !differences.is_empty() {
            let Request { method, target, body, .. } = &step.request;
            report.unequal.push(Unequal {
                step: report.asked,
                route: step.route,
                request: format!("{method} {target} {}", String::from_utf8_lossy(body)),
                differences,
            });
        }
        report.asked += 1;
    }
    Ok(report)
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

    /// Both sides listen on ports of their own.
    fn hide_ports(&self, answer: &mut Answer) {
        let text = answer.text();
        if self.ports.iter().any(|port| text.contains(&port.to_string())) {
            let hide = |text: String, (n, port): (usize, &u16)| {
                text.replace(&port.to_string(), &format!("1000{n}"))
            };
            answer.body = self.ports.iter().enumerate().fold(text, hide).into_bytes();
        }
    }
}
