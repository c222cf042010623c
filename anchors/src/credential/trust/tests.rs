use ed25519_dalek::SigningKey;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::super::dsse;
use super::super::statement::{CREDENTIAL_TYPE, STATEMENT_VERSION, Statement, at_second};
use super::*;

const ACCESSOR: &str = "accessor:0d2a5ba6-4a5b-4d6e-8a39-5bd3e0b64c21";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn subject(seed: u8) -> Subject {
    Subject::Key(key(seed).verifying_key())
}

fn path(text: &str) -> ScopePath {
    ScopePath::parse(text).unwrap()
}

/// A statement that holds from second 1000 to 2000.
fn says(role: Role, scope: &str, subject: Subject, issuer: Option<&CredentialRecord>) -> Statement {
    Statement {
        version: STATEMENT_VERSION,
        role,
        scope: path(scope),
        subject,
        issuer: issuer.map(|issuer| issuer.id.clone()),
        actions: vec![EVERY_ACTION.into()],
        not_before: 1000,
        not_after: 2000,
    }
}

/// A root of key 1, an anchor of key 2 and a workload that has a token.
fn three() -> [CredentialRecord; 3] {
    let root = says(Role::Root, "dc1", subject(1), None).sign(&key(1));
    let anchor = says(Role::Anchor, "dc1", subject(2), Some(&root)).sign(&key(1));
    let token = ACCESSOR.parse().unwrap();
    let workload = says(Role::Workload, "dc1/a", token, Some(&anchor)).sign(&key(2));
    [root, anchor, workload]
}

fn trust(records: &[CredentialRecord]) -> Trust {
    Trust::of(records, Roots::Known, &Trust::default())
}

/// What is thought of the last of some records at a second: the rule, and the fault.
fn verdict(
    records: &[CredentialRecord],
    second: u64,
) -> Result<(), (&'static str, CredentialFault)> {
    let trust = trust(records);
    let last = trust.credential(&records.last().unwrap().id).unwrap();
    trust.stands(last, at_second(second)).map_err(|uncovered| (uncovered.rule, uncovered.fault))
}

#[test]
fn a_chain_to_a_root_holds_in_its_time() {
    let three = three();
    // 60 seconds earlier by the issuer's clock.
    let cases = [(939, false), (940, true), (1000, true), (1999, true), (2000, false)];
    for (second, holds) in cases {
        assert_eq!(verdict(&three, second).is_ok(), holds, "{second}");
    }
}

#[test]
fn the_first_thing_that_is_wrong_is_told() {
    use CredentialFault as F;
    type Touch = fn(&mut Vec<CredentialRecord>);
    type Is = fn(&F) -> bool;
    fn again(records: &mut Vec<CredentialRecord>, touch: impl FnOnce(&mut Statement), by: u8) {
        let last = records.pop().unwrap();
        let payload = Envelope::parse(last.envelope.as_bytes()).unwrap().payload;
        let mut statement = Statement::parse(&payload).unwrap();
        touch(&mut statement);
        records.push(statement.sign(&key(by)));
    }
    let cases: &[(&str, Touch, &str, Is)] = &[
        (
            "revoked",
            |r| r[2].revoked = Some(at_second(1400)),
            "credential/revoked",
            |f| matches!(f, F::Revoked(_)),
        ),
        (
            "issuer revoked",
            |r| r[1].revoked = Some(at_second(1)),
            "credential/issuer",
            |f| matches!(f, F::Revoked(_)),
        ),
        (
            "root revoked",
            |r| r[0].revoked = Some(at_second(1)),
            "credential/issuer",
            |f| matches!(f, F::Revoked(_)),
        ),
        (
            "expired",
            |r| again(r, |s| s.not_after = 1200, 2),
            "credential/expired",
            |f| matches!(f, F::Expired(_)),
        ),
        (
            "early",
            |r| again(r, |s| s.not_before = 1700, 2),
            "credential/early",
            |f| matches!(f, F::NotYet(_)),
        ),
        (
            "signed by another",
            |r| again(r, |_| {}, 3),
            "credential/invalid",
            |f| matches!(f, F::Signature(_)),
        ),
        (
            "scope of others",
            |r| again(r, |s| s.scope = path("eu"), 2),
            "credential/invalid",
            |f| matches!(f, F::OutsideScope { .. }),
        ),
        (
            "own anchor",
            |r| {
                again(
                    r,
                    |s| (s.role, s.scope, s.subject) = (Role::Anchor, path("dc1"), subject(3)),
                    2,
                )
            },
            "credential/invalid",
            |f| matches!(f, F::NotCompetent { .. }),
        ),
        (
            "a policy's",
            |r| again(r, |s| s.role = Role::Policy, 2),
            "credential/invalid",
            |f| matches!(f, F::NotCompetent { .. }),
        ),
        (
            "a token as anchor",
            |r| again(r, |s| s.role = Role::Anchor, 2),
            "credential/invalid",
            |f| matches!(f, F::NeedsKey { .. }),
        ),
        (
            "of nobody",
            |r| again(r, |s| s.issuer = Some("ff".into()), 2),
            "credential/invalid",
            |f| matches!(f, F::UnknownIssuer(_)),
        ),
        (
            "kept otherwise",
            |r| r[2].scope = path("dc1"),
            "credential/invalid",
            |f| matches!(f, F::Differs(_)),
        ),
        (
            "kept under another id",
            |r| r[2].id = "aa".into(),
            "credential/invalid",
            |f| matches!(f, F::Differs(_)),
        ),
        (
            "its own issuer",
            |r| r[2].issuer = r[2].id.clone(),
            "credential/invalid",
            |f| matches!(f, F::Differs(_) | F::Cycle(_)),
        ),
        (
            "a circle",
            |r| r[1].issuer = r[2].id.clone(),
            "credential/invalid",
            |f| matches!(f, F::Cycle(_)),
        ),
        (
            "no envelope",
            |r| r[2].envelope = "{".into(),
            "credential/invalid",
            |f| matches!(f, F::Envelope(_)),
        ),
    ];
    for (what, touch, rule, is) in cases {
        let mut records = three().to_vec();
        touch(&mut records);
        let (found, fault) = verdict(&records, 1500).expect_err(what);
        assert!(found == *rule && is(&fault), "{what}: {found} {fault}");
    }
}

#[test]
fn an_issuer_allows_no_more_than_it_may() {
    let cases: [(&[&str], &[&str], bool); 9] = [
        (&["service:*"], &["service:read"], true),
        (&["service:*"], &["service:*"], true),
        (&["service:*"], &["*"], false),
        (&["service*"], &["service:read"], false),
        (&["*"], &["*"], true),
        (&["*"], &["register"], true),
        (&["register", "read"], &["read"], true),
        (&["register"], &["read"], false),
        (&["register"], &["*"], false),
    ];
    for (of_issuer, of_issued, holds) in cases {
        let actions = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
        let [root, ..] = three();
        let anchor = Statement {
            actions: actions(of_issuer),
            ..says(Role::Anchor, "dc1", subject(2), Some(&root))
        };
        let anchor = anchor.sign(&key(1));
        let workload = Statement {
            actions: actions(of_issued),
            ..says(Role::Workload, "dc1", subject(3), Some(&anchor))
        };
        let records = [root, anchor, workload.sign(&key(2))];
        assert_eq!(verdict(&records, 1500).is_ok(), holds, "{of_issuer:?} {of_issued:?}");
    }
}

#[test]
fn a_chain_is_bounded() {
    let mut records = vec![says(Role::Root, "dc1", subject(1), None).sign(&key(1))];
    let mut scope = "dc1".to_owned();
    while records.len() <= CHAIN_MAX {
        let issuer = records.last().cloned();
        records.push(says(Role::Anchor, &scope, subject(1), issuer.as_ref()).sign(&key(1)));
        scope.push_str("/x");
        let expected =
            if records.len() <= CHAIN_MAX { Ok(()) } else { Err(CredentialFault::TooLong) };
        let found = verdict(&records, 1500).map_err(|(_, fault)| fault);
        assert_eq!(found, expected, "{}", records.len());
    }
}

#[test]
fn a_root_must_be_recognised_where_it_was_not_chosen() {
    let three = three();
    for (seed, holds) in [(1, true), (2, false)] {
        let keys = [key(seed).verifying_key()];
        let trust = Trust::of(&three, Roots::Keys(&keys), &Trust::default());
        let last = trust.credential(&three[2].id).unwrap();
        assert_eq!(trust.stands(last, at_second(1500)).is_ok(), holds, "{seed}");
    }
}

#[test]
fn a_subject_speaks_for_the_scope_of_its_credential() {
    let [root, anchor, workload] = three();
    let records = [root, anchor, workload];
    let trust = trust(&records);
    let now = at_second(1500);
    assert!(
        matches!(trust.speaks(ACCESSOR, now), Spoken::For(known) if known.scope == path("dc1/a"))
    );
    assert!(matches!(trust.speaks("accessor:nobody", now), Spoken::Unbound));
    assert!(matches!(trust.speaks(ACCESSOR, at_second(2500)), Spoken::Refused(_)));
    let cases = [
        ("dc1/a", Ok(())),
        ("dc1/a/b", Ok(())),
        ("dc1", Err("credential/scope")),
        ("dc1/ab", Err("credential/scope")),
    ];
    for (scope, expected) in cases {
        let found = trust.covering(ACCESSOR, &path(scope), "register", now);
        assert_eq!(
            found.map(|known| assert!(known.is_some())).map_err(|u| u.rule),
            expected,
            "{scope}"
        );
    }
    let last = trust.credential(&records[2].id).unwrap();
    assert_eq!(trust.until(last, now), Some(at_second(2000)));
}

/// The one that holds is found among those that do not.
#[test]
fn one_credential_that_holds_is_enough() {
    let [root, anchor, mut workload] = three();
    workload.revoked = Some(at_second(1200));
    let token = ACCESSOR.parse().unwrap();
    let other =
        Statement { not_before: 900, ..says(Role::Workload, "dc1/b", token, Some(&anchor)) };
    let trust = trust(&[root, anchor, workload, other.sign(&key(2))]);
    let spoken = trust.speaks(ACCESSOR, at_second(1500));
    assert!(matches!(spoken, Spoken::For(known) if known.scope == path("dc1/b")));
}

/// What is believed does not depend on what was found out before.
#[test]
fn what_was_found_out_before_is_used_for_the_same_statements_only() {
    let three = three();
    let before = trust(&three);
    let mut touched = three.clone();
    touched[2] = {
        let envelope = Envelope::parse(touched[2].envelope.as_bytes()).unwrap();
        let forged = dsse::sign(CREDENTIAL_TYPE, envelope.payload, &key(9));
        CredentialRecord { envelope: forged.to_json().into(), ..touched[2].clone() }
    };
    for (records, holds) in [(&three, true), (&touched, false)] {
        let trust = Trust::of(records, Roots::Known, &before);
        let last = trust.credential(&three[2].id).unwrap();
        assert_eq!(trust.stands(last, at_second(1500)).is_ok(), holds);
    }
}

#[test]
fn what_is_no_statement_is_named() {
    let [_, anchor, _] = three();
    let good = says(Role::Workload, "dc1", subject(3), Some(&anchor));
    let good: serde_json::Value = serde_json::from_slice(&good.payload()).unwrap();
    let cases = [
        ("role", serde_json::json!("emperor"), "unknown variant `emperor`"),
        ("version", serde_json::json!(2), "version is 2"),
        ("scope", serde_json::json!("DC1"), "label \"DC1\""),
        ("subject", serde_json::json!("web"), "subject \"web\""),
        ("subject", serde_json::json!(format!("ed25519:{}", "00".repeat(32))), "must be ed25519:"),
        ("actions", serde_json::json!([]), "actions has 0"),
        ("actions", serde_json::json!(vec!["x"; 65]), "actions has 65"),
        ("actions", serde_json::json!(["x".repeat(65)]), "65 bytes"),
        ("not_after", serde_json::json!(1000), "not_after is not after"),
        ("not_after", serde_json::json!(u64::MAX), "not_after is after"),
        ("not_before", serde_json::json!(-1), "invalid value"),
        ("more", serde_json::json!(1), "unknown field `more`"),
    ];
    for (field, value, expected) in cases {
        let mut bad = good.clone();
        bad[field] = value;
        let fault = Statement::parse(bad.to_string().as_bytes()).unwrap_err().to_string();
        assert!(fault.contains(expected), "{field}: {fault}");
    }
}

#[test]
fn an_endless_chain_is_not_read() {
    let long = format!(r#"{{"payload":"{}"}}"#, "A".repeat(10 << 20));
    let fault = CredentialRecord::parse(long.as_bytes()).unwrap_err();
    assert!(matches!(fault, CredentialFault::Envelope(dsse::DsseFault::TooLarge { .. })));
}

/// A world of credentials, some of them wrong, beside a plain model of what holds.
#[test]
fn random_chains_are_judged_as_by_the_plain_model() {
    let mut held = 0;
    for seed in 0..40 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut before = Trust::default();
        let mut records: Vec<CredentialRecord> = Vec::new();
        for _ in 0..20 {
            grow(&mut records, &mut rng);
            let trust = Trust::of(&records, Roots::Known, &before);
            for record in &records {
                for second in [500, 1100, 1500, 1900] {
                    let known = trust.credential(&record.id).unwrap();
                    let stands = trust.stands(known, at_second(second));
                    let model = model(&records, record, at_second(second), CHAIN_MAX);
                    assert_eq!(stands.is_ok(), model, "{seed} {second} {record:?}: {stands:?}");
                    held += usize::from(model);
                }
            }
            before = trust;
        }
    }
    assert!(held > 500, "the model must say yes now and then: {held}");
}

/// One more credential, or something happens to one that is there.
fn grow(records: &mut Vec<CredentialRecord>, rng: &mut StdRng) {
    const ROLES: [Role; 7] = [
        Role::Anchor,
        Role::Workload,
        Role::Root,
        Role::Policy,
        Role::Approver,
        Role::Peer,
        Role::Witness,
    ];
    let at = rng.random_range(0..records.len().max(1));
    match rng.random_range(0..12) {
        0 if !records.is_empty() => {
            records[at].revoked = Some(at_second(rng.random_range(1000..2000)))
        }
        1 if !records.is_empty() => drop(records.remove(at)),
        2 if !records.is_empty() => records[at].actions = vec!["*".into()],
        _ => {
            let issuer = records.get(at).filter(|_| rng.random_range(0..6) > 0).cloned();
            let role = match &issuer {
                None => Role::Root,
                Some(_) => ROLES[rng.random_range(0..9_usize).min(8) % 7],
            };
            let scope = ["dc1", "dc1/a", "dc1/a/b", "dc1/b", "eu"][rng.random_range(0..5)];
            let own = rng.random_range(1..5);
            let actions: &[&str] =
                [&["*"][..], &["*"], &["read"], &["read", "register"]][rng.random_range(0..4)];
            let statement = Statement {
                actions: actions.iter().map(|name| (*name).into()).collect(),
                not_before: rng.random_range(900..1200),
                not_after: rng.random_range(1400..2000),
                ..says(role, scope, subject(own), issuer.as_ref())
            };
            let theirs = issuer.as_ref().and_then(|issuer| {
                (1..5).find(|seed| *issuer.subject == *subject(*seed).to_string())
            });
            let signer = if rng.random_range(0..10) == 0 { 7 } else { theirs.unwrap_or(own) };
            let record = statement.sign(&key(signer));
            records.retain(|there| there.id != record.id);
            records.push(record);
        }
    }
}

/// The same rules, said again without any of the code above.
fn model(records: &[CredentialRecord], record: &CredentialRecord, now: Time, steps: usize) -> bool {
    let envelope: serde_json::Value = serde_json::from_str(&record.envelope).unwrap();
    let payload = Envelope::parse(record.envelope.as_bytes()).unwrap().payload;
    let said: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let kept = serde_json::json!({
        "version": 1, "role": record.role, "scope": record.scope, "subject": record.subject,
        "issuer": (record.issuer != record.id).then_some(&record.issuer), "actions": record.actions,
        "not_before": record.not_before.0 / 1_000_000_000, "not_after": record.not_after.0 / 1_000_000_000,
    });
    let in_time = record.not_before.0.saturating_sub(60_000_000_000) <= now.0
        && now < record.not_after
        && record.revoked.is_none_or(|revoked| now < revoked);
    if steps == 0
        || said != kept
        || !in_time
        || envelope["signatures"].as_array().unwrap().len() != 1
    {
        return false;
    }
    let signed_by = |subject: &str| {
        let envelope = Envelope::parse(record.envelope.as_bytes()).unwrap();
        (1..8).any(|seed| {
            subject == subject_text(seed) && envelope.is_signed_by(&key(seed).verifying_key())
        })
    };
    if record.issuer == record.id {
        return record.role == Role::Root && signed_by(&record.subject);
    }
    let Some(issuer) = records.iter().find(|there| there.id == record.issuer) else { return false };
    let competent = match (issuer.role, record.role) {
        (Role::Root, role) => role != Role::Root,
        (Role::Anchor, Role::Anchor) => issuer.scope != record.scope,
        (Role::Policy, Role::Approver)
        | (Role::Anchor, Role::Peer | Role::Workload | Role::Witness) => true,
        _ => false,
    };
    let within = format!("{}/", record.scope).starts_with(&format!("{}/", issuer.scope));
    let any = issuer.actions.iter().any(|any| **any == *"*");
    competent
        && within
        && record.actions.iter().all(|action| any || issuer.actions.contains(action))
        && signed_by(&issuer.subject)
        && model(records, issuer, now, steps - 1)
}

fn subject_text(seed: u8) -> String {
    subject(seed).to_string()
}
