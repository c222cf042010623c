//! What one caller may do.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::act::{Access, Act, Reach, Resource};
use super::authorizer::{Authorizer, Verdict};
use super::rules::Rules;
use crate::scope::Narrow;

/// What one caller may do, as its token's rules stood when it asked. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Authority {
    /// The rules of access control; none while it is off.
    rules: Option<Arc<Bound>>,
    /// What the scopes' policies forbid besides; nothing where there are none.
    narrow: Option<Arc<dyn Narrow>>,
}

/// The rules of a caller while access control is on.
#[derive(Debug)]
struct Bound {
    /// Whether its token is known.
    known: bool,
    /// The accessor of its token; nothing for the anonymous one.
    accessor: Option<Box<str>>,
    /// Whether it is a token that access control keeps, and not the anonymous one.
    is_token: bool,
    authorizer: Authorizer,
    unsaid: Unsaid,
}

/// What holds where no rule speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsaid {
    /// All but access control itself, to which only a rule gives access.
    Allowed,
    Denied,
}

/// An access that was denied: to whom and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{resource}:{access} is denied")]
pub struct Denial {
    /// The accessor of the caller's token; nothing for the anonymous one.
    pub accessor: Option<Box<str>>,
    /// What was to be accessed.
    pub resource: Resource,
    /// How.
    pub access: Access,
    /// The name that it spoke of.
    pub name: Option<Box<str>>,
}

impl Authority {
    /// Everything is allowed: access control is off, or the program itself asks.
    pub fn open() -> Self {
        Self::default()
    }

    /// Nothing is allowed: the caller's token is not known.
    pub fn nothing() -> Self {
        Self::bound(Bound {
            known: false,
            accessor: None,
            is_token: false,
            authorizer: Authorizer::default(),
            unsaid: Unsaid::Denied,
        })
    }

    /// Whether the caller's token is known; nobody has to bring one.
    pub fn is_known(&self) -> bool {
        self.rules.as_ref().is_none_or(|bound| bound.known)
    }

    /// What these rules alone allow to the anonymous caller.
    pub fn of_rules<'a>(rules: impl IntoIterator<Item = &'a Rules>) -> Self {
        Self::of(None, false, Authorizer::of(rules), Unsaid::Denied)
    }

    /// What rules allow.
    pub(super) fn of(
        accessor: Option<Box<str>>,
        is_token: bool,
        authorizer: Authorizer,
        unsaid: Unsaid,
    ) -> Self {
        Self::bound(Bound { known: true, accessor, is_token, authorizer, unsaid })
    }

    fn bound(rules: Bound) -> Self {
        Self { rules: Some(Arc::new(rules)), narrow: None }
    }

    /// The same, with what the scopes' policies forbid besides.
    #[must_use]
    pub fn narrowed(&self, narrow: Arc<dyn Narrow>) -> Self {
        Self { rules: self.rules.clone(), narrow: Some(narrow) }
    }

    /// Whether policies of scopes forbid something besides the rules.
    pub fn is_narrowed(&self) -> bool {
        self.narrow.is_some()
    }

    /// Whether everything is allowed without a look at any rule.
    pub fn is_open(&self) -> bool {
        self.rules.is_none() && self.narrow.is_none()
    }

    /// Whether the caller came with a token of access control, the anonymous one aside: only then is it told that something
    /// was filtered out.
    pub fn has_token(&self) -> bool {
        self.rules.as_ref().is_some_and(|bound| bound.is_token)
    }

    /// The accessor of the caller's token.
    pub fn accessor(&self) -> Option<&str> {
        self.rules.as_ref().and_then(|bound| bound.accessor.as_deref())
    }

    /// Whether the rules and the policies allow it.
    pub fn allows(&self, act: Act<'_>) -> bool {
        self.rules_allow(act) && self.narrow.as_ref().is_none_or(|narrow| narrow.allows(act))
    }

    fn rules_allow(&self, act: Act<'_>) -> bool {
        let Some(bound) = &self.rules else { return true };
        match bound.authorizer.ask(act) {
            Verdict::Allowed => true,
            Verdict::Denied => false,
            Verdict::Unsaid => bound.unsaid == Unsaid::Allowed && act.resource != Resource::Acl,
        }
    }

    /// The same, with what to tell the caller otherwise.
    ///
    /// # Errors
    /// [`Denial`] when no rule allows it.
    pub fn demand(&self, act: Act<'_>) -> Result<(), Denial> {
        if self.allows(act) { Ok(()) } else { Err(self.denial(act)) }
    }

    fn denial(&self, act: Act<'_>) -> Denial {
        let name = match act.reach {
            Reach::Named(name) | Reach::Under(name) if !name.is_empty() => Some(name.into()),
            Reach::Named(_) | Reach::Under(_) | Reach::Whole | Reach::Any | Reach::All => None,
        };
        Denial {
            accessor: self.accessor().map(Into::into),
            resource: act.resource,
            access: act.access,
            name,
        }
    }
}
