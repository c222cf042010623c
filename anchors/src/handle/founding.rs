//! What access control needs to begin with: Consul's own policies, a manager's token, the anonymous token.

use tracing::{info, warn};
use uuid::Uuid;

use super::Handle;
use crate::acl::identity::{ANONYMOUS, ANONYMOUS_SECRET, GLOBAL_MANAGEMENT};
use crate::acl::{Policy, Token, bootstrap, is_bootstrapped};
use crate::caller::{Caller, Secret};
use crate::change::Change;
use crate::error::Refusal;
use crate::record::{AnyRecord, RecordChange, When};

impl Handle {
    /// Makes what is not there yet, in Consul's order, each in a write of its own; nothing while access control is off.
    ///
    /// # Errors
    /// [`Refusal`]: some of it is not there.
    pub async fn found_acl(&self) -> Result<(), Refusal> {
        if !self.acl().enabled {
            return Ok(());
        }
        for policy in Policy::builtin() {
            self.found_policy(policy).await?;
        }
        if let Some(secret) = self.acl().initial_management.clone() {
            self.found_management(&secret).await?;
        }
        let anonymous = Secret::new(ANONYMOUS_SECRET);
        if !self.has_token(&anonymous) {
            let token = self.token(ANONYMOUS, &anonymous, "Anonymous Token", &[]);
            self.write_records(vec![put(AnyRecord::Token(token.into()))]).await?;
        }
        Ok(())
    }

    /// A builtin policy keeps the name and the description that somebody gave it; its rules are Consul's.
    async fn found_policy(&self, builtin: Policy) -> Result<(), Refusal> {
        let index = self.snapshot();
        let there = index.record::<Policy>(&builtin.id).map(|row| &row.record);
        if there.is_some_and(|there| there.rules == builtin.rules) {
            return Ok(());
        }
        let policy = there.map_or_else(
            || builtin.clone(),
            |there| Policy { rules: builtin.rules.clone(), ..there.clone() },
        );
        self.write_records(vec![put(AnyRecord::Policy(policy.into()))]).await
    }

    async fn found_management(&self, secret: &Secret) -> Result<(), Refusal> {
        if Uuid::parse_str(secret.expose()).is_err() {
            warn!("an initial management token that is no UUID is deprecated");
        }
        if self.has_token(secret) {
            return Ok(());
        }
        let accessor = Uuid::new_v4().to_string();
        let token = self.token(&accessor, secret, "Initial Management Token", &[GLOBAL_MANAGEMENT]);
        let changes = if is_bootstrapped(&self.snapshot()) {
            vec![put(AnyRecord::Token(token.into()))]
        } else {
            bootstrap(token)
        };
        self.write_records(changes).await?;
        info!(accessor, "made the initial management token");
        Ok(())
    }

    fn has_token(&self, secret: &Secret) -> bool {
        self.snapshot().record_named::<Token>(&self.digest(secret)).is_some()
    }

    fn token(
        &self,
        accessor: &str,
        secret: &Secret,
        description: &str,
        policies: &[&str],
    ) -> Token {
        Token {
            description: description.into(),
            policies: policies.iter().map(|id| (*id).into()).collect(),
            ..Token::blank(accessor, self.seal(secret), self.now())
        }
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<(), Refusal> {
        self.submit(&Caller::own(), Change::Records(changes)).await.map(drop)
    }
}

fn put(record: AnyRecord) -> RecordChange {
    RecordChange::Put { record, when: When::Always }
}
