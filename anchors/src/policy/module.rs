//! One policy, compiled.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use regorus::{Engine, LimitError, Value};

use super::budget::{self, STEPS_MAX, Stopwatch};
use super::builtins::{self, NOT_OFFERED};
use super::{Decided, Reads, library};
use crate::scope::ScopePolicy;

/// Bytes of a policy's source.
const SOURCE_BYTES_MAX: usize = 64 << 10;

/// Engines of one policy that wait for the next evaluation; one more, and it is made anew.
const ENGINES_IDLE_MAX: usize = 4;

/// The package under which the ready rules lie, which no policy may take.
const LIBRARY: &str = "data.library";

/// Why a policy cannot be taken, or could not decide: for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyFault(Box<str>);

/// A policy in one version.
pub struct Module {
    record: ScopePolicy,
    reads: Reads,
    compiled: Result<Compiled, PolicyFault>,
}

/// What is there once for every version.
struct Compiled {
    /// The rule that is asked.
    entry: String,
    template: Engine,
    idle: Mutex<Vec<Engine>>,
}

// === impl PolicyFault ===

impl PolicyFault {
    pub(super) fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }
}

// === impl Module ===

impl Module {
    /// Compiles a policy. One that cannot be compiled decides nothing but that.
    pub fn of(record: &ScopePolicy) -> Self {
        let compiled = Compiled::of(&record.name, &record.rego);
        Self { record: record.clone(), reads: reads(&record.rego), compiled }
    }

    /// Whether a policy can be compiled.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn check(name: &str, rego: &str) -> Result<(), PolicyFault> {
        Compiled::of(name, rego).map(drop)
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.record.version
    }

    pub(super) fn is(&self, record: &ScopePolicy) -> bool {
        self.record.version == record.version && self.record.rego == record.rego
    }

    pub(super) fn reads(&self) -> Reads {
        self.reads
    }

    pub(super) fn decide(
        &self,
        input: Value,
        stopwatch: Option<Stopwatch>,
    ) -> Result<Decided, PolicyFault> {
        let compiled = self.compiled.as_ref().map_err(Clone::clone)?;
        Decided::read(&compiled.evaluate(&compiled.entry, input, stopwatch)?)
    }
}

/// What of the input stands in a source, the ready rules that it imports included. Said too often, never too seldom.
fn reads(rego: &str) -> Reads {
    let mut all = vec![rego];
    all.extend(library::used_by(rego).map(|module| module.rego));
    let says = |word: &str| all.iter().any(|text| text.contains(word));
    // `input` may be handed on whole, or be indexed by a text.
    let whole = all.iter().any(|text| {
        let mut rest = text.split("input");
        rest.next();
        rest.any(|after| {
            !after.starts_with(['.', '_']) && !after.starts_with(char::is_alphanumeric)
        })
    });
    Reads { facts: whole || says("input.facts"), time: whole || says("input.time") }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("name", &self.record.name).finish_non_exhaustive()
    }
}

// === impl Compiled ===

impl Compiled {
    fn of(name: &str, rego: &str) -> Result<Self, PolicyFault> {
        let (mut template, packages) = engine(&[(name, rego)])?;
        let entry = format!("{}.decision", packages.concat());
        let prepared = guarded(|| template.compile_with_entrypoint(&entry.as_str().into()));
        prepared.map_err(|fault| match fault {
            // The interpreter's own text for it does not say what is missing.
            Failed::Said(error) if !rego.contains("decision") => {
                PolicyFault::new(format!("{name}: there is no rule named decision ({error})"))
            }
            fault => fault.told(),
        })?;
        Ok(Self { entry, template, idle: Mutex::default() })
    }

    fn evaluate(
        &self,
        rule: &str,
        input: Value,
        stopwatch: Option<Stopwatch>,
    ) -> Result<Value, PolicyFault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut engine = idle.unwrap_or_else(|| self.template.clone());
        engine.set_input(input);
        let answer = budget::within(stopwatch, || guarded(|| engine.eval_rule(rule.to_owned())));
        // An engine that panicked may be left in any state.
        if !matches!(answer, Err(Failed::Panicked)) {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < ENGINES_IDLE_MAX {
                idle.push(engine);
            }
        }
        answer.map_err(Failed::told)
    }
}

/// An engine that has modules, that see each other and the ready rules, and the modules' packages.
pub(super) fn engine(modules: &[(&str, &str)]) -> Result<(Engine, Vec<String>), PolicyFault> {
    let mut engine = Engine::new();
    budget::bind(&mut engine);
    guarded(|| builtins::bind(&mut engine)).map_err(Failed::told)?;
    let (mut packages, mut given) = (Vec::new(), BTreeSet::new());
    for (name, rego) in modules {
        fits(name, rego)?;
        let package = guarded(|| engine.add_policy((*name).to_owned(), (*rego).to_owned()));
        let package = package.map_err(Failed::told)?;
        if package == LIBRARY || package.starts_with("data.library.") {
            return Err(PolicyFault::new(format!(
                "{name}: the package library is that of the ready rules, take another"
            )));
        }
        for ready in library::used_by(rego) {
            given.insert((ready.name.to_owned(), ready.rego.to_owned()));
        }
        for (ready, alias) in library::imported_by(rego) {
            given.insert((format!("{}, as {alias}", ready.name), ready.within(&package, alias)));
        }
        packages.push(package);
    }
    for (name, rego) in given {
        guarded(|| engine.add_policy(name, rego)).map_err(Failed::told)?;
    }
    Ok((engine, packages))
}

fn fits(name: &str, rego: &str) -> Result<(), PolicyFault> {
    if rego.len() > SOURCE_BYTES_MAX {
        return Err(PolicyFault::new(format!(
            "{name}: a policy has at most {SOURCE_BYTES_MAX} bytes, this one {}",
            rego.len()
        )));
    }
    not_offered(name, rego)
}

/// Whether a policy calls what is not offered, so that it is told when it is written and not when it is asked.
fn not_offered(name: &str, rego: &str) -> Result<(), PolicyFault> {
    for (at, line) in rego.lines().enumerate() {
        let code = line.split('#').next().unwrap_or_default();
        let call = |function: &&&str| {
            code.match_indices(**function).any(|(from, _)| {
                let before = code[..from].chars().next_back();
                let after = code[from + function.len()..].trim_start();
                after.starts_with('(')
                    && !before
                        .is_some_and(|before| before.is_alphanumeric() || "._\"`".contains(before))
            })
        };
        if let Some(function) = NOT_OFFERED.iter().find(call) {
            let text =
                format!("{name}:{}: the function {function} is not offered to policies", at + 1);
            return Err(PolicyFault::new(text));
        }
    }
    Ok(())
}

/// Why the interpreter did not answer.
pub(super) enum Failed {
    Said(anyhow::Error),
    Panicked,
}

/// Calls the interpreter. A mistake of its own must not take the program along.
pub(super) fn guarded<T>(call: impl FnOnce() -> anyhow::Result<T>) -> Result<T, Failed> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(answer) => answer.map_err(Failed::Said),
        Err(_) => Err(Failed::Panicked),
    }
}

impl Failed {
    pub(super) fn told(self) -> PolicyFault {
        match self {
            Self::Panicked => PolicyFault::new("the interpreter failed on this policy"),
            Self::Said(error) if error.is::<LimitError>() => PolicyFault::new(format!(
                "the evaluation takes more than {STEPS_MAX} steps, too deep a chain of calls, or too long"
            )),
            Self::Said(error) => PolicyFault::new(error.to_string().trim().to_owned()),
        }
    }
}
