//! What the scopes' policies decide: Rego, evaluated within bounds.
//!
//! A policy is one Rego module whose rule `decision` says `{outcome, rule, ttl}`, or a set of those, of which the strictest
//! holds. What binds a scope is its own policy and the `inherit` policy of every scope above it: a child is stricter, never
//! looser. A policy that fails (it loops, asks for too much, answers nonsense) defers by the rule [`FAULT`]: nobody is let
//! through by a mistake, and nobody is refused for good.

mod budget;
mod builtins;
mod decided;
mod input;
pub mod library;
mod module;
mod suite;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::budget::Stopwatch;
pub use self::decided::Decided;
pub use self::input::{Action, Facts, Input, Target};
pub use self::module::{Module, PolicyFault};
pub use self::suite::{Case, Told, run};
use crate::scope::{Scope, ScopePath, ScopePolicy};

/// The rule that is told where no policy binds.
pub const OPEN: &str = "open";

/// The rule that is told for a policy that failed or is missing.
pub const FAULT: &str = "policy/fault";

/// The policies of an index, each compiled once for each of its versions. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    modules: Arc<BTreeMap<Box<str>, Arc<Module>>>,
    stopwatch: Option<Stopwatch>,
}

/// What one policy of a chain decided.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The scope that names the policy.
    pub scope: ScopePath,
    /// The policy.
    pub policy: Box<str>,
    /// Its version; 0 when there is no policy of this name.
    pub version: u64,
    /// Whether it binds as what a scope above hands down.
    pub inherited: bool,
    /// What it decided.
    pub decided: Decided,
}

// === impl PolicySet ===

impl PolicySet {
    /// Compiles what is new among the records; what is there already in the same version is kept.
    #[must_use]
    pub fn of<'a>(records: impl IntoIterator<Item = &'a ScopePolicy>, before: &Self) -> Self {
        let module = |record: &ScopePolicy| {
            let kept = before.modules.get(&record.name).filter(|kept| kept.is(record));
            kept.map_or_else(|| Arc::new(Module::of(record)), Arc::clone)
        };
        let modules = records.into_iter().map(|record| (record.name.clone(), module(record)));
        Self { modules: Arc::new(modules.collect()), stopwatch: before.stopwatch }
    }

    /// The same, with a watch by which evaluations that take too long are stopped, besides the bound of their steps.
    #[must_use]
    pub fn timed_by(self, stopwatch: Stopwatch) -> Self {
        Self { stopwatch: Some(stopwatch), ..self }
    }

    /// Whether there is no policy.
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    /// A policy by its name.
    pub fn get(&self, name: &str) -> Option<&Arc<Module>> {
        self.modules.get(name)
    }

    /// Decides for the last scope of a chain that begins at the root: the strictest of what binds it.
    pub fn decide(&self, chain: &[Arc<Scope>], input: &Input<'_>) -> Decided {
        let mut bound = binding(chain).peekable();
        if bound.peek().is_none() {
            return Decided::open();
        }
        let input = input.value(chain);
        bound
            .map(|(scope, name, _)| self.ask(scope, name, input.clone()))
            .reduce(Decided::and)
            .unwrap_or_else(Decided::open)
    }

    /// The same, with what each policy of the chain decided.
    pub fn explain(&self, chain: &[Arc<Scope>], input: &Input<'_>) -> Vec<Verdict> {
        let value = input.value(chain);
        binding(chain)
            .map(|(scope, name, inherited)| Verdict {
                scope: scope.path.clone(),
                policy: name.into(),
                version: self.get(name).map_or(0, |module| module.version()),
                inherited,
                decided: self.ask(scope, name, value.clone()),
            })
            .collect()
    }

    /// Whether what binds a chain asks for the numbers that change with every write, or for the time.
    pub fn reads(&self, chain: &[Arc<Scope>]) -> Reads {
        let modules = binding(chain).filter_map(|(_, name, _)| self.get(name));
        modules.fold(Reads::default(), |all, module| all.and(module.reads()))
    }

    fn ask(
        &self,
        scope: &Scope,
        name: &str,
        input: Result<regorus::Value, PolicyFault>,
    ) -> Decided {
        let decided = match self.get(name) {
            None => Err(PolicyFault::new(format!("there is no policy {name:?}"))),
            Some(module) => input.and_then(|input| module.decide(input, self.stopwatch)),
        };
        decided.unwrap_or_else(Decided::fault).by(&scope.path)
    }
}

/// What of the input a policy looks at besides the caller and the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// `input.facts`: what the scope holds.
    pub facts: bool,
    /// `input.time`.
    pub time: bool,
}

impl Reads {
    fn and(self, other: Self) -> Self {
        Self { facts: self.facts || other.facts, time: self.time || other.time }
    }
}

/// The policies that bind the last scope of a chain, the root's first, and whether they are handed down to it.
pub fn binding(chain: &[Arc<Scope>]) -> impl Iterator<Item = (&Scope, &str, bool)> {
    let (own, above) = match chain.split_last() {
        Some((own, above)) => (Some(own), above),
        None => (None, chain),
    };
    let inherited =
        above.iter().filter_map(|scope| Some((&**scope, scope.inherit.as_deref()?, true)));
    inherited.chain(own.and_then(|scope| Some((&**scope, scope.policy.as_deref()?, false))))
}

#[cfg(test)]
mod tests;
