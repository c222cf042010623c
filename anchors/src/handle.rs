//! The door: all that the servers know of an index.
//!
//! Two verbs and the blocking form of one: [`Handle::submit`] a change, [`Handle::lookup`] a query, [`Handle::wait`] for a
//! query's answer to change. Reads take no lock and never wait for writes.

mod admission;
mod authorities;
mod board;
mod books;
mod credentials;
mod expiry;
mod founding;
mod governance;
mod governing;
mod lineage;
mod measure;
mod reading;
mod remote;
mod restore;
mod retention;
#[cfg(test)]
mod tests;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use rand::RngCore as _;

use self::authorities::Authorities;
use self::board::Board;
use self::credentials::Credentials;
pub use self::credentials::{Answered, CredentialError, Wish};
use self::governance::Governance;
pub use self::governance::Ruling;
pub use self::reading::{Inquiry, Reasons};
use self::remote::Remote;
pub use self::remote::{
    AdjacencyError, AskFault, CONTACT_EVERY, Errand, Explanation, FarFault, Resolution, Sending,
    Source, Told, Wait, Wire,
};
pub use self::restore::RestoreError;
pub use self::retention::{PruneError, Pruning, RETENTION_INTERVAL};
use crate::acl::{AclSettings, Act, Authority, vet};
use crate::caller::{Caller, Secret};
pub use crate::change::Committed;
use crate::change::{Change, KvChange, PutWhen};
use crate::clock::{Clock, Time};
use crate::error::{Misfit, Refusal, TxnFault};
use crate::group::{Group, GroupSettings, Proposal, StartError};
use crate::index::Index;
use crate::outcome::Outcome;
use crate::policy::Decided;
use crate::query::Query;
use crate::scope::ScopePath;
use crate::sealed::{SealedSecret, Sealer};
use crate::store::Store;
use crate::traversal::Way;
use crate::txn::{KeyOp, KeyVerb, TxnOp};

/// The door to one scope; cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

struct Inner {
    board: Arc<Board>,
    group: Group,
    sealer: Sealer,
    authorities: Authorities,
    governance: Governance,
    credentials: Credentials,
    remote: Remote,
    opened: Time,
    /// The revision at which it was.
    opened_at: u64,
    scope: Box<str>,
}

/// How this member leads its group.
#[derive(Clone, Copy, Debug)]
pub struct Leads {
    /// It rises with each election.
    pub term: u64,
    /// Since when it leads.
    pub since: Time,
}

/// What a lookup found: the records are read from `at`.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The read's index; it moves only when the visible answer may have changed.
    pub index: u64,
    /// The index of the scope from which the answer is read.
    pub at: Arc<Index>,
    /// What was decided about the read.
    pub outcome: Outcome,
    /// The policy's decision behind it, where one was asked about this very thing.
    pub decided: Option<Decided>,
    /// Whether the group has a leader now.
    pub known_leader: bool,
    /// How long ago the leader was heard of.
    pub age: Duration,
    /// What the caller may see of it: whoever prints it leaves out the rest.
    pub authority: Authority,
    /// Over which hops it came, where another scope was asked.
    pub way: Option<Arc<Way>>,
    /// Whether something was left out where it came from.
    pub filtered: bool,
}

// === impl Handle ===

impl Handle {
    /// Opens a scope: starts its group over the store and hangs up the index.
    ///
    /// # Errors
    /// [`StartError`] when the store cannot be read or the group cannot be started.
    pub async fn open(
        store: Arc<Store>,
        settings: GroupSettings,
        acl: AclSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let board = Arc::new(Board::new(clock));
        let sealer = Sealer::of_seed(store.keys().scope().as_bytes());
        let credentials = Credentials::new(Arc::clone(&store));
        let remote = Remote::new(store.keys().scope().clone());
        let scope = settings.scope.clone();
        let (group, index) = Group::start(store, settings, Arc::clone(&board) as _).await?;
        let opened_at = index.revision();
        board.open(index);
        let opened = board.now();
        let authorities = Authorities::new(acl);
        let governance = Governance::new(ScopePath::parse(&scope).unwrap_or_default());
        let inner = Inner {
            board,
            group,
            sealer,
            authorities,
            governance,
            credentials,
            remote,
            opened,
            opened_at,
            scope,
        };
        let handle = Self(Arc::new(inner));
        handle.forget_restore().await;
        handle.found_rotated().await;
        Ok(handle)
    }

    /// Carries out a write, once for ever.
    ///
    /// # Errors
    /// [`Refusal`]: nothing was changed, for the reason that it tells.
    pub async fn submit(&self, caller: &Caller, mut change: Change) -> Result<Committed, Refusal> {
        let index = self.snapshot();
        let authority = self.authority_at(caller, &index)?;
        let rule = vet::admit(&authority, &index, &change)?;
        let ruling = self.rule(caller, &authority, &index, &mut change, (rule, true));
        let ruling = match ruling {
            Ok(ruling) => ruling,
            Err(refusal) => {
                self.tell_refusal(caller, &authority, change, &refusal).await;
                return Err(refusal);
            }
        };
        let change = self.with_effects(&index, change);
        drop(index);
        if self.must_wait_for_lock(&change) {
            return Ok(Committed {
                revision: 0,
                yes: false,
                outcome: Outcome::Resolve,
                entry: 0,
                results: Vec::new(),
            });
        }
        let delayed = self.delayed_locks(&change);
        if !delayed.is_empty() {
            return Err(Refusal::Txn(delayed));
        }
        let mut salt = [0; 16];
        rand::rng().fill_bytes(&mut salt);
        let proposal = Proposal {
            change,
            actor: actor(caller, &authority).into(),
            at: self.now(),
            salt,
            outcome: ruling.outcome,
            rule: ruling.rule,
            cause: None,
            scope: ruling.scope,
            credential: ruling.credential,
        };
        let timer = measure::timer(&proposal.change);
        let began = proposal.at;
        let committed = self.0.group.propose(proposal).await;
        if let Some(timer) = timer {
            timer.record(measure::millis(self.now().since(began)));
        }
        committed
    }

    /// Answers a read from the published index. What a known caller may not see is left out by whoever prints it.
    ///
    /// # Errors
    /// Those of [`Handle::authority`]: the caller's token is not known, or not any more.
    pub fn lookup(&self, caller: &Caller, query: &Query) -> Result<Answer, Refusal> {
        let at = self.snapshot();
        let answer = Answer {
            index: at.index_of(query),
            outcome: Outcome::Resolve,
            decided: None,
            known_leader: self.has_leader(),
            age: Duration::ZERO,
            authority: self.authority_at(caller, &at)?,
            at,
            way: None,
            filtered: false,
        };
        self.judged(caller, query, answer)
    }

    /// Answers a read when its index is above `after`, or when `patience` is over.
    ///
    /// A key or session that is missing answers at once when its table has moved past `after`, and then only when it
    /// appears: writes beside it wake nobody.
    ///
    /// # Errors
    /// As [`Handle::lookup`]; also when the token goes meanwhile.
    pub async fn wait(
        &self,
        caller: &Caller,
        query: &Query,
        after: u64,
        patience: Duration,
    ) -> Result<Answer, Refusal> {
        let first = self.lookup(caller, query)?;
        if first.index > after {
            return Ok(first);
        }
        let was_there = is_there(&first, query);
        // Whoever waits for minutes must not keep the index of its first look.
        drop(first);
        let patience = tokio::time::sleep(patience);
        tokio::pin!(patience);
        loop {
            let keys = self.snapshot().watched_by(query);
            let mut subscription = self.0.board.watches.subscribe(keys);
            let answer = self.lookup(caller, query)?;
            if answer.index > after && (was_there || is_there(&answer, query)) {
                return Ok(answer);
            }
            drop(answer);
            tokio::select! {
                () = subscription.woken() => {}
                () = &mut patience => return self.lookup(caller, query),
            }
        }
    }

    /// What a caller may do.
    ///
    /// # Errors
    /// [`Refusal::UnknownToken`] or [`Refusal::ExpiredToken`].
    pub fn authority(&self, caller: &Caller) -> Result<Authority, Refusal> {
        self.authority_at(caller, &self.snapshot())
    }

    fn authority_at(&self, caller: &Caller, index: &Index) -> Result<Authority, Refusal> {
        self.0.authorities.of(caller, index, &self.0.sealer, || self.now())
    }

    /// The scope of the datacenter itself.
    pub fn root(&self) -> ScopePath {
        self.0.governance.root().clone()
    }

    /// How access control is run.
    pub fn acl(&self) -> &AclSettings {
        self.0.authorities.settings()
    }

    /// The digest by which a secret's token is found: its record's second name.
    pub fn digest(&self, secret: &Secret) -> Box<str> {
        self.0.sealer.digest(secret.expose())
    }

    /// Seals a secret for the log and the store.
    pub fn seal(&self, secret: &Secret) -> SealedSecret {
        self.0.sealer.seal(secret.expose(), rand::random())
    }

    /// The secret that was sealed here; nothing when it was sealed elsewhere or was touched.
    pub fn unseal(&self, sealed: &SealedSecret) -> Option<Secret> {
        self.0.sealer.open(sealed)
    }

    /// The index as it is now.
    pub fn snapshot(&self) -> Arc<Index> {
        self.0.board.snapshot()
    }

    /// Whether the group has a leader now.
    pub fn has_leader(&self) -> bool {
        self.0.group.has_leader()
    }

    /// In which term this member leads, and since when.
    pub fn leads(&self) -> Leads {
        Leads { term: self.0.group.term(), since: self.0.opened }
    }

    /// Restarts the timer of a session; `false` when there is none of this id.
    pub fn renew(&self, session: &str) -> bool {
        let Some(row) = self.snapshot().session(session).cloned() else { return false };
        self.0.board.sessions().start(&row.session, self.now());
        self.0.board.sessions_changed.notify_one();
        true
    }

    /// The time, as this scope is told it.
    pub fn now(&self) -> Time {
        self.0.board.now()
    }

    /// Ends sessions as they run out, for ever.
    pub async fn expire_sessions(&self) {
        loop {
            let due = self.0.board.sessions().next_due();
            let wait = due.map_or(Duration::MAX, |due| due.since(self.now()));
            tokio::select! {
                () = tokio::time::sleep(wait) => self.close_expired().await,
                () = self.0.board.sessions_changed.notified() => {}
            }
        }
    }

    async fn close_expired(&self) {
        let expired = self.0.board.sessions().take_due(self.now());
        for id in expired {
            let change = Change::CloseSession { id: id.as_ref().into() };
            if let Err(refusal) = self.submit(&Caller::own(), change).await {
                tracing::warn!(%refusal, "an expired session could not be ended and is tried again");
                self.renew(&id);
            }
        }
    }

    /// Stops taking writes and lets the store come to rest.
    pub async fn stop(&self) {
        self.0.group.stop().await;
    }

    /// Whether a key's last holder ended so short ago that it cannot be taken yet.
    pub fn is_lock_delayed(&self, key: &str) -> bool {
        self.0.board.delays().holds(key, self.now())
    }

    /// The operations of a transaction that would take a key during a lock delay.
    fn delayed_locks(&self, change: &Change) -> Vec<TxnFault> {
        let Change::Txn(ops) = change else { return Vec::new() };
        let delayed = |(op, of): (usize, &TxnOp)| match of {
            TxnOp::Key(KeyOp { verb: KeyVerb::Lock, key, .. }) if self.is_lock_delayed(key) => {
                Some(TxnFault { op, why: Misfit::LockDelayed(key.clone()) })
            }
            _ => None,
        };
        ops.iter().enumerate().filter_map(delayed).collect()
    }

    /// A key whose last holder's session ended cannot be taken during that session's lock delay.
    fn must_wait_for_lock(&self, change: &Change) -> bool {
        match change {
            Change::Kv(KvChange::Put { key, when: PutWhen::Acquire(_), .. }) => {
                self.is_lock_delayed(key)
            }
            _ => false,
        }
    }
}

// === impl Answer ===

impl Answer {
    /// Whether a service is unknown: the only case in which somebody else may be asked about it. What is there and kept from
    /// the caller is not unknown, and neither is what the caller may not read at all.
    pub fn lacks_service(&self, name: &str) -> bool {
        self.outcome == Outcome::Resolve
            && !self.at.knows_service(name)
            && self.authority.allows(Act::service_read(name))
    }
}

/// How the lineage names who asks.
fn actor<'a>(caller: &Caller, authority: &'a Authority) -> &'a str {
    match authority.accessor() {
        Some(accessor) => accessor,
        None if caller.own => "self",
        None => "anonymous",
    }
}

/// Whether what was asked for exists, where a missing thing is waited for.
fn is_there(answer: &Answer, query: &Query) -> bool {
    match query {
        Query::Key(key) => answer.at.key(key).is_some(),
        Query::Session(id) => answer.at.session(id).is_some(),
        Query::Record { table, key } => answer.at.has_record(*table, key),
        _ => true,
    }
}
