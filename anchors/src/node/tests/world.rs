//! A leaf and the catalog above it, moved by scripts.

use std::fmt::Write as _;

use super::super::*;
use crate::change::{Change, Registration, Removal};
use crate::duration::parse_wait;
use crate::index::{Index, Stamp};

struct World {
    leaf: Leaf,
    index: Index,
    revision: u64,
    now: Time,
    runs: BTreeMap<Arc<str>, u64>,
}

pub(super) fn check(script: &str) {
    let mut world = World::new();
    let mut seen = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(command) = line.strip_prefix("> ") {
            writeln!(seen, "> {command}").unwrap();
            seen.push_str(&world.run(command));
        }
    }
    let wanted: Vec<&str> = script.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let seen: Vec<&str> = seen.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(seen, wanted, "\n--- seen ---\n{}\n", seen.join("\n"));
}

fn settings() -> LeafSettings {
    let node = Node { name: "n1".into(), address: "127.0.0.1".into(), ..Node::default() };
    LeafSettings {
        server: Some(Server { port: 8300, ..Server::default() }),
        ..LeafSettings::new(node)
    }
}

impl World {
    fn new() -> Self {
        let now = Time(1_000_000_000_000_000_000);
        let leaf = Leaf::new(settings(), 7, now);
        Self { leaf, index: Index::new(), revision: 10, now, runs: BTreeMap::new() }
    }

    fn run(&mut self, command: &str) -> String {
        let mut words = command.split(' ');
        let (verb, rest) = (words.next().unwrap(), words.collect::<Vec<_>>());
        let (now, leaf) = (self.now, &mut self.leaf);
        match (verb, rest.as_slice()) {
            ("service", words) => {
                let existing =
                    if words.contains(&"replace") { Existing::Replace } else { Existing::Keep };
                outcome(leaf.register_service(service(words), existing, Source::Api, now))
            }
            ("check", [id, words @ ..]) => {
                let mut definition = spec(id, words[0]);
                definition.name = (*id).into();
                definition.service_id = option(words, "of=").unwrap_or_default().into();
                outcome(leaf.register_check(definition, None, Source::Api, now))
            }
            ("configure", names) => {
                let services = names.iter().map(|name| service(&[name])).collect();
                leaf.configure(services, Vec::new(), now)
                    .map_or_else(|error| error.to_string(), |_| "ok\n".into())
            }
            ("drop", ["service", id]) => outcome(leaf.deregister_service(id, now)),
            ("drop", ["check", id]) => outcome(leaf.deregister_check(id, now)),
            ("ttl", [id, status, note @ ..]) => {
                outcome(leaf.update_ttl(id, (*status).into(), &note.join(" "), now))
            }
            ("maintain", ["node", on, reason @ ..]) => {
                outcome(Ok(leaf.set_node_maintenance(&maintenance(on, reason), now)))
            }
            ("maintain", [id, on, reason @ ..]) => {
                outcome(leaf.set_service_maintenance(id, &maintenance(on, reason), now))
            }
            ("allow", _) => {
                leaf.settle(LeafSettings { remote_scripts: true, ..settings() });
                "ok\n".into()
            }
            ("pass", [span]) => {
                self.now = now + parse_wait(span).unwrap();
                moved(&leaf.tick(self.now))
            }
            ("due", _) => {
                let runs = leaf.take_due(now);
                self.runs.extend(runs.iter().map(|run| (run.check.clone(), run.number)));
                runs.iter().map(|run| format!("{}\n", run.check)).collect()
            }
            ("run", [id, status, output @ ..]) => {
                let result = ProbeResult::counted((*status).into(), output.join(" "));
                let id = Arc::from(*id);
                moved(&leaf.heard(&id, self.runs[&id], result, now))
            }
            ("tell", [id]) => {
                let id: Arc<str> = Arc::from(*id);
                let node = leaf.remote_aliases()[&id].clone();
                leaf.heard_alias(&id, self.index.node(&node).map(AsRef::as_ref), now);
                String::new()
            }
            ("foreign", [node, words @ ..]) => {
                let registration = Registration {
                    node: Node {
                        name: (*node).into(),
                        address: "127.0.0.1".into(),
                        ..Node::default()
                    },
                    skip_node_update: true,
                    service: Some(service(words).service),
                    ..Registration::default()
                };
                self.apply(&Change::Register(Box::new(registration)));
                "ok\n".into()
            }
            ("sync", _) => self.sync(),
            ("restart", _) => self.restart(),
            ("checks", _) => leaf.checks.values().map(|entry| shown(&entry.check)).collect(),
            ("health", [id]) => format!("{}\n", leaf.health(id).unwrap().status),
            ("tags", _) => leaf
                .services
                .values()
                .map(|entry| format!("{} {}\n", entry.service.id, entry.service.tags.join(",")))
                .collect(),
            ("tagged", _) => leaf.services.values().map(|entry| tagged(&entry.service)).collect(),
            _ => panic!("no such command: {command}"),
        }
    }

    fn apply(&mut self, change: &Change) {
        self.revision += 1;
        let stamp =
            Stamp { revision: self.revision, seq: self.revision, at: self.now, salt: [7; 16] };
        self.index.apply(&stamp, change).verdict.unwrap();
    }

    fn sync(&mut self) -> String {
        let row = self.index.node("n1").cloned();
        if let Some(row) = &row {
            self.leaf.adopt(row);
        }
        let first = self.leaf.node_difference(row.as_deref(), sync::NodeTold::All);
        first.iter().for_each(|change| self.apply(change));
        let row = self.index.node("n1").cloned();
        let stale = self.leaf.stale_groups(row.as_deref());
        let rest = stale
            .iter()
            .flat_map(|(id, group)| self.leaf.group_difference(id, group, row.as_deref()));
        let changes: Vec<_> = rest.collect();
        changes.iter().for_each(|change| self.apply(change));
        let told: String = first.iter().chain(&changes).map(change_shown).collect();
        if told.is_empty() { "nothing\n".into() } else { told }
    }

    /// What would be kept, and a new leaf from it.
    fn restart(&mut self) -> String {
        let services = self.leaf.services.keys().map(|id| RowKey::Service(id.clone()));
        let checks = self.leaf.checks.keys().map(|id| RowKey::Check(id.clone()));
        let rows: Vec<_> = services
            .chain(checks)
            .filter_map(|key| Some((key.to_string(), self.leaf.row(&key)?)))
            .collect();
        self.leaf = Leaf::new(settings(), 7, self.now);
        let refused = self.leaf.restore(rows, self.now).unwrap();
        refused.iter().map(|key| format!("{key} is refused\n")).collect()
    }
}

fn outcome(result: Result<Moved, NodeError>) -> String {
    result.map_or_else(|error| format!("{error}\n"), |_| "ok\n".into())
}

fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name))
}

/// `[ID] NAME [address=…] [tags=a,b] [override] [check=ID:KIND:ARG]…`
fn service(words: &[&str]) -> ServiceDefinition {
    let plain: Vec<&str> =
        words.iter().take(2).copied().filter(|word| !word.contains('=')).collect();
    let tags = option(words, "tags=").unwrap_or_default().split(',').filter(|tag| !tag.is_empty());
    let service = Service {
        id: plain[0].into(),
        name: (*plain.last().unwrap()).into(),
        address: option(words, "address=").unwrap_or_default().into(),
        tags: tags.collect(),
        enable_tag_override: words.contains(&"override"),
        ..Service::default()
    };
    let checks = words.iter().filter_map(|word| word.strip_prefix("check="));
    let checks =
        checks.map(|text| text.split_once(':').unwrap()).map(|(id, text)| spec(id, text)).collect();
    ServiceDefinition { service, checks, ..ServiceDefinition::default() }
}

/// `KIND:ARG[,reap:SPAN]`, or `alias@NODE:SERVICE`.
fn spec(id: &str, text: &str) -> CheckDefinition {
    let (text, reap) = text.split_once(",reap:").unwrap_or((text, "0s"));
    let (kind, arg) = text.split_once(':').unwrap();
    let span = || parse_wait(arg).unwrap();
    let base = CheckDefinition {
        id: id.into(),
        deregister_critical_service_after: parse_wait(reap).unwrap(),
        ..CheckDefinition::default()
    };
    match kind.split_once('@').unwrap_or((kind, "")) {
        ("ttl", _) => CheckDefinition { ttl: span(), ..base },
        ("http", _) => CheckDefinition { http: "http://a/".into(), interval: span(), ..base },
        ("os", _) => CheckDefinition { os_service: "a".into(), interval: span(), ..base },
        ("docker", _) => CheckDefinition {
            script_args: vec!["true".into()],
            docker_container_id: "a".into(),
            interval: span(),
            ..base
        },
        ("script", _) => {
            CheckDefinition { script_args: vec!["true".into()], interval: span(), ..base }
        }
        (_, node) => CheckDefinition { alias_node: node.into(), alias_service: arg.into(), ..base },
    }
}

fn shown(check: &Check) -> String {
    let of = check.service_id().map_or_else(String::new, |id| format!(" of {id}"));
    format!(
        "{} '{}' {}{of} {} '{}'\n",
        check.id, check.name, check.kind, check.status, check.output
    )
}

fn tagged(service: &Service) -> String {
    let pairs = service.tagged_addresses.iter().flat_map(|pairs| pairs.iter());
    let pairs: String = pairs.map(|(tag, at)| format!(" {tag}={}", at.address)).collect();
    format!("{}{pairs}\n", service.id)
}

fn moved(moved: &Moved) -> String {
    let mut text = String::new();
    for (id, group) in &moved.groups {
        let name = if id.is_empty() { "node" } else { id };
        let own = group.service.then_some("service".into());
        let ids: Vec<Arc<str>> = own.into_iter().chain(group.checks.iter().cloned()).collect();
        writeln!(text, "{name}: {}", ids.join(" ")).unwrap();
    }
    if text.is_empty() { "nothing\n".into() } else { text }
}

fn change_shown(change: &Change) -> String {
    match change {
        Change::Register(registration) => {
            let node = if registration.skip_node_update { "" } else { "node, " };
            let service = registration
                .service
                .as_ref()
                .map_or_else(String::new, |one| format!("{} ", one.id));
            let shown = |check: &Check| match (check.output.as_ref(), check.id.as_str()) {
                ("", id) | (_, id @ sync::SERF_HEALTH) => format!("{id}={}", check.status),
                (output, id) => format!("{id}={} {output}", check.status),
            };
            let checks: Vec<String> = registration.checks.iter().map(shown).collect();
            format!("register {node}{service}[{}]\n", checks.join(" "))
        }
        Change::Deregister(Removal::Service { id, .. }) => format!("remove service {id}\n"),
        Change::Deregister(Removal::Check { id, .. }) => format!("remove check {id}\n"),
        other => format!("{other:?}\n"),
    }
}

fn maintenance(on: &str, reason: &[&str]) -> Maintenance {
    Maintenance { enable: on == "on", reason: reason.join(" ").into(), token: None }
}
