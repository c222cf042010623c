//! `watch`: waits for changes and tells them, once to standard output or each time to a program.

use std::time::Duration;

use clap::Arg;
use proconsul_anchors::duration;
use reqwest::Method;
use serde_json::Value;
use time::OffsetDateTime;

use super::child::{Input, command, finished, start};
use super::client::{Api, server_flags, unexpected};
use super::go::{rfc3339, text};
use super::json::{self, Tree};
use super::monitor::interrupted;
use super::{Call, Entry, FAILED, boolean, form, print_err, print_out, text as text_flag, texts};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["watch"],
    words: "[PROGRAM [ARGUMENTS]]",
    about: "Waits for changes; without a program it prints the first answer",
    flags,
    run,
}];

/// How long a failed read is waited for; the square of the failures in a row makes it longer.
const RETRY: Duration = Duration::from_secs(5);
/// And how long at most.
const RETRY_MAX: Duration = Duration::from_secs(180);
/// Kinds that the agent's own configuration may watch, and nobody else.
const AGENT_ONLY: &[&str] = &["connect_roots", "connect_leaf", "agent_service"];

fn flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend([
        text_flag(
            "type",
            "string",
            "`key`, `keyprefix`, `services`, `nodes`, `service`, `checks` or `event`. Needed.",
        ),
        text_flag("filter", "string", "An expression that answers must match."),
        text_flag("key", "string", "The key, for `key`."),
        text_flag("name", "string", "The event's name, for `event`."),
        text_flag("passingonly", "string", "`true`: passing instances only, for `service`."),
        text_flag("prefix", "string", "What the keys begin with, for `keyprefix`."),
        text_flag("service", "string", "The service, for `service` and `checks`."),
        text_flag("state", "string", "The checks' state, for `checks`."),
        texts("tag", "value", "A tag, for `service`. May be given several times."),
        boolean("shell", "Starts the program through a shell.").default_value("true"),
    ]);
    flags
}

/// What is read again and again.
struct Plan {
    path: String,
    query: Vec<(String, String)>,
    /// The form of the answer.
    form: &'static str,
    /// Whether the answer is the first of a list, and may not be there.
    one: bool,
    /// Whether it is a list of events, of which only the new ones are told.
    events: bool,
}

fn run(call: &Call) -> u8 {
    let watched = plan(call).and_then(|plan| {
        let api = Api::of(call)?;
        // Before anything is waited for: is there an agent?
        let leader = api.ask(Method::GET, "status/leader", &[], Vec::new());
        let refused = |fault| format!("Error querying Consul agent: {fault}");
        let leader = leader.map_err(refused)?;
        if leader.status != 200 {
            return Err(refused(unexpected(&leader)));
        }
        api.runtime().block_on(async {
            let interrupted = interrupted()?;
            tokio::select! {
                code = follow(call, &api, &plan) => Ok(code),
                // With a program that runs, it is the program that ends.
                () = interrupted => Ok(0),
            }
        })
    });
    match watched {
        Ok(code) => code,
        Err(fault) => {
            print_err(&fault);
            FAILED
        }
    }
}

/// A plan under construction: which flags it took.
struct Draft<'a> {
    call: &'a Call,
    taken: Vec<&'static str>,
    query: Vec<(String, String)>,
}

// === impl Draft ===

impl Draft<'_> {
    fn take(&mut self, flag: &'static str) -> Option<String> {
        self.taken.push(flag);
        self.call.said(flag).map(str::to_owned)
    }

    fn add(&mut self, name: &str, value: impl Into<String>) {
        self.query.push((name.to_owned(), value.into()));
    }

    fn filter(&mut self) {
        if let Some(filter) = self.take("filter") {
            self.add("filter", filter);
        }
    }

    fn passing_only(&mut self) -> Result<(), String> {
        if let Some(word) = self.take("passingonly") {
            let flag = super::argv::go_bool(&word).ok_or_else(|| not_boolean(&word))?;
            if flag == "true" {
                self.add("passing", "1");
            }
        }
        Ok(())
    }

    fn plan(self, path: String, form: &'static str) -> Result<Plan, String> {
        let known = ["key", "prefix", "service", "filter", "state", "name", "passingonly", "tag"];
        let unused = known.into_iter().filter(|flag| {
            !self.taken.contains(flag) && self.call.texts(flag).iter().any(|word| !word.is_empty())
        });
        let unused: Vec<&str> = unused.collect();
        if !unused.is_empty() {
            return Err(format!("Invalid parameters: [{}]", unused.join(" ")));
        }
        Ok(Plan { path, query: self.query, form, one: false, events: false })
    }
}

fn not_boolean(word: &str) -> String {
    format!("Failed to parse passingonly flag: strconv.ParseBool: parsing {word:?}: invalid syntax")
}

fn plan(call: &Call) -> Result<Plan, String> {
    let Some(kind) = call.said("type") else {
        return Err(call.with_page("Watch type must be specified\n"));
    };
    if let Some(word) = call.said("passingonly").filter(|it| super::argv::go_bool(it).is_none()) {
        return Err(not_boolean(word));
    }
    let mut draft = Draft { call, taken: Vec::new(), query: Vec::new() };
    match kind {
        "key" => {
            let key = draft.take("key").ok_or("Must specify a single key to watch")?;
            let key = key.strip_prefix('/').unwrap_or(&key).to_owned();
            Ok(Plan { one: true, ..draft.plan(format!("kv/{key}"), "KVPair")? })
        }
        "keyprefix" => {
            let prefix = draft.take("prefix").ok_or("Must specify a single prefix to watch")?;
            draft.add("recurse", "");
            let prefix = prefix.strip_prefix('/').unwrap_or(&prefix).to_owned();
            draft.plan(format!("kv/{prefix}"), "[]KVPair")
        }
        "services" => {
            draft.filter();
            draft.plan("catalog/services".to_owned(), "{}[]string")
        }
        "nodes" => {
            draft.filter();
            draft.plan("catalog/nodes".to_owned(), "[]Node")
        }
        "service" => {
            draft.filter();
            let service = draft.take("service").ok_or("Must specify a single service to watch")?;
            draft.taken.push("tag");
            for tag in call.texts("tag") {
                draft.add("tag", tag);
            }
            draft.passing_only()?;
            draft.plan(format!("health/service/{service}"), "[]ServiceEntry")
        }
        "checks" => checks(draft),
        "event" => {
            if let Some(name) = draft.take("name") {
                draft.add("name", name);
            }
            Ok(Plan { events: true, ..draft.plan("event/list".to_owned(), "[]UserEvent")? })
        }
        other if AGENT_ONLY.contains(&other) => {
            Err(format!("Type {other} is not supported in the CLI tool"))
        }
        other => Err(format!("Unsupported watch type: {other}")),
    }
}

fn checks(mut draft: Draft<'_>) -> Result<Plan, String> {
    let (service, state) = (draft.take("service"), draft.take("state"));
    draft.filter();
    let path = match (service, state) {
        (Some(_), Some(_)) => return Err("Cannot specify service and state".to_owned()),
        (Some(service), None) => format!("health/checks/{service}"),
        (None, state) => format!("health/state/{}", state.as_deref().unwrap_or("any")),
    };
    draft.plan(path, "[]HealthCheck")
}

/// Reads until the first answer is told, or for ever.
async fn follow(call: &Call, api: &Api, plan: &Plan) -> u8 {
    let (mut index, mut last, mut failures) = (0, None, 0_u32);
    loop {
        let (next, answer) = match read(api, plan, index).await {
            Ok(found) => found,
            Err(fault) => {
                failures += 1;
                index = 0;
                let wait = RETRY.saturating_mul(failures.saturating_mul(failures)).min(RETRY_MAX);
                complain(call, &fault, wait);
                tokio::time::sleep(wait).await;
                continue;
            }
        };
        failures = 0;
        // An index that falls is begun anew.
        if next == index && next != 0 {
            continue;
        }
        let first = index == 0 && last.is_none();
        index = next;
        if !first && last.as_ref() == Some(&answer) {
            continue;
        }
        let words = call.words();
        if words.is_empty() {
            print_out(&json::indented(&answer, "    "));
            return 0;
        }
        if let Err(fault) = handed(call, &words, index, &answer).await {
            print_err(&fault);
            return FAILED;
        }
        last = Some(answer);
    }
}

/// Tells a failed read in the form of Consul's log.
fn complain(call: &Call, fault: &str, wait: Duration) {
    let now = OffsetDateTime::now_utc();
    let second = rfc3339(now.replace_nanosecond(0).unwrap_or(now));
    let second = second.trim_end_matches('Z');
    let (kind, wait) = (call.text("type").unwrap_or(""), duration::show_wait(wait));
    // Only what could be misread is quoted there.
    let fault =
        if fault.contains([' ', '"', '=']) { format!("{fault:?}") } else { fault.to_owned() };
    print_err(&format!(
        "{second}.{:03}Z [ERROR] watch.watch: Watch errored: type={kind} error={fault} retry={wait}",
        now.millisecond()
    ));
}

/// One read: where the data stands, and the answer in its form.
async fn read(api: &Api, plan: &Plan, index: u64) -> Result<(u64, Tree), String> {
    let mut query: Vec<(&str, &str)> =
        plan.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let from = index.to_string();
    if index != 0 {
        query.push(("index", &from));
    }
    let answer = api.answer(Method::GET, &plan.path, &query, Vec::new()).await?;
    let missing = Tree::Plain(Value::Null);
    match answer.status {
        200 => {}
        404 if plan.path.starts_with("kv/") => return Ok((answer.index, missing)),
        _ => return Err(unexpected(&answer)),
    }
    let mut value = answer.json()?;
    if plan.one {
        let first = value.as_array().and_then(|list| list.first()).cloned();
        return Ok((answer.index, first.map_or(missing, |one| form::tree(plan.form, &one))));
    }
    if plan.events {
        value = new_events(&value, index);
    }
    Ok((answer.index, form::tree(plan.form, &value)))
}

/// The events after the one that an index stands for.
fn new_events(all: &Value, index: u64) -> Value {
    let list = all.as_array().map_or(&[][..], Vec::as_slice);
    let known = list.iter().position(|event| event_index(text(event, "ID")) == index);
    Value::Array(list[known.map_or(0, |place| place + 1)..].to_vec())
}

/// The index of an event: both halves of its id, one over the other.
fn event_index(id: &str) -> u64 {
    let digits: String = id.chars().filter(|letter| *letter != '-').collect();
    let half = |from: usize, to: usize| {
        digits.get(from..to).and_then(|half| u64::from_str_radix(half, 16).ok()).unwrap_or(0)
    };
    half(0, 16) ^ half(16, 32)
}

/// Gives an answer to the program.
async fn handed(call: &Call, words: &[&str], index: u64, answer: &Tree) -> Result<(), String> {
    let shell = call.flag("shell");
    let mut command = command(words, shell);
    command.env("CONSUL_INDEX", index.to_string());
    let mut bytes = json::line(answer);
    bytes.push(b'\n');
    let input = Input::Bytes(bytes);
    let mut child =
        start(command, &input).map_err(|fault| format!("Error starting handler: {fault}"))?;
    let ended = finished(&mut child, input).await;
    ended.map_err(|fault| format!("Error executing handler: {fault}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::go::items;
    use super::*;

    #[test]
    fn only_new_events_are_told() {
        let ids = ["b54fe110-7af5-cafc-d1fb-afc8ba432b1c", "b54fe110-7af5-cafc-d1fb-afc8ba432b1d"];
        let all = json!([{ "ID": ids[0] }, { "ID": ids[1] }]);
        let known = event_index(ids[0]);
        assert_eq!(items(&json!({ "all": new_events(&all, known) }), "all").len(), 1);
        assert_eq!(items(&json!({ "all": new_events(&all, 7) }), "all").len(), 2);
    }
}
