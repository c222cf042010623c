//! Tests of policies: rules `test_…`, and cases of input and expected decision.

use regorus::Value;

use super::budget;
use super::module::{Failed, engine, guarded};
use super::{Decided, Module, PolicyFault};
use crate::outcome::Outcome;
use crate::scope::ScopePolicy;

/// What a test told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The test: `data.payments.test_names`, or a case's name.
    pub name: Box<str>,
    /// Why it failed; nothing when it passed.
    pub failure: Option<Box<str>>,
}

/// A policy asked about one input.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is called.
    pub name: Box<str>,
    /// What the policy is told, as far as it matters.
    pub input: serde_json::Value,
    /// What it is to decide.
    pub outcome: Outcome,
    /// By which rule, where it matters.
    pub rule: Option<Box<str>>,
}

/// Runs every rule `test_…` of modules, that see each other and the ready rules.
///
/// # Errors
/// What is wrong with a module, with its line.
pub fn run(modules: &[(&str, &str)]) -> Result<Vec<Told>, PolicyFault> {
    let (mut engine, packages) = engine(modules)?;
    let mut told = Vec::new();
    for ((_, rego), package) in modules.iter().zip(packages) {
        for test in tests_of(rego) {
            let name = format!("{package}.{test}");
            let answer = budget::within(None, || guarded(|| engine.eval_rule(name.clone())));
            told.push(Told { failure: failure(answer), name: name.into() });
        }
    }
    Ok(told)
}

fn failure(answer: Result<Value, Failed>) -> Option<Box<str>> {
    match answer {
        Ok(Value::Bool(true)) => None,
        Ok(Value::Undefined) => Some("is not true".into()),
        Ok(other) => Some(format!("is {other}, not true").into()),
        Err(failed) => Some(failed.told().to_string().into()),
    }
}

/// The names of rules that begin so, in order, each once.
fn tests_of(rego: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for line in rego.lines().filter(|line| line.starts_with("test_")) {
        let end = line.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(line.len());
        if !names.contains(&&line[..end]) {
            names.push(&line[..end]);
        }
    }
    names
}

impl Case {
    /// Asks a policy.
    ///
    /// # Errors
    /// What is wrong with the policy, with its line.
    pub fn judge(&self, policy: &str, rego: &str) -> Result<Told, PolicyFault> {
        Module::check(policy, rego)?;
        let record =
            ScopePolicy { name: policy.into(), rego: rego.into(), ..ScopePolicy::default() };
        let decided = Module::of(&record).decide(self.input.clone().into(), None);
        let failure = match decided {
            Err(fault) => Some(fault.to_string()),
            Ok(decided) if self.expects(&decided) => None,
            Ok(decided) => Some(format!("decides {}", shown(decided.outcome, Some(&decided.rule)))),
        };
        let wanted = || format!(", not {}", shown(self.outcome, self.rule.as_deref()));
        let failure = failure.map(|failure| (failure + &wanted()).into());
        Ok(Told { name: self.name.clone(), failure })
    }

    fn expects(&self, decided: &Decided) -> bool {
        let rule = self.rule.as_ref().is_none_or(|rule| **rule == *decided.rule);
        decided.outcome == self.outcome && rule
    }
}

fn shown(outcome: Outcome, rule: Option<&str>) -> String {
    let rule = rule.map(|rule| format!(" by rule {rule}")).unwrap_or_default();
    format!("{}{rule}", outcome.as_str())
}
