//! Credentials at the door: which are believed, and how they are issued and taken back.

mod attest;
mod issue;

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use super::Handle;
use super::governance::subject;
use crate::credential::trust::Roots;
use crate::credential::{CredentialFault, CredentialRecord, Role, Trust};
use crate::error::Refusal;
use crate::index::Index;
use crate::keys::{KeyError, Keys};
use crate::record::TableId;
use crate::scope::{ScopePath, ScopePolicy};
use crate::store::Store;

pub use self::attest::Answered;
use self::attest::Book;
pub use self::issue::Wish;

/// The action of writing a policy, as credentials name it.
const WRITES_POLICY: &str = "policy";

/// The credentials of an index, and the keys by which this anchor issues more.
pub(super) struct Credentials {
    store: Arc<Store>,
    kept: ArcSwap<Kept>,
    /// Held by whoever issues: what is there is looked at before something is added.
    order: tokio::sync::Mutex<()>,
    attested: Mutex<Book>,
}

/// What was thought of the credentials at a revision of their table.
#[derive(Default)]
struct Kept {
    mark: u64,
    trust: Arc<Trust>,
}

/// Why nothing was done about a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// What was asked for cannot be: which field, and why.
    #[error("{field}: {why}")]
    Field {
        /// The field of the request.
        field: &'static str,
        /// What is wrong with it, and what to do.
        why: Box<str>,
    },
    /// It would not be believed.
    #[error(transparent)]
    Fault(#[from] CredentialFault),
    /// There is none of this id.
    #[error("no credential {0}")]
    Unknown(Box<str>),
    /// A key could not be made.
    #[error("{0}")]
    Key(Box<str>),
    /// The write was refused.
    #[error(transparent)]
    Refusal(#[from] Refusal),
}

impl From<KeyError> for CredentialError {
    fn from(error: KeyError) -> Self {
        Self::Key(error.to_string().into())
    }
}

// === impl Credentials ===

impl Credentials {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            kept: ArcSwap::default(),
            order: tokio::sync::Mutex::default(),
            attested: Mutex::default(),
        }
    }

    /// The keys of the root and of the anchor.
    fn keys(&self) -> &Keys {
        self.store.keys()
    }

    /// What is to be thought of an index's credentials; looked at once for each state of their table.
    pub(super) fn trust(&self, index: &Index) -> Arc<Trust> {
        let mark = index.table_mark(TableId::Credential);
        let kept = self.kept.load();
        if kept.mark == mark {
            return Arc::clone(&kept.trust);
        }
        let records = index.records::<CredentialRecord>().map(|row| &row.record);
        let trust = Arc::new(Trust::of(records, Roots::Known, &kept.trust));
        self.kept.store(Arc::new(Kept { mark, trust: Arc::clone(&trust) }));
        trust
    }
}

// === impl Handle ===

impl Handle {
    /// What is to be thought of the credentials that are known now.
    pub fn trust(&self) -> Arc<Trust> {
        self.trust_at(&self.snapshot())
    }

    /// What is to be thought of the credentials that an index knows.
    pub fn trust_at(&self, index: &Index) -> Arc<Trust> {
        self.0.credentials.trust(index)
    }

    /// Whether a token has a credential by which some scope's policies may be written, be it valid or not.
    pub fn has_policy_credential(&self, accessor: &str) -> bool {
        let trust = self.trust();
        trust.of_subject(&subject(accessor)).any(|known| known.role == Role::Policy)
    }

    /// Whether a token's credential lets it write a policy for a scope; not so where it has none. It must cover whomever
    /// the policy of this name is for until now, and every scope that goes by the name.
    ///
    /// # Errors
    /// [`Refusal::Denied`]: it has one, which does not hold or does not cover them all.
    pub fn may_write_policy(
        &self,
        index: &Index,
        accessor: &str,
        name: &str,
        scope: &ScopePath,
    ) -> Result<bool, Refusal> {
        let (trust, subject, now) = (self.trust_at(index), subject(accessor), self.now());
        let there = index.record::<ScopePolicy>(name).map(|row| &row.record.scope);
        let by_name = |of: &Option<Box<str>>| of.as_deref() == Some(name);
        let scopes = index.scopes().into_iter().flat_map(|all| all.all_under(all.root()));
        let bound = scopes
            .filter(|bound| by_name(&bound.policy) || by_name(&bound.inherit))
            .map(|bound| &bound.path);
        for scope in std::iter::once(scope).chain(there).chain(bound) {
            match trust.covering_as(Role::Policy, &subject, scope, WRITES_POLICY, now) {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(false),
                Err(uncovered) => {
                    let (scope, rule) = (uncovered.scope, uncovered.rule.into());
                    return Err(Refusal::Denied { scope, rule });
                }
            }
        }
        Ok(true)
    }
}
