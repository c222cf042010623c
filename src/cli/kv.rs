//! `kv get|put|delete|export|import`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Arg;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::client::{Answer, Api, all_flags, unexpected};
use super::go::data;
use super::json::indented;
use super::table::pairs;
use super::{Call, Entry, boolean, number, print_bytes, text, told};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["kv", "delete"],
        words: "KEY_OR_PREFIX",
        about: "Deletes a key, or all that begin alike",
        flags: delete_flags,
        run: delete,
    },
    Entry {
        path: &["kv", "export"],
        words: "[PREFIX]",
        about: "Writes keys and values as JSON",
        flags: all_flags,
        run: export,
    },
    Entry {
        path: &["kv", "get"],
        words: "[KEY_OR_PREFIX]",
        about: "Reads a value, or lists keys",
        flags: get_flags,
        run: get,
    },
    Entry {
        path: &["kv", "import"],
        words: "[DATA]",
        about: "Reads the JSON of export and writes it",
        flags: import_flags,
        run: import,
    },
    Entry {
        path: &["kv", "put"],
        words: "KEY [DATA]",
        about: "Writes a value",
        flags: put_flags,
        run: put,
    },
];

/// Spaces between the names and values of a detailed entry.
const DETAIL_GAP: usize = 6;

fn get_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend([
        boolean("base64", "Prints values in base64."),
        boolean("detailed", "Prints all that is known of a key."),
        boolean("keys", "Prints keys only."),
        boolean("recurse", "Prints all keys that begin alike."),
        text("separator", "string", "Where -keys cuts a key off.").default_value("/"),
    ]);
    flags
}

fn put_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend([
        boolean("acquire", "Takes the key's lock for -session."),
        boolean("base64", "Takes the value as base64."),
        boolean("cas", "Writes only if the key's ModifyIndex is -modify-index."),
        number("flags", "A number kept with the value."),
        number("modify-index", "The index for -cas; 0 means that the key must not exist."),
        boolean("release", "Gives the key's lock of -session back."),
        text("session", "string", "The session for -acquire and -release."),
    ]);
    flags
}

fn delete_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend([
        boolean("cas", "Deletes only if the key's ModifyIndex is -modify-index."),
        number("modify-index", "The index for -cas."),
        boolean("recurse", "Deletes all keys that begin alike."),
    ]);
    flags
}

fn import_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.push(text("prefix", "string", "Put before every key."));
    flags
}

/// A key as the API prints it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pair {
    key: String,
    #[serde(default)]
    flags: u64,
    #[serde(default)]
    value: Option<String>,
    create_index: u64,
    modify_index: u64,
    lock_index: u64,
    #[serde(default)]
    session: String,
}

/// A key as export prints it.
#[derive(Serialize, Deserialize)]
struct Exported {
    key: String,
    #[serde(default)]
    flags: u64,
    #[serde(default)]
    value: String,
}

/// The one word that a command takes: a key, without its first slash where Consul drops it.
fn one_key<'a>(call: &'a Call, otherwise: Option<&'a str>) -> Result<&'a str, String> {
    let words = call.words();
    let key = match (words.as_slice(), otherwise) {
        ([], Some(otherwise)) => otherwise,
        ([], None) => return Err("Error! Missing KEY argument".to_owned()),
        ([key], _) => key,
        (more, _) => return Err(format!("Too many arguments (expected 1, got {})", more.len())),
    };
    Ok(key.strip_prefix('/').unwrap_or(key))
}

fn list(api: &Api, prefix: &str) -> Result<Vec<Pair>, String> {
    let answer = api.ask(Method::GET, &format!("kv/{prefix}"), &[("recurse", "")], Vec::new());
    pairs_of(answer.map_err(|fault| format!("Error querying Consul agent: {fault}"))?)
}

/// Keys of an answer; none when there are none.
fn pairs_of(answer: Answer) -> Result<Vec<Pair>, String> {
    match answer.status {
        200 => serde_json::from_slice::<Option<Vec<Pair>>>(&answer.body)
            .map(Option::unwrap_or_default)
            .map_err(|fault| format!("Error querying Consul agent: {fault}")),
        404 => Ok(Vec::new()),
        _ => Err(format!("Error querying Consul agent: {}", unexpected(&answer))),
    }
}

// === impl Pair ===

impl Pair {
    fn bytes(&self) -> Vec<u8> {
        STANDARD.decode(self.value.as_deref().unwrap_or("")).unwrap_or_default()
    }

    fn shown(&self, base64: bool) -> Vec<u8> {
        if base64 { self.value.clone().unwrap_or_default().into_bytes() } else { self.bytes() }
    }

    /// All that is known, a line each; the value comes last and may have lines of its own.
    fn detailed(&self, base64: bool, value: bool) -> Vec<u8> {
        let row = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let session = if self.session.is_empty() { "-" } else { &self.session };
        let rows = [
            row("CreateIndex", &self.create_index.to_string()),
            row("Flags", &self.flags.to_string()),
            row("Key", &self.key),
            row("LockIndex", &self.lock_index.to_string()),
            row("ModifyIndex", &self.modify_index.to_string()),
            row("Session", session),
        ];
        let mut text = pairs(&rows, DETAIL_GAP).into_bytes();
        text.push(b'\n');
        if value {
            let shown = self.shown(base64);
            let width = if shown.is_empty() { 0 } else { "CreateIndex".len() + DETAIL_GAP };
            text.extend(format!("{:width$}", "Value").into_bytes());
            text.extend(shown);
        }
        text
    }
}

fn get(call: &Call) -> u8 {
    let many = call.flag("keys") || call.flag("recurse");
    match one_key(call, many.then_some("")).and_then(|key| read(call, key)) {
        Ok(lines) => {
            for line in lines {
                print_bytes(&line);
            }
            0
        }
        Err(fault) => told(Err(fault)),
    }
}

/// The lines that a read prints.
fn read(call: &Call, key: &str) -> Result<Vec<Vec<u8>>, String> {
    let api = Api::of(call)?;
    let (base64, detailed) = (call.flag("base64"), call.flag("detailed"));
    match (call.flag("recurse"), call.flag("keys")) {
        (true, keys_only) => {
            let show = |pair: &Pair| match (detailed, keys_only) {
                (true, _) => pair.detailed(base64, !keys_only),
                (false, true) => pair.key.clone().into_bytes(),
                (false, false) => [pair.key.as_bytes(), b":", &pair.shown(base64)].concat(),
            };
            let shown: Vec<Vec<u8>> = list(&api, key)?.iter().map(show).collect();
            // Detailed entries have an empty line between them.
            let between: &[u8] = if detailed { b"\n\n" } else { b"\n" };
            Ok(if shown.is_empty() { Vec::new() } else { vec![shown.join(between)] })
        }
        (false, true) => {
            let separator = call.text("separator").unwrap_or("/");
            let query = if separator.is_empty() {
                vec![("keys", "")]
            } else {
                vec![("keys", ""), ("separator", separator)]
            };
            let answer = api.ask(Method::GET, &format!("kv/{key}"), &query, Vec::new());
            let answer = answer.map_err(|fault| format!("Error querying Consul agent: {fault}"))?;
            match answer.status {
                200 => Ok(serde_json::from_slice::<Option<Vec<String>>>(&answer.body)
                    .map_err(|fault| format!("Error querying Consul agent: {fault}"))?
                    .unwrap_or_default()
                    .into_iter()
                    .map(String::into_bytes)
                    .collect()),
                404 => Ok(Vec::new()),
                _ => Err(format!("Error querying Consul agent: {}", unexpected(&answer))),
            }
        }
        (false, false) => {
            let answer = api.ask(Method::GET, &format!("kv/{key}"), &[], Vec::new());
            let pairs =
                pairs_of(answer.map_err(|fault| format!("Error querying Consul agent: {fault}"))?)?;
            let pair = pairs.first().ok_or_else(|| format!("Error! No key exists at: {key}"))?;
            Ok(vec![if detailed { pair.detailed(base64, true) } else { pair.shown(base64) }])
        }
    }
}

fn put(call: &Call) -> u8 {
    told(write(call))
}

fn write(call: &Call) -> Result<String, String> {
    let words = call.words();
    let (key, word) = match words.as_slice() {
        [] => return Err("Error! Missing KEY argument".to_owned()),
        [key] => (*key, ""),
        [key, word] => (*key, *word),
        more => {
            return Err(format!("Error! Too many arguments (expected 1 or 2, got {})", more.len()));
        }
    };
    let mut value = data(word).map_err(|fault| format!("Error! {fault}"))?;
    if call.flag("base64") {
        value = STANDARD
            .decode(&value)
            .map_err(|fault| format!("Error! Cannot base 64 decode data: {}", go_base64(&fault)))?;
    }
    let session = call.text("session").unwrap_or("");
    if (call.flag("acquire") || call.flag("release")) && session.is_empty() {
        return Err("Error! Missing -session (required with -acquire and -release)".to_owned());
    }
    if key.starts_with('/') {
        return Err(format!(
            "Error! Failed writing data: Invalid key. Key must not begin with a '/': {key}"
        ));
    }
    let index = call.number("modify-index").to_string();
    let (how, done, not) = if call.flag("cas") && index == "0" {
        (
            Some(("cas", "0")),
            "Data written to",
            format!("write to {key}: CAS performed with index=0 and key already exists."),
        )
    } else if call.flag("cas") {
        (Some(("cas", index.as_str())), "Data written to", format!("write to {key}: CAS failed"))
    } else if call.flag("acquire") {
        (Some(("acquire", session)), "Lock acquired on", "acquire lock".to_owned())
    } else if call.flag("release") {
        (Some(("release", session)), "Lock released on", "release lock".to_owned())
    } else {
        (None, "Data written to", String::new())
    };
    let flags = call.number("flags").to_string();
    let mut query: Vec<(&str, &str)> = how.into_iter().collect();
    query.extend((flags != "0").then_some(("flags", flags.as_str())));
    let answer = Api::of(call)?.expect(Method::PUT, &format!("kv/{key}"), &query, value);
    let answer = answer.map_err(|fault| format!("Error! Failed writing data: {fault}"))?;
    if how.is_none() || is_true(&answer) {
        Ok(format!("Success! {done}: {key}"))
    } else {
        Err(format!("Error! Did not {not}"))
    }
}

fn is_true(answer: &Answer) -> bool {
    answer.body.trim_ascii() == b"true"
}

/// Go's sentence for text that is no base64.
fn go_base64(fault: &base64::DecodeError) -> String {
    let place = match fault {
        base64::DecodeError::InvalidByte(place, _)
        | base64::DecodeError::InvalidLastSymbol(place, _) => *place,
        base64::DecodeError::InvalidLength(length) => length / 4 * 4,
        base64::DecodeError::InvalidPadding => 0,
    };
    format!("illegal base64 data at input byte {place}")
}

fn delete(call: &Call) -> u8 {
    told(remove(call))
}

fn remove(call: &Call) -> Result<String, String> {
    let key = one_key(call, call.flag("recurse").then_some(""))?;
    let (index, cas) = (call.number("modify-index"), call.flag("cas"));
    if !cas && index != 0 {
        return Err("Cannot specify -modify-index without -cas!".to_owned());
    }
    if cas && index == 0 {
        return Err(
            "Cannot delete a key that does not exist. Provide a -modify-index greater than than 0."
                .to_owned(),
        );
    }
    let (api, path, index) = (Api::of(call)?, format!("kv/{key}"), index.to_string());
    if call.flag("recurse") {
        let done = api.expect(Method::DELETE, &path, &[("recurse", "")], Vec::new());
        done.map_err(|fault| format!("Error! Did not delete prefix {key}: {fault}"))?;
        return Ok(format!("Success! Deleted keys with prefix: {key}"));
    }
    let query: &[(&str, &str)] = if cas { &[("cas", &index)] } else { &[] };
    let failed = |fault| {
        if cas {
            format!("Error! Did not delete key {key}: {fault}")
        } else {
            format!("Error deleting key {key}: {fault}")
        }
    };
    let answer = api.expect(Method::DELETE, &path, query, Vec::new()).map_err(failed)?;
    if cas && !is_true(&answer) {
        return Err(format!("Error! Did not delete key {key}: CAS failed"));
    }
    Ok(format!("Success! Deleted key: {key}"))
}

fn export(call: &Call) -> u8 {
    told(exported(call))
}

fn exported(call: &Call) -> Result<String, String> {
    let pairs = list(&Api::of(call)?, one_key(call, Some(""))?)?;
    let one = |pair: Pair| Exported {
        key: pair.key,
        flags: pair.flags,
        value: pair.value.unwrap_or_default(),
    };
    Ok(indented(&pairs.into_iter().map(one).collect::<Vec<_>>(), "\t"))
}

fn import(call: &Call) -> u8 {
    match entries(call).and_then(|entries| Ok((Api::of(call)?, entries))) {
        Err(fault) => told(Err(fault)),
        Ok((api, entries)) => {
            let prefix = call.text("prefix").unwrap_or("");
            entries
                .iter()
                .map(|entry| told(restore(&api, prefix, entry)))
                .find(|code| *code != 0)
                .unwrap_or(0)
        }
    }
}

fn entries(call: &Call) -> Result<Vec<Exported>, String> {
    let word = match call.words().as_slice() {
        [] => return Err("Error! Missing DATA argument".to_owned()),
        [word] => data(word).map_err(|fault| format!("Error! {fault}"))?,
        more => return Err(format!("Error! Too many arguments (expected 1, got {})", more.len())),
    };
    serde_json::from_slice(&word).map_err(|fault| format!("Cannot unmarshal data: {fault}"))
}

fn restore(api: &Api, prefix: &str, entry: &Exported) -> Result<String, String> {
    let value = STANDARD.decode(&entry.value);
    let value = value.map_err(|fault| {
        format!("Error base 64 decoding value for key {}: {}", entry.key, go_base64(&fault))
    })?;
    let key = match prefix.trim_end_matches('/') {
        "" => entry.key.clone(),
        prefix => format!("{prefix}/{}", entry.key),
    };
    let flags = entry.flags.to_string();
    let query: &[(&str, &str)] = if entry.flags == 0 { &[] } else { &[("flags", &flags)] };
    let written = api.expect(Method::PUT, &format!("kv/{key}"), query, value);
    written
        .map_err(|fault| format!("Error! Failed writing data for key {}: {fault}", entry.key))?;
    Ok(format!("Imported: {key}"))
}
