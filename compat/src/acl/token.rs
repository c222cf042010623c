//! Tokens: what may be created and what may be changed.

use std::time::Duration;

use proconsul_anchors::acl::{Policy, Role, Token};
use proconsul_anchors::clock::Time;
use proconsul_anchors::duration;
use proconsul_anchors::index::Index;
use proconsul_anchors::sealed::SealedSecret;

use crate::acl::{links, uuid};
use crate::go::time::Moment;
use crate::reject::acl::{AclReject, Owner};
use crate::wire::acl::token::TokenForm;

/// A token lives at least as long.
pub(crate) const TTL_MIN: Duration = Duration::from_secs(60);

/// UUIDs that nobody may choose.
const RESERVED: &str = "00000000-0000-0000-0000-0000000000";

/// Secrets that once stood for whole policies.
const ROOTS: [&str; 3] = ["allow", "deny", "manage"];

/// What a token's write is judged by.
pub(crate) struct Desk<'a> {
    /// The records as they are.
    pub(crate) index: &'a Index,
    /// Now.
    pub(crate) now: Time,
    /// What a secret's token is found by.
    pub(crate) digest: &'a dyn Fn(&str) -> Box<str>,
    /// Seals a secret.
    pub(crate) seal: &'a dyn Fn(&str) -> SealedSecret,
    /// Makes a UUID that nobody has yet.
    pub(crate) fresh: &'a dyn Fn() -> String,
}

// === impl Desk ===

impl Desk<'_> {
    /// The token that a form creates.
    pub(crate) fn create(&self, form: TokenForm) -> Result<Token, AclReject> {
        let accessor = self.choose(&form.accessor, "AccessorID")?;
        let secret = self.choose(&form.secret, "SecretID")?;
        let expires = self.expiry(&form)?;
        if !form.auth_method.is_empty() {
            return Err(AclReject::MethodOutsideLogin);
        }
        let blank = Token { local: form.local, expires, ..self.blank(accessor, &secret) };
        self.fill(form, blank)
    }

    /// A token that may do nothing.
    pub(crate) fn blank(&self, accessor: String, secret: &str) -> Token {
        Token::blank(accessor, (self.seal)(secret), self.now)
    }

    /// The token that a form makes of the one with its accessor.
    pub(crate) fn update(&self, form: TokenForm) -> Result<Token, AclReject> {
        uuid::check(&form.accessor).map_err(|_| AclReject::Accessor)?;
        if ROOTS.contains(&form.secret.as_str()) {
            return Err(AclReject::RootSecret);
        }
        let found = self.index.record::<Token>(&form.accessor.to_ascii_lowercase());
        let live = found.filter(|row| !is_expired(&row.record, self.now));
        let accessor = form.accessor.clone();
        let Some(row) = live else { return Err(AclReject::UnknownToken(accessor)) };
        let token = &row.record;
        if !form.secret.is_empty() && *(self.digest)(&form.secret) != *token.secret.digest() {
            return Err(AclReject::SecretChanged);
        }
        if form.local != token.local {
            return Err(AclReject::LocalChanged(accessor));
        }
        if !form.auth_method.is_empty() && *form.auth_method != *token.auth_method {
            return Err(AclReject::MethodChanged(accessor));
        }
        let same_expiry =
            form.expires.0.is_none_or(|given| token.expires.map(moment) == Some(given));
        if form.ttl.0 != 0 || !same_expiry {
            return Err(AclReject::ExpiryChanged(accessor));
        }
        self.fill(form, token.clone())
    }

    /// A copy of a token with ids of its own.
    pub(crate) fn copy(&self, token: &Token, description: String) -> Result<Token, AclReject> {
        if is_expired(token, self.now) {
            return Err(AclReject::Expired);
        }
        if !token.auth_method.is_empty() {
            return Err(AclReject::CloneOfLogin);
        }
        if let Some(expires) = token.expires {
            self.check_expiry(moment(expires))?;
        }
        let description =
            if description.is_empty() { token.description.clone() } else { description.into() };
        let policies = token.policies.iter().filter(|id| self.index.record::<Policy>(id).is_some());
        let roles = token.roles.iter().filter(|id| self.index.record::<Role>(id).is_some());
        Ok(Token {
            accessor: (self.fresh)().into(),
            secret: (self.seal)(&(self.fresh)()),
            name: "".into(),
            description,
            policies: policies.cloned().collect(),
            roles: roles.cloned().collect(),
            made: self.now,
            ..token.clone()
        })
    }

    /// The id that was chosen, or a fresh one.
    fn choose(&self, id: &str, field: &'static str) -> Result<String, AclReject> {
        if id.is_empty() {
            return Ok((self.fresh)());
        }
        if id.starts_with(RESERVED) {
            return Err(AclReject::TokenIdReserved(field));
        }
        uuid::check(id).map_err(|_| AclReject::TokenId(field))?;
        if self.is_taken(id) { Err(AclReject::TokenIdTaken(field)) } else { Ok(id.to_owned()) }
    }

    /// Whether a token has this accessor or this secret.
    pub(crate) fn is_taken(&self, id: &str) -> bool {
        self.index.record::<Token>(&id.to_ascii_lowercase()).is_some()
            || self.index.record_named::<Token>(&(self.digest)(id)).is_some()
    }

    fn expiry(&self, form: &TokenForm) -> Result<Option<Time>, AclReject> {
        let ttl = form.ttl.0;
        let given = form.expires.0;
        if ttl < 0 {
            return Err(AclReject::NegativeTtl(duration::show(ttl)));
        }
        if ttl > 0 && given.is_some() {
            return Err(AclReject::TtlAndTime);
        }
        let after = (ttl > 0).then(|| moment(self.now) + i128::from(ttl));
        after.or(given).map(|expires| self.check_expiry(expires)).transpose()
    }

    fn check_expiry(&self, expires: Moment) -> Result<Time, AclReject> {
        let left = expires - moment(self.now);
        if left < 0 {
            return Err(AclReject::ExpiresBefore);
        }
        let was = || duration::show(i64::try_from(left).unwrap_or(i64::MAX));
        if left < nanos(TTL_MIN) {
            return Err(AclReject::ExpiresSoon { min: duration::show_wait(TTL_MIN), was: was() });
        }
        Ok(Time(u64::try_from(expires).unwrap_or(u64::MAX)))
    }

    /// Takes over what may be changed at any time.
    fn fill(&self, form: TokenForm, token: Token) -> Result<Token, AclReject> {
        let roles = links::roles(self.index, form.roles.into_iter().map(Into::into))?;
        let policies = form.policies.into_iter().map(Into::into);
        let policies = links::policies(self.index, policies, Owner::Token)?;
        Ok(Token {
            name: form.name.into(),
            description: form.description.into(),
            roles,
            policies,
            service_identities: links::services(
                form.service_identities.0,
                Owner::Token,
                token.local,
            )?,
            node_identities: links::nodes(form.node_identities.0, Owner::Token)?,
            templated_policies: links::templated(form.templated_policies.0, Owner::Token)?,
            ..token
        })
    }
}

/// Whether a token has expired.
pub(crate) fn is_expired(token: &Token, now: Time) -> bool {
    token.expires.is_some_and(|expires| expires < now)
}

fn moment(time: Time) -> Moment {
    Moment::from(time.0)
}

fn nanos(duration: Duration) -> Moment {
    Moment::try_from(duration.as_nanos()).unwrap_or(Moment::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::acl::testing::{NOW, digest, id, index, policy, seal, token};
    use crate::wire::decode::{Hint, body};
    use proconsul_anchors::record::AnyRecord;

    const SECRET: &str = "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb";

    fn with_desk<T>(ask: impl FnOnce(&Desk<'_>) -> T) -> T {
        let expired = Token { expires: Some(Time(NOW.0 - 1)), ..token(3, "old") };
        let login = Token { auth_method: "m".into(), ..token(4, "login") };
        let tokens = [token(2, SECRET), expired, login].map(|token| AnyRecord::Token(token.into()));
        let records = tokens.into_iter().chain([policy(1, "Readers")]).collect();
        ask(&Desk {
            index: &index(records),
            now: NOW,
            digest: &digest,
            seal: &seal,
            fresh: &|| id(99),
        })
    }

    fn form(fields: &Value) -> TokenForm {
        body(fields.to_string().as_bytes(), Hint::None).unwrap()
    }

    #[test]
    fn new_tokens_are_refused_in_consuls_words() {
        let check = |fields: Value, told: &str| {
            let made = with_desk(|desk| desk.create(form(&fields)));
            assert_eq!(
                made.map(drop).map_err(|reject| reject.to_string()),
                Err(told.into()),
                "{fields}"
            );
        };
        check(json!({"AccessorID": "x"}), "Invalid Token: AccessorID - not a valid UUID");
        check(
            json!({"AccessorID": id(2).to_uppercase()}),
            "Invalid Token: AccessorID is already in use",
        );
        check(json!({"AccessorID": SECRET}), "Invalid Token: AccessorID is already in use");
        check(json!({"SecretID": id(2)}), "Invalid Token: SecretID is already in use");
        check(
            json!({"ExpirationTTL": "30s"}),
            "ExpirationTime cannot be less than 1m0s in the future (was 30s)",
        );
        check(json!({"ExpirationTTL": "-1s"}), "Token Expiration TTL '-1s' should be > 0");
        check(
            json!({"ExpirationTime": "2000-01-01T00:00:00Z"}),
            "ExpirationTime cannot be before CreateTime",
        );
        check(json!({"AuthMethod": "m"}), "AuthMethod field is disallowed outside of login");
        check(json!({"Policies": [{"Name": "nope"}]}), "No such ACL policy with name \"nope\"");
        check(
            json!({"Local": true, "ServiceIdentities": [{"ServiceName": "a", "Datacenters": ["x"]}]}),
            "Service identity \"a\" cannot specify a list of datacenters on a local token",
        );
    }

    #[test]
    fn a_new_token_has_what_was_asked_for() {
        let fields = json!({
            "Policies": [{"Name": "readers"}, {"ID": id(1)}], "ExpirationTTL": "2m", "Local": true,
            "ServiceIdentities": [{"ServiceName": "web"}, {"ServiceName": "web"}],
            "TemplatedPolicies": [{"TemplateName": "builtin/dns"}, {"TemplateName": "builtin/dns"}],
        });
        let made = with_desk(|desk| desk.create(form(&fields))).unwrap();
        assert_eq!(*made.policies, [id(1).into()]);
        assert_eq!(made.expires, Some(NOW + Duration::from_secs(120)));
        assert!(
            made.local && made.service_identities.len() == 1 && made.templated_policies.len() == 1
        );
    }

    #[test]
    fn changes_keep_what_may_not_change() {
        let check = |accessor: String, fields: Value, told: Result<(), String>| {
            let mut form = form(&fields);
            form.accessor = accessor;
            let changed = with_desk(|desk| desk.update(form));
            assert_eq!(changed.map(drop).map_err(|reject| reject.to_string()), told, "{fields}");
        };
        check(id(2), json!({"Description": "x", "SecretID": SECRET}), Ok(()));
        check(
            id(2),
            json!({"SecretID": "<hidden>"}),
            Err("Changing a token's SecretID is not permitted".into()),
        );
        check(id(2), json!({"Local": true}), Err(format!("Cannot toggle local mode of {}", id(2))));
        check(
            id(2),
            json!({"ExpirationTTL": "5m"}),
            Err(format!("Cannot change expiration time of {}", id(2))),
        );
        check(id(3), json!({}), Err(format!("Cannot find token \"{}\"", id(3))));
        check("x".into(), json!({}), Err("AccessorID is not a valid UUID".into()));
    }

    #[test]
    fn copies_are_made_of_tokens_that_nobody_logged_in_for() {
        let copy = |of: &Token| with_desk(|desk| desk.copy(of, String::new()));
        let gone = Token { policies: vec![id(1).into(), id(50).into()], ..token(2, SECRET) };
        assert_eq!(*copy(&gone).unwrap().policies, [id(1).into()]);
        let login = Token { auth_method: "m".into(), ..token(4, "login") };
        assert_eq!(
            copy(&login).unwrap_err().to_string(),
            "Cannot clone a token created from an auth method"
        );
    }
}
