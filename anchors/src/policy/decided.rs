//! What a policy decided.

use std::sync::Arc;
use std::time::Duration;

use regorus::Value;

use super::{FAULT, OPEN, PolicyFault};
use crate::duration;
use crate::outcome::Outcome;
use crate::scope::ScopePath;

/// Characters of a rule's name: it stands in entries, headers and errors.
const RULE_CHARS_MAX: usize = 128;

/// Decisions of which a policy may have the strictest told.
const DECISIONS_MAX: usize = 64;

/// A decision, and the rule that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What was decided.
    pub outcome: Outcome,
    /// The rule, by name.
    pub rule: Arc<str>,
    /// For how long it holds; nothing while neither policy nor target change.
    pub ttl: Option<Duration>,
    /// The scope whose policy decided; none where no policy binds.
    pub scope: Option<ScopePath>,
    /// What went wrong, where the rule is [`FAULT`].
    pub fault: Option<Arc<str>>,
}

// === impl Decided ===

impl Decided {
    /// What is decided where no policy binds.
    pub fn open() -> Self {
        Self::rule(Outcome::Resolve, OPEN)
    }

    /// A decision of a rule, for as long as nothing changes.
    pub fn rule(outcome: Outcome, rule: &str) -> Self {
        Self { outcome, rule: rule.into(), ttl: None, scope: None, fault: None }
    }

    pub(super) fn fault(fault: PolicyFault) -> Self {
        let fault: Arc<str> = fault.to_string().into();
        Self { fault: Some(fault), ..Self::rule(Outcome::Defer, FAULT) }
    }

    pub(super) fn by(self, scope: &ScopePath) -> Self {
        Self { scope: Some(scope.clone()), ..self }
    }

    /// The stricter one, the first of equals; it holds while both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let ttl = match (self.ttl, other.ttl) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        let stricter = if other.outcome > self.outcome { other } else { self };
        Self { ttl, ..stricter }
    }

    /// Reads what a policy answered: one decision, or a set or list of them; none of them lets through.
    pub(super) fn read(answer: &Value) -> Result<Self, PolicyFault> {
        match answer {
            Value::Object(_) => Self::read_one(answer),
            Value::Set(all) => Self::read_all(all.iter()),
            Value::Array(all) => Self::read_all(all.iter()),
            Value::Undefined => Err(PolicyFault::new(
                "decision is undefined: give it a default, e.g. default decision := {\"outcome\": \"resolve\", \"rule\": \"open\"}",
            )),
            _ => Err(PolicyFault::new("decision is neither an object nor a set of objects")),
        }
    }

    fn read_all<'a>(all: impl ExactSizeIterator<Item = &'a Value>) -> Result<Self, PolicyFault> {
        if all.len() > DECISIONS_MAX {
            return Err(PolicyFault::new(format!(
                "decision has more than {DECISIONS_MAX} members"
            )));
        }
        all.map(Self::read_one).try_fold(Self::open(), |strictest, one| Ok(strictest.and_in(one?)))
    }

    /// As [`Decided::and`], where the first one is what holds without any.
    fn and_in(self, other: Self) -> Self {
        if &*self.rule == OPEN && other.outcome == self.outcome {
            return Self { ttl: self.clone().and(other.clone()).ttl, ..other };
        }
        self.and(other)
    }

    fn read_one(answer: &Value) -> Result<Self, PolicyFault> {
        let Ok(fields) = answer.as_object() else {
            return Err(PolicyFault::new("a decision is not an object"));
        };
        let mut decided = Self::rule(Outcome::Resolve, "");
        let mut said = false;
        for (key, value) in fields.iter() {
            match key.as_string().map(|key| &**key) {
                Ok("outcome") => {
                    decided.outcome = outcome(value)?;
                    said = true;
                }
                Ok("rule") => decided.rule = rule(value)?,
                Ok("ttl") => decided.ttl = Some(ttl(value)?),
                _ => return Err(PolicyFault::new(format!("decision has an unknown field {key}"))),
            }
        }
        if !said || decided.rule.is_empty() {
            let missing = if said { "rule" } else { "outcome" };
            return Err(PolicyFault::new(format!("decision lacks the field {missing}")));
        }
        Ok(decided)
    }
}

fn outcome(value: &Value) -> Result<Outcome, PolicyFault> {
    match value.as_string().map(|text| &**text) {
        Ok("resolve") => Ok(Outcome::Resolve),
        Ok("attest") => Ok(Outcome::Attest),
        Ok("defer") => Ok(Outcome::Defer),
        Ok("refuse") => Ok(Outcome::Refuse),
        _ => Err(PolicyFault::new(
            "decision.outcome is none of \"resolve\", \"attest\", \"defer\", \"refuse\"",
        )),
    }
}

fn rule(value: &Value) -> Result<Arc<str>, PolicyFault> {
    let fault = || {
        let wanted =
            format!("decision.rule is no text of 1 to {RULE_CHARS_MAX} printable characters");
        PolicyFault::new(wanted)
    };
    let text = value.as_string().map_err(|_| fault())?;
    // It is told in headers and in errors of one line.
    let fits = (1..=RULE_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if fits { Ok(Arc::clone(text)) } else { Err(fault()) }
}

/// Seconds, or a duration as Consul writes them; nothing below a second is worth asking again.
fn ttl(value: &Value) -> Result<Duration, PolicyFault> {
    let seconds = value.as_f64().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let text = || duration::parse_wait(value.as_string().ok()?).ok();
    seconds.or_else(text).filter(|ttl| !ttl.is_zero()).ok_or_else(|| {
        PolicyFault::new("decision.ttl is no number of seconds and no duration above 0")
    })
}
