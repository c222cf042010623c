//! Records for tests.

use proconsul_anchors::acl::{AuthMethod, BindingRule, Policy, Role, Token};
use proconsul_anchors::change::Change;
use proconsul_anchors::clock::Time;
use proconsul_anchors::index::{Index, Stamp};
use proconsul_anchors::record::{AnyRecord, RecordChange, When};
use proconsul_anchors::sealed::{SealedSecret, Sealer};

/// When it is in tests.
pub(crate) const NOW: Time = Time(1_000_000_000_000_000_000);

/// Whom sealed secrets belong to.
fn sealer() -> Sealer {
    Sealer::of_seed(&[7; 32])
}

pub(crate) fn seal(secret: &str) -> SealedSecret {
    sealer().seal(secret, [1; 12])
}

pub(crate) fn digest(secret: &str) -> Box<str> {
    sealer().digest(secret)
}

/// An index that holds these records.
pub(crate) fn index(records: Vec<AnyRecord>) -> Index {
    let mut index = Index::new();
    let stamp = Stamp { revision: 5, seq: 1, at: NOW, salt: [0; 16] };
    let put = |record| RecordChange::Put { record, when: When::Always };
    let applied = index.apply(&stamp, &Change::Records(records.into_iter().map(put).collect()));
    assert!(matches!(applied.verdict, Ok(true)));
    index
}

pub(crate) fn id(last: u8) -> String {
    format!("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaa{last:02x}")
}

pub(crate) fn policy(last: u8, name: &str) -> AnyRecord {
    let policy = Policy {
        id: id(last).into(),
        name: name.into(),
        description: "".into(),
        rules: "".into(),
        datacenters: None,
    };
    AnyRecord::Policy(policy.into())
}

pub(crate) fn role(last: u8, name: &str) -> AnyRecord {
    let role = Role {
        id: id(last).into(),
        name: name.into(),
        description: "".into(),
        policies: Vec::new(),
        service_identities: Vec::new(),
        node_identities: Vec::new(),
        templated_policies: Vec::new(),
    };
    AnyRecord::Role(role.into())
}

pub(crate) fn token(last: u8, secret: &str) -> Token {
    Token::blank(id(last), seal(secret), NOW)
}

pub(crate) fn rule(last: u8, selector: &str, bind: (&str, &str, Option<&str>)) -> AnyRecord {
    let (bind_type, bind_name, bind_vars) = bind;
    let rule = BindingRule {
        id: id(last).into(),
        description: "".into(),
        method: "m".into(),
        selector: selector.into(),
        bind_type: bind_type.into(),
        bind_name: bind_name.into(),
        bind_vars: bind_vars.map(Into::into),
    };
    AnyRecord::BindingRule(rule.into())
}

pub(crate) fn method(name: &str) -> AnyRecord {
    let method = AuthMethod {
        name: name.into(),
        kind: "jwt".into(),
        display_name: "".into(),
        description: "".into(),
        max_token_ttl: 0,
        token_locality: "".into(),
        token_name_format: "".into(),
        config: seal("null"),
    };
    AnyRecord::AuthMethod(method.into())
}
