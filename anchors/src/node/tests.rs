//! Scripts: a line that starts with `>` is done, the lines below it are what came of it.

use std::fmt::Write as _;

use super::*;
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

#[test]
fn ids_and_names_follow_from_the_service() {
    check(
        "
        > service web
        ok
        > service web1 web check=:ttl:10s
        ok
        > service web2 web check=:ttl:10s check=own:ttl:10s check=:ttl:10s
        ok
        > checks
        own 'Service 'web' check' ttl of web2 critical ''
        service:web1 'Service 'web' check' ttl of web1 critical ''
        service:web2:1 'Service 'web' check' ttl of web2 critical ''
        service:web2:3 'Service 'web' check' ttl of web2 critical ''
        > check c1 ttl:10s of=web1
        ok
        > check c2 ttl:10s of=nope
        ServiceID \"nope\" does not exist
        > drop service web2
        ok
        > checks
        c1 'c1' ttl of web1 critical ''
        service:web1 'Service 'web' check' ttl of web1 critical ''
        > drop service web2
        Unknown service ID \"web2\". Ensure that the service ID is passed, not the service name.
        > drop check own
        Unknown check ID \"own\". Ensure that the check ID is passed, not the check name.
        ",
    );
}

#[test]
fn again_keeps_the_state_and_replaces_on_demand() {
    check(
        "
        > service web web check=a:ttl:10s check=b:ttl:10s
        ok
        > check c ttl:10s of=web
        ok
        > ttl a passing fine
        ok
        > service web web check=a:ttl:20s
        ok
        > checks
        a 'Service 'web' check' ttl of web passing 'fine'
        b 'Service 'web' check' ttl of web critical ''
        c 'c' ttl of web critical ''
        > service web web check=a:ttl:20s replace
        ok
        > checks
        a 'Service 'web' check' ttl of web passing 'fine'
        ",
    );
}

#[test]
fn addresses_are_told_by_version() {
    check(
        "
        > service a a address=10.0.0.1
        ok
        > service b b address=fd00::1
        ok
        > service c c address=host.example
        ok
        > tagged
        a lan_ipv4=10.0.0.1 wan_ipv4=10.0.0.1
        b lan_ipv6=fd00::1 wan_ipv6=fd00::1
        c
        > service d d address=0.0.0.0
        Invalid service address
        ",
    );
}

#[test]
fn a_ttl_runs_out_once_and_comes_back() {
    check(
        "
        > check t ttl:10s
        ok
        > pass 9s
        nothing
        > pass 1s
        nothing
        > checks
        t 't' ttl critical 'TTL expired'
        > pass 60s
        nothing
        > ttl t passing all well
        ok
        > pass 9s
        nothing
        > ttl t passing all well
        ok
        > pass 9s
        nothing
        > pass 1s
        node: t
        > checks
        t 't' ttl critical 'TTL expired (last output before timeout follows): all well'
        > check p http:5s
        ok
        > ttl p passing x
        CheckID \"p\" does not have associated TTL
        ",
    );
}

#[test]
fn a_probe_is_due_once_an_interval() {
    check(
        "
        > check p http:5s
        ok
        > pass 5s
        nothing
        > due
        p
        > pass 60s
        nothing
        > due
        > run p passing HTTP GET: 200 OK
        node: p
        > pass 4s
        nothing
        > due
        > check p http:5s
        ok
        > pass 1s
        nothing
        > due
        p
        > run p passing HTTP GET: 200 OK
        nothing
        > checks
        p 'p' http passing 'HTTP GET: 200 OK'
        > check p http:7s
        ok
        > checks
        p 'p' http passing 'HTTP GET: 200 OK'
        ",
    );
}

#[test]
fn a_result_of_an_older_definition_is_dropped() {
    check(
        "
        > check p http:5s
        ok
        > pass 5s
        nothing
        > due
        p
        > check p http:6s
        ok
        > run p passing too late
        nothing
        > checks
        p 'p' http critical ''
        ",
    );
}

#[test]
fn output_alone_is_held_back_and_a_status_is_not() {
    check(
        "
        > check p http:5s
        ok
        > sync
        register node, consul [serfHealth=passing]
        register [p=critical]
        > pass 5s
        nothing
        > due
        p
        > run p critical refused
        nothing
        > sync
        nothing
        > pass 2m
        nothing
        > sync
        nothing
        > due
        p
        > run p passing fine
        node: p
        > sync
        register [p=passing fine]
        > pass 5s
        nothing
        > due
        p
        > run p passing finer
        nothing
        > pass 8m
        node: p
        > sync
        register [p=passing finer]
        ",
    );
}

#[test]
fn a_service_that_is_critical_for_too_long_goes() {
    check(
        "
        > service web web check=c:ttl:10s,reap:1s
        ok
        > sync
        register node, consul [serfHealth=passing]
        register web [c=critical]
        > pass 10s
        nothing
        > pass 50s
        nothing
        > checks
        c 'Service 'web' check' ttl of web critical 'TTL expired'
        > pass 60s
        web: service c
        > checks
        > sync
        remove service web
        ",
    );
}

#[test]
fn maintenance_is_a_check() {
    check(
        "
        > service web
        ok
        > maintain web on
        ok
        > maintain web on other
        ok
        > maintain node on move
        ok
        > health web
        maintenance
        > checks
        _node_maintenance 'Node Maintenance Mode' maintenance critical ''
        _service_maintenance:web 'Service Maintenance Mode' maintenance of web critical ''
        > maintain web off
        ok
        > maintain web off
        ok
        > maintain node off
        ok
        > health web
        passing
        > maintain nope on
        Unknown service ID \"nope\". Ensure that the service ID is passed, not the service name.
        ",
    );
}

#[test]
fn aliases_follow_at_once() {
    check(
        "
        > service web web check=w:ttl:10s
        ok
        > service side side check=s:alias:web check=t:alias:side
        ok
        > checks
        s 'Service 'side' check' alias of side critical 'Aliased check \"Service 'web' check\" failing: '
        t 'Service 'side' check' alias of side critical 'Aliased check \"Service 'side' check\" failing: '
        w 'Service 'web' check' ttl of web critical ''
        > drop check t
        ok
        > ttl w passing x
        ok
        > checks
        s 'Service 'side' check' alias of side passing 'All checks passing.'
        w 'Service 'web' check' ttl of web passing 'x'
        > ttl w warning y
        ok
        > checks
        s 'Service 'side' check' alias of side warning 'Aliased check \"Service 'web' check\" failing: y'
        w 'Service 'web' check' ttl of web warning 'y'
        > drop service web
        ok
        > checks
        s 'Service 'side' check' alias of side critical 'Service web could not be found on node '
        > service web
        ok
        > checks
        s 'Service 'side' check' alias of side passing 'No checks found.'
        ",
    );
}

#[test]
fn an_alias_follows_a_node_of_the_catalog() {
    check(
        "
        > check a alias@other:web
        ok
        > tell a
        > checks
        a 'a' alias passing 'No checks found.'
        > foreign other web web
        ok
        > tell a
        > checks
        a 'a' alias passing 'No checks found.'
        > foreign other db db
        ok
        > check b alias@other:nope
        ok
        > tell b
        > checks
        a 'a' alias passing 'No checks found.'
        b 'b' alias critical 'Service nope could not be found on node other'
        ",
    );
}

#[test]
fn sync_writes_what_differs_and_nothing_else() {
    check(
        "
        > service web web tags=a check=c:ttl:10s
        ok
        > check n ttl:10s
        ok
        > sync
        register node, consul [serfHealth=passing]
        register [n=critical]
        register web [c=critical]
        > sync
        nothing
        > service web web tags=a check=c:ttl:10s
        ok
        > sync
        nothing
        > ttl c passing fine
        ok
        > sync
        register [c=passing fine]
        > service web web tags=a,b check=c:ttl:10s
        ok
        > sync
        register web [c=passing fine]
        > drop check c
        ok
        > sync
        remove check c
        > drop service web
        ok
        > drop check n
        ok
        > sync
        remove check n
        remove service web
        > sync
        nothing
        ",
    );
}

#[test]
fn checks_show_the_service_that_they_came_with() {
    check(
        "
        > service a web tags=x check=c:ttl:10s check=d:ttl:10s
        ok
        > sync
        register node, consul [serfHealth=passing]
        register a [c=critical d=critical]
        > service a db tags=x check=c:ttl:10s
        ok
        > sync
        register a [c=critical]
        > service a db tags=y check=c:ttl:10s
        ok
        > sync
        register a [c=critical]
        > sync
        nothing
        ",
    );
}

#[test]
fn the_agent_is_the_authority_for_its_node() {
    check(
        "
        > sync
        register node, consul [serfHealth=passing]
        > foreign n1 alien alien
        ok
        > foreign n2 alien alien
        ok
        > sync
        remove service alien
        > service Web web
        ok
        > sync
        register Web []
        > foreign n1 WEB web tags=x
        ok
        > sync
        register Web []
        > sync
        nothing
        ",
    );
}

#[test]
fn overridden_tags_flow_back_and_others_are_put_right() {
    check(
        "
        > service free web tags=a override
        ok
        > service held web tags=a
        ok
        > sync
        register node, consul [serfHealth=passing]
        register free []
        register held []
        > foreign n1 free web tags=b,c override
        ok
        > foreign n1 held web tags=b,c
        ok
        > sync
        register held []
        > tags
        free b,c
        held a
        > sync
        nothing
        ",
    );
}

#[test]
fn what_is_kept_comes_back() {
    check(
        "
        > service web web check=t:ttl:10s check=p:http:5s
        ok
        > ttl t passing fine
        ok
        > pass 5s
        nothing
        > due
        p
        > run p passing 200
        web: p
        > maintain node on
        ok
        > restart
        > checks
        _node_maintenance 'Node Maintenance Mode' maintenance critical ''
        p 'Service 'web' check' http of web critical ''
        t 'Service 'web' check' ttl of web passing 'fine'
        > pass 10s
        web: t
        > restart
        > checks
        _node_maintenance 'Node Maintenance Mode' maintenance critical ''
        p 'Service 'web' check' http of web critical ''
        t 'Service 'web' check' ttl of web critical ''
        ",
    );
}

#[test]
fn configuration_comes_and_goes() {
    check(
        "
        > configure web db
        ok
        > service api
        ok
        > configure web cache
        ok
        > tags
        api
        cache
        web
        > restart
        > tags
        api
        ",
    );
}

#[test]
fn scripts_need_leave_and_some_kinds_are_refused() {
    check(
        "
        > check s script:5s
        Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true
        > allow scripts
        ok
        > check s script:5s
        ok
        > check d docker:5s
        ok
        > check o os:5s
        not implemented
        > restart
        check/d is refused
        check/s is refused
        ",
    );
}

fn check(script: &str) {
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
