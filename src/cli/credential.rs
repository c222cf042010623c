//! `credential issue|list|read|rotate|revoke|verify`: who vouches for whom. These are not Consul's.

mod verify;

use clap::Arg;
use proconsul_anchors::duration;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Api, server_flags};
use super::go::{file, text, texts as text_items};
use super::{Call, Entry, boolean, json as go_json, span, table, text as text_flag, texts, told};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["credential", "issue"],
        words: "",
        about: "Issues a credential, or takes in one that was signed elsewhere",
        flags: issue_flags,
        run: |call| told(issue(call)),
    },
    Entry {
        path: &["credential", "list"],
        words: "",
        about: "Lists the credentials",
        flags: list_flags,
        run: |call| told(list(call)),
    },
    Entry {
        path: &["credential", "read"],
        words: "ID",
        about: "Prints a credential",
        flags: flags_with_format,
        run: |call| told(read(call)),
    },
    Entry {
        path: &["credential", "rotate"],
        words: "ID",
        about: "Issues a credential anew and ends the former one",
        flags: rotate_flags,
        run: |call| told(rotate(call)),
    },
    Entry {
        path: &["credential", "revoke"],
        words: "ID",
        about: "Revokes a credential",
        flags: flags_with_format,
        run: |call| told(revoke(call)),
    },
    Entry {
        path: &["credential", "verify"],
        words: "FILE",
        about: "Verifies a credential, an attestation or a taxonomy without asking an agent",
        flags: verify::flags,
        run: verify::run,
    },
];

/// Where the API has them.
const ALL: &str = "anchor/credentials";
const ONE: &str = "anchor/credential";

/// Fields by which a list is filtered, which are flags of the same names.
const FILTERS: [(&str, &str); 5] = [
    ("role", "Only those of this role."),
    ("scope", "Only those for this scope."),
    ("issuer", "Only those that this credential issued, by id."),
    ("subject", "Only those that speak of this subject."),
    ("state", "Only those that are valid, early, expired, revoked, issuer or invalid."),
];

fn flags_with_format() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.push(text_flag("format", "string", "`pretty` or `json`.").default_value("pretty"));
    flags
}

fn issue_flags() -> Vec<Arg> {
    let mut flags = flags_with_format();
    flags.extend([
        text_flag("role", "string", "policy, anchor, peer, workload, approver or witness."),
        text_flag("scope", "path", "The scope that it is for, those under it included."),
        text_flag("subject", "string", "ed25519:<hex of a key>, or accessor:<id of a token>."),
        texts("action", "string", "An action that it allows, service:register or service:*; all unless said. May be given several times."),
        span("ttl", "How long it holds; as long as its role has it unless said."),
        text_flag("not-before", "time", "From when on it holds, as RFC 3339 has it; now unless said."),
        text_flag("not-after", "time", "Until when it holds, as RFC 3339 has it."),
        text_flag("issuer", "id", "The credential that issues it, whose key the agent must hold."),
        texts("envelope", "file", "A credential that was signed elsewhere, or one of its issuers. May be given several times."),
    ]);
    flags
}

fn list_flags() -> Vec<Arg> {
    let mut flags = flags_with_format();
    flags.extend(FILTERS.map(|(name, help)| text_flag(name, "string", help)));
    flags
}

fn rotate_flags() -> Vec<Arg> {
    let mut flags = flags_with_format();
    flags.extend([
        text_flag("subject", "string", "The new key of the same holder: ed25519:<hex>."),
        span(
            "overlap",
            "How long the former one holds beside the new one; not at all unless said.",
        ),
        boolean("quiet", "Prints the new id alone."),
    ]);
    flags
}

fn issue(call: &Call) -> Result<String, String> {
    let mut body = Map::new();
    let said = [
        ("Role", "role"),
        ("Scope", "scope"),
        ("Subject", "subject"),
        ("NotBefore", "not-before"),
        ("NotAfter", "not-after"),
        ("Issuer", "issuer"),
    ];
    for (field, flag) in said {
        body.extend(call.said(flag).map(|text| (field.to_owned(), json!(text))));
    }
    if call.is_given("ttl") {
        body.insert("TTL".to_owned(), json!(duration::show(call.nanos("ttl"))));
    }
    body.insert("Actions".to_owned(), json!(call.texts("action")));
    let envelopes = call.texts("envelope");
    if !envelopes.is_empty() {
        body.insert("Envelopes".to_owned(), Value::Array(read_all(&envelopes)?));
    }
    let api = Api::of(call)?;
    let made = api.expect(Method::PUT, ALL, &[], go_json::line(&body));
    let made = made.and_then(|answer| go_json::read(&answer.body));
    shown(call, &made.map_err(|fault| format!("Error issuing the credential: {fault}"))?)
}

fn read_all(paths: &[&str]) -> Result<Vec<Value>, String> {
    let read = |path: &&str| {
        go_json::read(&file(path)?).map_err(|fault| format!("Failed to read {path}: {fault}"))
    };
    paths.iter().map(read).collect()
}

fn list(call: &Call) -> Result<String, String> {
    call.no_words()?;
    let api = Api::of(call)?;
    let query: Vec<(&str, &str)> =
        FILTERS.iter().filter_map(|(name, _)| Some((*name, call.said(name)?))).collect();
    let found: Value =
        api.get(ALL, &query).map_err(|fault| format!("Error reading the credentials: {fault}"))?;
    if call.text("format") == Some("json") {
        return Ok(go_json::indented(&found, "    "));
    }
    let heads = ["ID", "Role", "Scope", "Subject", "State", "NotAfter"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    let credentials = found.as_array().into_iter().flatten();
    rows.extend(credentials.map(|one| heads.map(|head| text(one, head).to_owned()).to_vec()));
    Ok(table::columns(&rows))
}

fn read(call: &Call) -> Result<String, String> {
    let path = path_of(call)?;
    let found: Value = Api::of(call)?
        .get(&path, &[])
        .map_err(|fault| format!("Error reading the credential: {fault}"))?;
    shown(call, &found)
}

fn rotate(call: &Call) -> Result<String, String> {
    let path = format!("{}/rotate", path_of(call)?);
    let mut body = Map::new();
    body.extend(call.said("subject").map(|text| ("Subject".to_owned(), json!(text))));
    if call.nanos("overlap") > 0 {
        body.insert("Overlap".to_owned(), json!(duration::show(call.nanos("overlap"))));
    }
    let made = Api::of(call)?.expect(Method::PUT, &path, &[], go_json::line(&body));
    let made = made.and_then(|answer| go_json::read(&answer.body));
    let made = made.map_err(|fault| format!("Error rotating the credential: {fault}"))?;
    if call.flag("quiet") { Ok(text(&made, "ID").to_owned()) } else { shown(call, &made) }
}

fn revoke(call: &Call) -> Result<String, String> {
    let path = path_of(call)?;
    let done = Api::of(call)?.expect(Method::DELETE, &path, &[], Vec::new());
    let done = done.and_then(|answer| go_json::read(&answer.body));
    shown(call, &done.map_err(|fault| format!("Error revoking the credential: {fault}"))?)
}

fn path_of(call: &Call) -> Result<String, String> {
    match call.words()[..] {
        [id] => Ok(format!("{ONE}/{id}")),
        ref words => Err(format!("Expected one id of a credential (got {} words)", words.len())),
    }
}

/// One credential, or several one after the other.
fn shown(call: &Call, found: &Value) -> Result<String, String> {
    match call.text("format") {
        Some("json") => Ok(go_json::indented(found, "    ")),
        Some("pretty") | None => {
            let all = found.as_array().map_or(std::slice::from_ref(found), Vec::as_slice);
            Ok(all.iter().map(pretty).collect::<Vec<_>>().join("\n\n"))
        }
        Some(other) => Err(format!("Unknown format: {other}")),
    }
}

fn pretty(credential: &Value) -> String {
    let fields = ["ID", "Role", "Scope", "Subject", "Issuer"];
    let more = ["NotBefore", "NotAfter", "Revoked", "State", "Reason"];
    let line = |name: &&str| (format!("{name}:"), text(credential, name).to_owned());
    let mut rows: Vec<(String, String)> = fields.iter().map(line).collect();
    rows.push(("Actions:".to_owned(), text_items(credential, "Actions").join(", ")));
    rows.extend(more.iter().map(line).filter(|(_, value)| !value.is_empty()));
    table::pairs(&rows, 2)
}
