//! The rules of a policy, as people write them: HCL or JSON.
//!
//! ```text
//! acl = "read"
//! key_prefix "app/" { policy = "write" }
//! service "web" { policy = "write" intentions = "read" }
//! ```
//! A rule speaks of one name or, with `_prefix`, of all that begin so. What it says of a block that it does not know is left
//! unread, as Consul leaves it. Refusals have Consul's words: whoever wrote the rules reads them.

mod decode;
#[cfg(test)]
mod tests;

use self::decode::Written;
use super::act::{Access, Resource};

/// What a rule gives, weakest first: of two rules about one name the greater one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Reading.
    Read,
    /// Reading and listing (keys only).
    List,
    /// Everything.
    Write,
    /// Nothing.
    Deny,
}

/// Of which names a rule speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// This one.
    Exact,
    /// All that begin so.
    Prefix,
}

/// A rule about names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it is about.
    pub resource: Resource,
    /// Whether it speaks of one name or of all that begin so.
    pub matches: Match,
    /// The name or its beginning.
    pub name: Box<str>,
    /// What it gives.
    pub level: Level,
    /// For services: what it gives for their intentions; nothing when it follows from the level.
    pub intentions: Option<Level>,
}

/// The rules of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What is given for resources without names.
    pub whole: Vec<(Resource, Level)>,
    /// What is given by name.
    pub named: Vec<Rule>,
}

/// Why rules are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// They cannot be read.
    #[error("Failed to parse ACL rules: {0}")]
    Syntax(Box<str>),
    /// A rule gives what there is not.
    #[error("Invalid {what} policy: {rule}")]
    Level {
        /// The block, and `intentions` where those are meant.
        what: Box<str>,
        /// The rule as Consul prints it.
        rule: Box<str>,
    },
}

/// A block of rules: its key in a policy, and how Consul prints a rule of it.
struct Block {
    key: &'static str,
    resource: Resource,
    matches: Match,
    /// The name of the type.
    printed: &'static str,
    /// The name of the field that has the name.
    named: &'static str,
}

const fn block(
    key: &'static str,
    resource: Resource,
    matches: Match,
    printed: &'static str,
    named: &'static str,
) -> Block {
    Block { key, resource, matches, printed, named }
}

/// The blocks in the order in which Consul looks at them.
#[rustfmt::skip]
const BLOCKS: [Block; 14] = [
    block("agent", Resource::Agent, Match::Exact, "AgentRule", "Node"),
    block("agent_prefix", Resource::Agent, Match::Prefix, "AgentRule", "Node"),
    block("key", Resource::Key, Match::Exact, "KeyRule", "Prefix"),
    block("key_prefix", Resource::Key, Match::Prefix, "KeyRule", "Prefix"),
    block("node", Resource::Node, Match::Exact, "NodeRule", "Name"),
    block("node_prefix", Resource::Node, Match::Prefix, "NodeRule", "Name"),
    block("service", Resource::Service, Match::Exact, "ServiceRule", "Name"),
    block("service_prefix", Resource::Service, Match::Prefix, "ServiceRule", "Name"),
    block("session", Resource::Session, Match::Exact, "SessionRule", "Node"),
    block("session_prefix", Resource::Session, Match::Prefix, "SessionRule", "Node"),
    block("event", Resource::Event, Match::Exact, "EventRule", "Event"),
    block("event_prefix", Resource::Event, Match::Prefix, "EventRule", "Event"),
    block("query", Resource::Query, Match::Exact, "PreparedQueryRule", "Prefix"),
    block("query_prefix", Resource::Query, Match::Prefix, "PreparedQueryRule", "Prefix"),
];

/// Looked at before the blocks.
const WHOLE_FIRST: [(&str, Resource); 1] = [("acl", Resource::Acl)];

/// Looked at after the blocks.
const WHOLE_LAST: [(&str, Resource); 4] = [
    ("keyring", Resource::Keyring),
    ("operator", Resource::Operator),
    ("mesh", Resource::Mesh),
    ("peering", Resource::Peering),
];

// === impl Rules ===

impl Rules {
    /// Reads the rules of a policy.
    ///
    /// # Errors
    /// [`RulesError`], in Consul's words.
    pub fn parse(source: &str) -> Result<Self, RulesError> {
        if source.is_empty() {
            return Ok(Self::default());
        }
        let syntax = |told: String| RulesError::Syntax(told.into());
        let node = proconsul_hcl::read_once(source).map_err(syntax)?;
        let is_json = source.trim_start().starts_with('{');
        let policy = decode::Policy::of(&node).map_err(|fault| syntax(fault.told(is_json)))?;
        let mut rules = Self::default();
        rules.take_whole(&policy, &WHOLE_FIRST)?;
        for (block, written) in &policy.blocks {
            for rule in written {
                rules.named.push(block.check(rule)?);
            }
        }
        rules.take_whole(&policy, &WHOLE_LAST)?;
        Ok(rules)
    }

    fn take_whole(
        &mut self,
        policy: &decode::Policy,
        keys: &[(&'static str, Resource)],
    ) -> Result<(), RulesError> {
        for (key, resource) in keys {
            let Some(text) = policy.whole(key).filter(|text| !text.is_empty()) else { continue };
            let level = Level::parse(text).filter(|level| *level != Level::List);
            let level = level.ok_or_else(|| RulesError::Level {
                what: (*key).into(),
                rule: quoted(text).into(),
            })?;
            self.whole.push((*resource, level));
        }
        Ok(())
    }
}

// === impl Level ===

impl Level {
    /// The level of this name, whatever its case.
    pub fn parse(text: &str) -> Option<Self> {
        let levels = [
            ("deny", Self::Deny),
            ("read", Self::Read),
            ("list", Self::List),
            ("write", Self::Write),
        ];
        levels.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, level)| level)
    }

    /// Whether it gives this access.
    pub fn gives(self, access: Access) -> bool {
        match self {
            Self::Deny => false,
            Self::Read => access == Access::Read,
            Self::List => access != Access::Write,
            Self::Write => true,
        }
    }
}

// === impl Block ===

impl Block {
    fn check(&self, written: &Written) -> Result<Rule, RulesError> {
        let level = self.level(&written.policy, self.resource == Resource::Key);
        let level = level.ok_or_else(|| self.refuse(written, ""))?;
        let intentions = match &*written.intentions {
            text if self.resource == Resource::Service && !text.is_empty() => {
                Some(self.level(text, false).ok_or_else(|| self.refuse(written, " intentions"))?)
            }
            _ => None,
        };
        let name = written.name.as_str().into();
        Ok(Rule { resource: self.resource, matches: self.matches, name, level, intentions })
    }

    fn level(&self, text: &str, lists: bool) -> Option<Level> {
        Level::parse(text).filter(|level| lists || *level != Level::List)
    }

    fn refuse(&self, written: &Written, what: &str) -> RulesError {
        let Written { name, policy, intentions } = written;
        let intentions = match self.resource {
            Resource::Service => format!(", Intentions:{}", quoted(intentions)),
            _ => String::new(),
        };
        // Some of Consul's types have room for the enterprise edition's rules.
        let enterprise = match self.resource {
            Resource::Key | Resource::Node | Resource::Service => {
                ", EnterpriseRule:acl.EnterpriseRule{}"
            }
            _ => "",
        };
        let Self { key, printed, named, .. } = self;
        let (name, policy) = (quoted(name), quoted(policy));
        RulesError::Level {
            what: format!("{key}{what}").into(),
            rule: format!(
                "&acl.{printed}{{{named}:{name}, Policy:{policy}{intentions}{enterprise}}}"
            )
            .into(),
        }
    }
}

/// A text as Go's `%#v` prints it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\n' | '\r' | '\t' | '"' | '\\' => out.extend(char.escape_default()),
            '\0'..'\x20' | '\x7f' => out.push_str(&format!("\\x{:02x}", u32::from(char))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
