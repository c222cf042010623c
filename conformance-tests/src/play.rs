//! Plays the exchanges of a script against a subject: to record its answers, or to compare them with recorded ones.

use std::{
    collections::HashMap,
    io::{self, Read},
    net::SocketAddr,
    time::Duration,
};

use flate2::read::GzDecoder;

use crate::{
    differ::{Difference, Rules, compare},
    http::{Answer, Client},
    json::Json,
    script::{Exchange, Outgoing, Script},
    subject::{Mode, Ports, Setup, Subject},
    ties::{Start, Ties},
};

/// One exchange whose answer was not the recorded one.
#[derive(Debug, Clone)]
pub struct Miss {
    /// The exchange's name and request line.
    pub exchange: String,
    /// Where the answers differ.
    pub differences: Vec<Difference>,
}

/// How a script's subject is started.
#[must_use]
pub fn setup(script: &Script, base: Setup) -> Setup {
    let mode = if script.setting("mode") == Some("dev") { Mode::Dev } else { Mode::Disk };
    let setup = Setup { mode, ..base };
    match script.setting("config") {
        Some(json) => setup.config(json),
        None => setup,
    }
}

/// Plays the script and writes the answers into it.
///
/// # Errors
/// The first request that got no answer.
pub fn record(script: &mut Script, subject: &Subject) -> Result<(), String> {
    script.set("start", subject.start_index.to_string());
    let mut player = Player::new(subject);
    for exchange in &mut script.exchanges {
        let answer = player.play(exchange).map_err(|why| format!("{}: {why}", exchange.name))?;
        let rules = Rules::parse(&exchange.rules)?;
        exchange.record(&pruned(general(&answer, &subject.ports), &rules));
    }
    Ok(())
}

/// The answer without what its rules do not look at.
fn pruned(mut answer: Answer, rules: &Rules) -> Answer {
    if rules.ignores("body") {
        answer.body.clear();
    } else if let Some(json) = Json::parse(&answer.text())
        && !rules.ignored.is_empty()
    {
        answer.body = rules.pruned("", &json).to_string().into_bytes();
    }
    answer
}

/// Plays the script and lists what is not as recorded.
///
/// # Errors
/// When the script itself is wrong; a request without an answer is a miss.
pub fn replay(script: &Script, subject: &Subject) -> Result<Vec<Miss>, String> {
    let left = script.setting("start").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut ties = Ties::new(Start { left, right: subject.start_index });
    let mut player = Player::new(subject);
    let mut misses = Vec::new();
    for exchange in &script.exchanges {
        let want =
            exchange.answer()?.ok_or_else(|| format!("{} is not recorded", exchange.name))?;
        let rules = Rules::parse(&exchange.rules)?;
        let differences = match player.play(exchange) {
            Ok(answer) => compare(&want, &general(&answer, &subject.ports), &mut ties, &rules),
            Err(why) => {
                vec![Difference { place: "no answer".to_owned(), left: String::new(), right: why }]
            }
        };
        let excused = exchange.rules.iter().any(|rule| rule.starts_with("differs "));
        if excused && differences.is_empty() {
            println!("{} needs its excuse no more", exchange.name);
        }
        if !differences.is_empty() && !excused {
            let line = exchange.request.first().map_or("", String::as_str);
            misses.push(Miss { exchange: format!("{} ({line})", exchange.name), differences });
        }
    }
    Ok(misses)
}

/// Longest answer time of a scripted request; blocking ones ask for less.
const PATIENCE: Duration = Duration::from_secs(30);

struct Player {
    client: Client,
    address: SocketAddr,
    ports: Ports,
    kept: HashMap<String, String>,
}

impl Player {
    fn new(subject: &Subject) -> Self {
        let address = subject.http_address();
        let client = Client::new(address).patience(PATIENCE);
        Self { client, address, ports: subject.ports, kept: HashMap::new() }
    }

    fn play(&mut self, exchange: &Exchange) -> Result<Answer, String> {
        let outgoing = exchange.request(|line| self.fill(line))?;
        let answer = match outgoing {
            Outgoing::Plain(request) => self.client.send(&request),
            Outgoing::Raw(bytes) => Client::new(self.address).patience(PATIENCE).raw(&bytes),
        };
        let answer = answer.map_err(|error: io::Error| error.to_string())?;
        for (name, place) in &exchange.keeps {
            self.kept.insert(name.clone(), piece(&answer, place));
        }
        Ok(answer)
    }

    fn fill(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for (name, value) in &self.kept {
            line = line.replace(&format!("{{{name}}}"), value);
        }
        for (port, usual) in self.ports.list().into_iter().zip(Ports::USUAL.list()) {
            line = line.replace(&format!("{{port {usual}}}"), &port.to_string());
        }
        line
    }
}

/// The piece of an answer that an `=` line names.
fn piece(answer: &Answer, place: &str) -> String {
    if let Some(name) = place.strip_prefix("header ") {
        return answer.header(name).unwrap_or_default().to_owned();
    }
    let json = Json::parse(&answer.text());
    json.as_ref()
        .and_then(|json| json.at(place))
        .map(|found| found.text().to_owned())
        .unwrap_or_default()
}

/// The answer with Consul's usual ports instead of the run's own.
fn general(answer: &Answer, ports: &Ports) -> Answer {
    let body = unpacked(answer).unwrap_or_else(|| answer.body.clone());
    let mut text = match String::from_utf8(body) {
        Ok(text) => text,
        Err(bytes) => return Answer { body: bytes.into_bytes(), ..answer.clone() },
    };
    for (port, usual) in ports.list().into_iter().zip(Ports::USUAL.list()) {
        text = text.replace(&port.to_string(), &usual.to_string());
    }
    Answer { body: text.into_bytes(), ..answer.clone() }
}

/// A compressed body as it was before: two encoders need not agree on the bytes.
fn unpacked(answer: &Answer) -> Option<Vec<u8>> {
    answer.header("Content-Encoding").filter(|coding| *coding == "gzip")?;
    let mut body = Vec::new();
    GzDecoder::new(&answer.body[..]).read_to_end(&mut body).ok()?;
    Some(body)
}
