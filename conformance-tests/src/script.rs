//! Exchanges as text, to be read and written by people.
//!
//! ```text
//! # what the file is about
//! @ config {"enable_script_checks": true}
//! @ start 15
//!
//! === a key that is not there
//! ~ ignore header Age
//! > GET /v1/kv/none
//! > X-Name: value
//! >
//! > body
//! < 404
//! < X-Consul-Index: 1
//! <
//! < body
//! = name /0/ID
//! ```
//! Lines of `@` hold for the file, `~` say how this answer is compared (`differs REASON` excuses the subject), `>` is the request, `<` the answer that was recorded,
//! and `=` keeps a piece of the answer (a place in its JSON, or `header X`) under a name, for `{name}` in later requests; `{port 8500}` there is the port that the subject has instead.
//! A body line `> @repeat 5 ab` or `> @hex ff00` stands for bytes that cannot be written; `> @raw` sends the rest, joined by CRLF, as it is.

use crate::http::{Answer, Request};

/// One file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// Comment lines at the top, with their `#`.
    pub comments: Vec<String>,
    /// `@` lines: name and rest.
    pub settings: Vec<(String, String)>,
    /// The exchanges in order.
    pub exchanges: Vec<Exchange>,
}

/// One request, how to compare its answer, and the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// What it shows.
    pub name: String,
    /// `~` lines.
    pub rules: Vec<String>,
    /// `>` lines.
    pub request: Vec<String>,
    /// `<` lines; empty until recorded.
    pub answer: Vec<String>,
    /// `=` lines: name and place.
    pub keeps: Vec<(String, String)>,
}

impl Script {
    /// Reads a file's text.
    ///
    /// # Errors
    /// The first line that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        for (n, line) in text.lines().enumerate() {
            script.line(line).ok_or_else(|| format!("line {}: {line:?}", n + 1))?;
        }
        Ok(script)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        if line.is_empty() {
            return Some(());
        }
        if let Some(name) = line.strip_prefix("=== ") {
            self.exchanges.push(Exchange { name: name.to_owned(), ..Exchange::default() });
            return Some(());
        }
        let (mark, rest) = line.split_at_checked(1)?;
        let rest = rest.strip_prefix(' ').unwrap_or(rest).to_owned();
        match (mark, self.exchanges.last_mut()) {
            ("#", None) => self.comments.push(line.to_owned()),
            ("@", None) => {
                let (name, value) = rest.split_once(' ')?;
                self.settings.push((name.to_owned(), value.to_owned()));
            }
            ("~", Some(here)) => here.rules.push(rest),
            (">", Some(here)) => here.request.push(rest),
            ("<", Some(here)) => here.answer.push(rest),
            ("=", Some(here)) => {
                let (name, place) = rest.split_once(' ')?;
                here.keeps.push((name.to_owned(), place.to_owned()));
            }
            _ => return None,
        }
        Some(())
    }

    /// The text of the file.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = String::new();
        for comment in &self.comments {
            text += &format!("{comment}\n");
        }
        for (name, value) in &self.settings {
            text += &format!("@ {name} {value}\n");
        }
        for exchange in &self.exchanges {
            exchange.print(&mut text);
        }
        text
    }

    /// The value of an `@` line.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Sets an `@` line.
    pub fn set(&mut self, name: &str, value: String) {
        self.settings.retain(|(n, _)| n != name);
        self.settings.push((name.to_owned(), value));
    }
}

impl Exchange {
    fn print(&self, text: &mut String) {
        *text += &format!("\n=== {}\n", self.name);
        let marked = [("~", &self.rules), (">", &self.request), ("<", &self.answer)];
        for (mark, lines) in marked {
            for line in lines {
                *text += &format!("{mark} {line}\n").replace(" \n", "\n");
            }
        }
        for (name, place) in &self.keeps {
            *text += &format!("= {name} {place}\n");
        }
    }

    /// The request, its `{names}` filled in; `None` stands for a raw one.
    ///
    /// # Errors
    /// What is wrong with its lines.
    pub fn request(&self, fill: impl Fn(&str) -> String) -> Result<Outgoing, String> {
        let mut lines = self.request.iter().map(|line| fill(line));
        let first = lines.next().ok_or("no request")?;
        if first == "@raw" {
            return Ok(Outgoing::Raw(lines.collect::<Vec<_>>().join("\r\n").into_bytes()));
        }
        let (method, target) = first.split_once(' ').ok_or("no target")?;
        let mut request = Request::new(method, target);
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").ok_or_else(|| format!("header {line:?}"))?;
            request.headers.push((name.to_owned(), value.to_owned()));
        }
        let body: Result<Vec<_>, String> = lines.map(|line| body_line(&line)).collect();
        request.body = body?.join(&b'\n');
        Ok(Outgoing::Plain(request))
    }

    /// The recorded answer, if there is one.
    ///
    /// # Errors
    /// What is wrong with its lines.
    pub fn answer(&self) -> Result<Option<Answer>, String> {
        let Some(first) = self.answer.first() else { return Ok(None) };
        let status = first.parse().map_err(|_| format!("status {first:?}"))?;
        let mut answer = Answer { status, ..Answer::default() };
        let mut lines = self.answer[1..].iter();
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| format!("header {line:?}"))?;
            answer.headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let body: Result<Vec<_>, String> = lines.map(|line| body_line(line)).collect();
        answer.body = body?.join(&b'\n');
        Ok(Some(answer))
    }

    /// Replaces the recorded answer.
    pub fn record(&mut self, answer: &Answer) {
        self.answer = vec![answer.status.to_string()];
        let kept = answer.headers.iter().filter(|(name, _)| !UNRECORDED.contains(&name.as_str()));
        self.answer.extend(kept.map(|(name, value)| format!("{name}: {value}")));
        if !answer.body.is_empty() {
            self.answer.push(String::new());
            self.answer.extend(print_body(&answer.body));
        }
    }
}

/// Headers that say nothing about the program: the clock's and the framing's.
const UNRECORDED: &[&str] = &["Date", "Content-Length", "Transfer-Encoding"];

/// What goes out.
#[derive(Debug, Clone)]
pub enum Outgoing {
    /// A request.
    Plain(Request),
    /// Bytes that need not be one.
    Raw(Vec<u8>),
}

fn body_line(line: &str) -> Result<Vec<u8>, String> {
    if let Some(rest) = line.strip_prefix("@repeat ") {
        let (count, text) = rest.split_once(' ').ok_or("@repeat wants a count and a text")?;
        return Ok(text.repeat(count.parse().map_err(|_| "@repeat wants a count")?).into_bytes());
    }
    let Some(digits) = line.strip_prefix("@hex ") else { return Ok(line.as_bytes().to_vec()) };
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len())
        .step_by(2)
        .map(byte)
        .collect::<Option<_>>()
        .ok_or_else(|| "@hex wants pairs".to_owned())
}

fn print_body(body: &[u8]) -> Vec<String> {
    match std::str::from_utf8(body) {
        Ok(text) if !text.contains('\r') && !text.lines().any(|l| l.ends_with(' ')) => {
            text.split('\n').map(ToOwned::to_owned).collect()
        }
        _ => vec![format!("@hex {}", body.iter().map(|b| format!("{b:02x}")).collect::<String>())],
    }
}

#[cfg(test)]
mod tests {
    use super::{Outgoing, Script};

    const FILE: &str = "# about\n@ config {}\n\n=== one\n~ ignore body\n> PUT /v1/kv/a?x={id}\n> A: b\n>\n> @hex ff\n< 200\n< B: c\n<\n< [\n<\n= id /0/ID\n";

    #[test]
    fn a_file_is_printed_as_it_was_read() {
        assert_eq!(Script::parse(FILE).unwrap().print(), FILE);
    }

    #[test]
    fn requests_are_filled() {
        let script = Script::parse(FILE).unwrap();
        let request = script.exchanges[0].request(|line| line.replace("{id}", "7")).unwrap();
        let Outgoing::Plain(request) = request else { panic!("plain") };
        assert_eq!((request.target.as_str(), request.body), ("/v1/kv/a?x=7", vec![0xff]));
        let answer = script.exchanges[0].answer().unwrap().unwrap();
        assert_eq!((answer.status, answer.body), (200, b"[\n".to_vec()));
    }

    #[test]
    fn nonsense_is_named() {
        assert!(Script::parse("> GET /\n").unwrap_err().contains("line 1"));
    }
}
