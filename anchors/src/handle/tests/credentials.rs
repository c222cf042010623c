use ed25519_dalek::SigningKey;

use super::super::{Answered, CredentialError, Wish};
use super::guard::{MANAGER, bearer, guarded};
use super::*;
use crate::acl::{DefaultPolicy, Token};
use crate::credential::dsse;
use crate::credential::offline::{OfflineFault, Taxonomy};
use crate::credential::statement::{Statement, Subject, at_second};
use crate::credential::trust::Spoken;
use crate::credential::{CredentialFault, CredentialRecord, Role};
use crate::lineage::note;
use crate::record::{AnyRecord, RecordChange, TableId, When};
use crate::scope::{NameRange, Scope};

const ACCESSOR: &str = "accessor:0d2a5ba6-4a5b-4d6e-8a39-5bd3e0b64c21";
/// Seconds of a day.
const DAY: u64 = 86_400;

fn wish(role: Role, scope: &str, subject: &str) -> Wish {
    Wish {
        role,
        scope: ScopePath::parse(scope).unwrap(),
        subject: subject.parse().unwrap(),
        actions: Vec::new(),
        not_before: None,
        not_after: None,
        issuer: None,
    }
}

fn key_subject(seed: u8) -> String {
    Subject::Key(SigningKey::from_bytes(&[seed; 32]).verifying_key()).to_string()
}

/// A scope, long after 1970.
async fn opened() -> (Handle, Arc<Moved>) {
    let (handle, clock) = open().await;
    set(&clock, 1_000 * DAY);
    (handle, clock)
}

fn set(clock: &Moved, second: u64) {
    clock.0.store(at_second(second).0, Ordering::Relaxed);
}

#[tokio::test]
async fn nothing_is_written_before_a_credential_is_asked_for_and_then_once() {
    let (handle, _clock) = opened().await;
    assert_eq!(handle.snapshot().table_mark(TableId::Credential), 0);
    handle.found_trust().await.unwrap();
    let revision = handle.snapshot().revision();
    handle.found_trust().await.unwrap();
    assert_eq!(handle.snapshot().revision(), revision);
    let trust = handle.trust();
    let roles: Vec<Role> = trust.credentials().map(|known| known.role).collect();
    assert!(roles.len() == 2 && roles.contains(&Role::Root) && roles.contains(&Role::Anchor));
    assert!(trust.credentials().all(|known| trust.stands(known, handle.now()).is_ok()));
}

#[tokio::test]
async fn a_workload_speaks_until_its_credential_or_its_issuer_is_over() {
    let (handle, clock) = opened().await;
    let own = Caller::own();
    let issued = handle.issue(&own, wish(Role::Workload, "dc1/a", ACCESSOR)).await.unwrap();
    let speaks = |handle: &Handle| match handle.trust().speaks(ACCESSOR, handle.now()) {
        Spoken::For(known) => Ok(known.id.clone()),
        Spoken::Refused(uncovered) => Err(uncovered.rule),
        Spoken::Unbound => Err("unbound"),
    };
    assert_eq!(speaks(&handle), Ok(issued.id.clone()));
    set(&clock, 1_030 * DAY);
    assert_eq!(speaks(&handle), Err("credential/expired"));
    let again = handle.rotate(&own, &issued.id, None, Duration::ZERO).await.unwrap();
    assert_eq!(speaks(&handle), Ok(again.id.clone()));
    let revoked = handle.revoke(&own, &again.issuer, handle.now()).await.unwrap();
    assert_eq!(revoked.role, Role::Anchor);
    assert_eq!(speaks(&handle), Err("credential/issuer"));
    // Another anchor takes its place; what the former one issued stays refused.
    set(&clock, 1_031 * DAY);
    handle.found_trust().await.unwrap();
    assert_eq!(speaks(&handle), Err("credential/issuer"));
    let third = handle.rotate(&own, &again.id, None, Duration::ZERO).await.unwrap();
    assert_ne!(third.issuer, again.issuer);
    assert_eq!(speaks(&handle), Ok(third.id));
}

#[tokio::test]
async fn a_former_credential_holds_beside_its_successor_for_as_long_as_it_is_said() {
    let (handle, clock) = opened().await;
    let own = Caller::own();
    let first = handle.issue(&own, wish(Role::Peer, "dc1", &key_subject(5))).await.unwrap();
    set(&clock, 1_001 * DAY);
    let next = Some(key_subject(6).parse().unwrap());
    let overlap = Duration::from_secs(DAY);
    let second = handle.rotate(&own, &first.id, next, overlap).await.unwrap();
    assert_eq!(*second.subject, *key_subject(6));
    for (day, former, latter) in [(1_001, true, true), (1_002, false, true)] {
        set(&clock, day * DAY);
        let trust = handle.trust();
        let holds = |id: &str| {
            trust.credential(id).is_some_and(|known| trust.stands(known, handle.now()).is_ok())
        };
        assert_eq!((holds(&first.id), holds(&second.id)), (former, latter), "{day}");
    }
}

#[tokio::test]
async fn what_cannot_be_issued_is_told_by_its_field() {
    let (handle, _clock) = opened().await;
    let issue = async |wish| handle.issue(&Caller::own(), wish).await.unwrap_err();
    let field = |error: CredentialError| match error {
        CredentialError::Field { field, .. } => field.to_owned(),
        CredentialError::Fault(fault) => {
            format!("{fault:?}").split([' ', '(']).next().unwrap().into()
        }
        other => format!("{other:?}"),
    };
    let workload = || wish(Role::Workload, "dc1/a", ACCESSOR);
    let far = Some(at_second(40_000 * DAY));
    let cases = [
        (wish(Role::Root, "dc1", &key_subject(2)), "Role"),
        (wish(Role::Anchor, "dc1/a", ACCESSOR), "NeedsKey"),
        (wish(Role::Workload, "eu", ACCESSOR), "OutsideScope"),
        (Wish { not_after: far, ..workload() }, "NotAfter"),
        (Wish { not_after: Some(Time(1)), ..workload() }, "NotAfter"),
        (Wish { issuer: Some("00".into()), ..workload() }, "Issuer"),
        (Wish { actions: vec!["x".into(); 65], ..workload() }, "Statement"),
    ];
    for (wish, expected) in cases {
        let shown = format!("{wish:?}");
        assert_eq!(field(issue(wish).await), expected, "{shown}");
    }
    let foreign = handle.issue(&Caller::own(), wish(Role::Anchor, "dc1/a", &key_subject(9))).await;
    let by_foreign = Wish { issuer: Some(foreign.unwrap().id), ..workload() };
    assert_eq!(field(issue(by_foreign).await), "Issuer");
}

/// Former checkpoints and attestations stay what they were; new ones are the new key's.
#[tokio::test]
async fn the_anchors_key_is_rotated() {
    let (handle, clock) = opened().await;
    let own = Caller::own();
    let workload = handle.issue(&own, wish(Role::Workload, "dc1", ACCESSOR)).await.unwrap();
    let keys = || handle.0.group.lineage().verifier_key("dc1");
    let (before, note) = (keys(), handle.0.group.checkpoint().await.unwrap());
    set(&clock, 1_001 * DAY);
    let rotated = handle.rotate(&own, &workload.issuer, None, Duration::from_secs(30 * DAY)).await;
    let rotated = rotated.unwrap();
    let after = handle.0.group.checkpoint().await.unwrap();
    let [first, second] = [before, keys()].map(|text| note::public_key(&text).unwrap());
    assert_ne!(first, second);
    assert_eq!(rotated.subject.parse::<Subject>().unwrap().key(), Some(&second));
    for (note, key, holds) in [
        (&note, first, true),
        (&note, second, false),
        (&after, first, false),
        (&after, second, true),
    ] {
        assert_eq!(note::verify(note, "dc1", &key).is_ok(), holds);
    }
    let again = handle.issue(&own, wish(Role::Workload, "dc1/a", ACCESSOR)).await.unwrap();
    assert_eq!(again.issuer, rotated.id);
    let copy = handle.taxonomy();
    assert!(copy.is_signed_by(&second) && !copy.is_signed_by(&first));
    let told = String::from_utf8(copy.payload.clone()).unwrap();
    for key in [first, second] {
        assert!(told.contains(&*dsse::keyid(&key)), "former keys are told too");
    }
    let taxonomy = Taxonomy::read(copy.to_json().as_bytes(), None, handle.now()).unwrap();
    for credential in [&workload, &again] {
        taxonomy.credential(credential.envelope.as_bytes(), handle.now()).unwrap();
    }
    // The former one is over: what it issued goes with it.
    set(&clock, 1_031 * DAY);
    let trust = handle.trust();
    assert!(trust.stands(trust.credential(&workload.id).unwrap(), handle.now()).is_err());
}

/// Which rule refuses what the manager registers; none when nothing does.
async fn refused(handle: &Handle, node: &str, service: &str) -> Option<Box<str>> {
    match handle.submit(&bearer(MANAGER), register(node, Some(service))).await {
        Ok(_) => None,
        Err(Refusal::Denied { rule, .. }) => Some(rule),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_token_registers_for_the_scope_of_its_credential_alone() {
    let (handle, clock) = guarded(DefaultPolicy::Deny).await;
    set(&clock, 1_000 * DAY);
    let index = handle.snapshot();
    let token = index.record_named::<Token>(&handle.digest(&Secret::new(MANAGER))).unwrap();
    let subject = format!("accessor:{}", token.record.accessor);
    let scope = |path: &str, name: &str| Scope {
        path: ScopePath::parse(path).unwrap(),
        services: vec![NameRange::Prefix(name.into())],
        ..Scope::default()
    };
    let scopes = [scope("dc1/pay", "pay"), scope("dc1/web", "web")];
    let put = |scope: Scope| RecordChange::Put {
        record: AnyRecord::Scope(scope.into()),
        when: When::Always,
    };
    submit(&handle, Change::Records(scopes.into_iter().map(put).collect())).await;
    assert_eq!(refused(&handle, "n1", "web").await, None, "nobody bound the token");
    let bound = wish(Role::Workload, "dc1/pay", &subject);
    let reader = Wish { actions: vec!["service:read".into()], ..bound.clone() };
    let reader = handle.issue(&Caller::own(), reader).await.unwrap();
    assert_eq!(refused(&handle, "n1", "pay").await.as_deref(), Some("credential/action"));
    handle.revoke(&Caller::own(), &reader.id, handle.now()).await.unwrap();
    assert_eq!(refused(&handle, "n1", "pay").await.as_deref(), Some("credential/revoked"));
    // Of two that do not hold the later one is told.
    set(&clock, 1_000 * DAY + 1);
    let issued = handle.issue(&Caller::own(), bound).await.unwrap();
    for (node, service, rule) in
        [("n1", "pay", None), ("n2", "pay-new-node", None), ("n1", "web", Some("delegation"))]
    {
        assert_eq!(refused(&handle, node, service).await.as_deref(), rule, "{service}");
    }
    handle.revoke(&Caller::own(), &issued.issuer, handle.now()).await.unwrap();
    assert_eq!(refused(&handle, "n1", "pay").await.as_deref(), Some("credential/issuer"));
}

/// A chain that was signed elsewhere: all of it or nothing.
#[tokio::test]
async fn a_chain_from_elsewhere_is_taken_in_whole() {
    let (handle, _clock) = opened().await;
    let [root_key, anchor_key] = [3, 4].map(|seed| SigningKey::from_bytes(&[seed; 32]));
    let says = |role, subject: String, issuer| Statement {
        version: 1,
        role,
        scope: ScopePath::parse("eu").unwrap(),
        subject: subject.parse().unwrap(),
        issuer,
        actions: vec!["*".into()],
        not_before: 999 * DAY,
        not_after: 1_999 * DAY,
    };
    let root = says(Role::Root, key_subject(3), None).sign(&root_key);
    let anchor = says(Role::Anchor, key_subject(4), Some(root.id.clone())).sign(&root_key);
    let peer = says(Role::Peer, key_subject(5), Some(anchor.id.clone())).sign(&anchor_key);
    let forged = says(Role::Peer, key_subject(6), Some(anchor.id.clone())).sign(&root_key);
    let accept = async |records: &[&CredentialRecord]| {
        let envelopes: Vec<Box<str>> = records.iter().map(|of| of.envelope.clone()).collect();
        handle.accept(&Caller::own(), &envelopes).await
    };
    let alone = accept(&[&peer]).await.unwrap_err();
    assert_eq!(alone, CredentialFault::UnknownIssuer(anchor.id.clone()).into());
    let forged = accept(&[&root, &anchor, &forged]).await.unwrap_err();
    assert!(matches!(forged, CredentialError::Fault(CredentialFault::Signature(_))));
    assert_eq!(handle.snapshot().records::<CredentialRecord>().len(), 0);
    accept(&[&peer, &anchor, &root]).await.unwrap();
    let trust = handle.trust();
    assert!(trust.stands(trust.credential(&peer.id).unwrap(), handle.now()).is_ok());
    accept(&[&peer]).await.unwrap();
    assert!(accept(&[&peer; 21]).await.is_err());
}

#[tokio::test]
async fn a_root_that_was_revoked_is_not_made_anew() {
    let (handle, clock) = opened().await;
    handle.found_trust().await.unwrap();
    let root = handle.trust().credentials().find(|of| of.role == Role::Root).unwrap().id.clone();
    handle.revoke(&Caller::own(), &root, handle.now()).await.unwrap();
    set(&clock, 1_001 * DAY);
    let refused = handle.issue(&Caller::own(), wish(Role::Workload, "dc1", ACCESSOR)).await;
    assert_eq!(refused.unwrap_err(), CredentialFault::Revoked(root).into());
}

#[tokio::test]
async fn a_stranger_verifies_by_the_taxonomy_alone() {
    let (handle, clock) = opened().await;
    let issued =
        handle.issue(&Caller::own(), wish(Role::Workload, "dc1/a", ACCESSOR)).await.unwrap();
    let scope = ScopePath::parse("dc1").unwrap();
    let answered = Answered {
        scope: &scope,
        query: "/v1/health/service/web?passing",
        body: b"[]",
        outcome: Outcome::Attest,
        rule: "open",
    };
    let id = handle.attest(answered).await.unwrap();
    assert_eq!(handle.attest(answered).await.unwrap(), id, "the same is not signed again");
    let attestation = handle.attestation(&id).unwrap();
    let copy = handle.taxonomy().to_json();
    let trust = handle.trust();
    let root = *trust.credentials().find(|of| of.role == Role::Root).unwrap().key().unwrap();
    let stranger = SigningKey::from_bytes(&[9; 32]).verifying_key();
    let now = handle.now();
    assert!(matches!(
        Taxonomy::read(copy.as_bytes(), Some(stranger), now),
        Err(OfflineFault::Signer(_))
    ));
    let taxonomy = Taxonomy::read(copy.as_bytes(), Some(root), now).unwrap();
    assert_eq!(taxonomy.credential(issued.envelope.as_bytes(), now).unwrap(), issued);
    let read = taxonomy.attestation(attestation.as_bytes(), Some(b"[]"), now).unwrap();
    assert_eq!(read.checkpoint.unwrap().origin, "dc1".into());
    let other = taxonomy.attestation(attestation.as_bytes(), Some(b"[ ]"), now);
    assert!(matches!(other, Err(OfflineFault::OtherAnswer { .. })));
    let mut forged = dsse::Envelope::parse(attestation.as_bytes()).unwrap();
    forged.payload = String::from_utf8(forged.payload).unwrap().replace("open", "shut").into();
    let forged = taxonomy.attestation(forged.to_json().as_bytes(), None, now);
    assert!(matches!(forged, Err(OfflineFault::Signer(_))));
    set(&clock, 1_000 * DAY + 300);
    assert!(handle.attestation(&id).is_none(), "it is over");
    let late = taxonomy.attestation(attestation.as_bytes(), None, handle.now());
    assert!(matches!(late, Err(OfflineFault::Over(_))));
    set(&clock, 1_001 * DAY);
    assert!(matches!(
        Taxonomy::read(copy.as_bytes(), Some(root), handle.now()),
        Err(OfflineFault::Over(_))
    ));
}
