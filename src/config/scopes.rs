//! Scopes, their policies and the default scope, as the configuration says them.

use std::path::PathBuf;

use proconsul_anchors::scope::{
    Budget, CallerRule, NameRange, OnPartition, Scope, ScopeFault, ScopePath, Scopes,
};

use super::faults::Faults;
use super::raw::Raw;

/// What the configuration says of governance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Governed {
    /// `scope "…" { … }`, by path.
    pub(crate) scopes: Vec<Scope>,
    /// `policy "…" { … }`, by name.
    pub(crate) policies: Vec<PolicyEntry>,
    /// `default_scope`: where things go that are nobody's.
    pub(crate) default: Option<ScopePath>,
}

/// A policy, by file or by text.
#[derive(Clone, Debug)]
pub(crate) struct PolicyEntry {
    /// Unique in the datacenter.
    pub(crate) name: String,
    /// The scope that it belongs to; the datacenter's own when nothing is said.
    pub(crate) scope: Option<ScopePath>,
    /// Where its text is.
    pub(crate) source: PolicySource,
}

/// Where a policy's text is.
#[derive(Clone, Debug)]
pub(crate) enum PolicySource {
    /// In a file.
    File(PathBuf),
    /// In the configuration itself.
    Text(String),
}

/// Reads what is said of governance, and whether that fits together. What it needs of others is known when the program has
/// started: scopes and policies may also have been written at run time.
pub(super) fn read(raw: &Raw, datacenter: &str, faults: &mut Faults) -> Governed {
    let scopes: Vec<Scope> =
        raw.block_map("scope").filter_map(|(path, block)| scope(path, block, faults)).collect();
    let policies: Vec<PolicyEntry> =
        raw.block_map("policy").filter_map(|(name, block)| policy(name, block, faults)).collect();
    let said = raw.text("default_scope").filter(|path| !path.is_empty());
    let default = said.and_then(|text| path("default_scope", text, faults));
    match ScopePath::parse(datacenter) {
        Ok(root) => {
            check(&scopes, default.as_ref(), &root, faults);
            for (name, scope) in elsewhere(&policies, &root) {
                faults.push(format!(
                    "policy {name:?}: scope: {scope} must lie in this datacenter, under {root}"
                ));
            }
        }
        Err(error) if !scopes.is_empty() => faults.push(format!("datacenter: {error}")),
        Err(_) => {}
    }
    Governed { scopes, policies, default }
}

/// Policies whose scope lies in another datacenter.
fn elsewhere<'a>(
    policies: &'a [PolicyEntry],
    root: &ScopePath,
) -> impl Iterator<Item = (&'a str, &'a ScopePath)> {
    let given = policies.iter().filter_map(|policy| Some((&*policy.name, policy.scope.as_ref()?)));
    given.filter(|(_, scope)| !scope.is_within(root))
}

fn check(scopes: &[Scope], default: Option<&ScopePath>, root: &ScopePath, faults: &mut Faults) {
    let all = Scopes::new(root, scopes.iter().cloned());
    for fault in all.faults(|_| true) {
        if !matches!(fault, ScopeFault::Parent { .. }) {
            faults.push(fault.to_string());
        }
    }
    if let Some(default) = default.filter(|default| !default.is_within(root)) {
        faults.push(format!("default_scope: {default} must lie in this datacenter, under {root}"));
    }
}

fn path(at: &str, text: &str, faults: &mut Faults) -> Option<ScopePath> {
    ScopePath::parse(text).map_err(|error| faults.push(format!("{at}: {error}"))).ok()
}

fn scope(at: &str, block: &Raw, faults: &mut Faults) -> Option<Scope> {
    let text = |key| block.text(key).filter(|text| !text.is_empty()).map(Into::into);
    let mut seconds = |key| {
        let zero = std::time::Duration::ZERO;
        faults.duration(&format!("scope {at:?}: {key}"), block.text(key), zero).as_secs()
    };
    let (max_stale_seconds, retention_seconds) = (seconds("max_stale"), seconds("retention"));
    let on_partition = on_partition(at, block, faults);
    Some(Scope {
        path: path("scope", at, faults)?,
        owner: block.text_or_empty("owner").into(),
        services: block.texts("services").iter().map(|name| NameRange::parse(name)).collect(),
        keys: block.texts("keys").into_iter().map(Into::into).collect(),
        callers: block.blocks("callers").iter().map(caller).collect(),
        policy: text("policy"),
        inherit: text("inherit"),
        budget: budget(&block.block("budget")),
        on_partition,
        max_stale_seconds,
        retention_seconds,
        depth: block.uint("depth").and_then(|depth| u32::try_from(depth).ok()),
        from_configuration: true,
    })
}

fn on_partition(at: &str, block: &Raw, faults: &mut Faults) -> OnPartition {
    match block.text("on_partition") {
        None | Some("stale") => OnPartition::Stale,
        Some("empty") => OnPartition::Empty,
        Some("error") => OnPartition::Error,
        Some(other) => {
            faults.push(format!(
                "scope {at:?}: on_partition: {other:?} must be \"stale\", \"empty\" or \"error\""
            ));
            OnPartition::default()
        }
    }
}

fn caller(block: &Raw) -> CallerRule {
    let text = |key| block.text(key).filter(|text| !text.is_empty()).map(Into::into);
    CallerRule {
        accessor: text("accessor"),
        policy: text("policy"),
        role: text("role"),
        auth_method: text("auth_method"),
        listener: text("listener"),
        source: text("source"),
    }
}

fn budget(block: &Raw) -> Budget {
    Budget {
        services: block.uint("services"),
        instances: block.uint("instances"),
        writes_per_second: block.uint("writes_per_second"),
        kv_bytes: block.uint("kv_bytes"),
    }
}

fn policy(name: &str, block: &Raw, faults: &mut Faults) -> Option<PolicyEntry> {
    let at = format!("policy {name:?}");
    let source = match (block.text("file"), block.text("rego")) {
        (Some(file), None) => PolicySource::File(file.into()),
        (None, Some(text)) => PolicySource::Text(text.to_owned()),
        _ => {
            faults.push(format!("{at}: give either file or rego"));
            return None;
        }
    };
    let scope = match block.text("scope") {
        Some(text) => Some(path(&format!("{at}: scope"), text, faults)?),
        None => None,
    };
    Some(PolicyEntry { name: name.to_owned(), scope, source })
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;
    use super::*;

    #[test]
    fn scopes_are_read_in_both_spellings() {
        let hcl = r#"data_dir = "/nowhere" default_scope = "dc1/web"
            scope "dc1/payments" {
              owner = "Payments" services = ["pay-*", "Ledger", "a..c"] keys = ["payments/"]
              caller { accessor = "a1" } caller { role = "r" source = "10.0.0.0/8" }
              policy = "p" inherit = "q" on_partition = "error" max_stale = "72h" retention = "1h" depth = 2
              budget { services = 1 instances = 2 writes_per_second = 3 kv_bytes = 4 }
            }
            scope "dc1/web" {}
            policy "p" { file = "/p.rego" scope = "dc1/payments" }"#;
        let json = r#"{"data_dir": "/nowhere", "default_scope": "dc1/web", "scope": {"dc1/web": {}, "dc1/payments": {
            "owner": "Payments", "services": ["pay-*", "ledger", "a..c"], "keys": ["payments/"],
            "callers": [{"accessor": "a1"}, {"role": "r", "source": "10.0.0.0/8"}],
            "policy": "p", "inherit": "q", "on_partition": "error", "max_stale": "72h", "retention": "1h", "depth": 2,
            "budget": {"services": 1, "instances": 2, "writes_per_second": 3, "kv_bytes": 4}}},
            "policy": {"p": {"file": "/p.rego", "scope": "dc1/payments"}}}"#;
        let read = |text: &str| load(text).unwrap().config.governed;
        let (hcl, json) = (read(hcl), read(json));
        assert_eq!((&hcl.scopes, &hcl.default), (&json.scopes, &json.default));
        let [payments, web] = &*hcl.scopes else { panic!("{:?}", hcl.scopes) };
        assert_eq!((payments.path.as_str(), web.path.as_str()), ("dc1/payments", "dc1/web"));
        let names: Vec<String> = payments.services.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["pay-*", "ledger", "a..c"]);
        assert_eq!((payments.callers.len(), payments.depth), (2, Some(2)));
        assert_eq!((payments.max_stale_seconds, payments.retention_seconds), (259_200, 3_600));
        assert_eq!(payments.budget.kv_bytes, Some(4));
        assert!(
            matches!(&hcl.policies[0].source, PolicySource::File(file) if file.ends_with("p.rego"))
        );
    }

    #[test]
    fn what_is_wrong_with_scopes_is_told_by_block_and_field() {
        let cases = [
            ("scope \"DC1/x\" {}", "scope: scope \"DC1/x\": the label \"DC1\" must be"),
            (
                "scope \"dc2/x\" {}",
                "scope dc2/x: its first label must be this datacenter's name, dc1",
            ),
            (
                "scope \"dc1/x\" { services = [\"a*\"] } scope \"dc1/y\" { services = [\"ab\"] }",
                "scope dc1/y: services \"ab\" has names of scope dc1/x, \"a*\": a name has one owner",
            ),
            (
                "scope \"dc1/x\" { on_partition = \"no\" }",
                "scope \"dc1/x\": on_partition: \"no\" must be",
            ),
            (
                "scope \"dc1/x\" { max_stale = \"1\" }",
                "scope \"dc1/x\": max_stale: invalid duration",
            ),
            (
                "scope \"dc1/x\" { caller { source = \"x\" } }",
                "scope dc1/x: callers: source must be a network such as 10.0.0.0/8",
            ),
            ("policy \"p\" {}", "policy \"p\": give either file or rego"),
            (
                "default_scope = \"dc2\"",
                "default_scope: dc2 must lie in this datacenter, under dc1",
            ),
            (
                "policy \"p\" { file = \"/p\" scope = \"dc2/x\" }",
                "policy \"p\": scope: dc2/x must lie in this datacenter, under dc1",
            ),
            ("scope \"dc1/x\" { bugdet {} }", "invalid config key scope[dc1/x].bugdet"),
            ("scope \"dc1/x\" {} scope \"dc1/x\" {}", "invalid config key scope.dc1/x"),
        ];
        for (hcl, told) in cases {
            let fault = load(&format!("data_dir = \"/nowhere\"\n{hcl}")).unwrap_err();
            assert!(fault.contains(told), "{hcl}: {fault}");
        }
    }
}
