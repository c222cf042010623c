//! Several lineages under one order.

use super::*;
use crate::change::Prune;

/// The datacenter's own, or one of two scopes under it.
pub(super) fn of_turn(number: u64) -> Option<ScopePath> {
    let path = ["", "dc1/payments", "dc1/payments/cards"][(number * 7 % 3) as usize];
    ScopePath::parse(path).ok()
}

fn entry(run: &Running, scope: Option<&ScopePath>, seq: u64) -> Entry {
    let leaf = run.group.lineage().of(scope.cloned()).entry(seq).unwrap().unwrap();
    serde_json::from_slice(&leaf).unwrap()
}

#[tokio::test]
async fn each_scope_has_a_log_of_its_own_under_one_order() {
    let run = running().await;
    let mut next: BTreeMap<Option<ScopePath>, u64> = BTreeMap::new();
    for number in 0..30 {
        let proposal = put_in_turn(number, &number.to_string());
        let committed = run.group.propose(proposal).await.unwrap();
        assert_eq!((committed.entry, committed.revision), (number, number + 2));
        let scope = of_turn(number);
        let seq = next.entry(scope.clone()).or_default();
        let kept = entry(&run, scope.as_ref(), *seq);
        assert_eq!((kept.seq, kept.place(), &kept.scope), (*seq, number, &scope));
        assert_eq!(kept.order.is_some(), number != *seq, "nothing is said twice");
        assert_eq!(kept.previous, number.checked_sub(5), "the entry before it, in whatever log");
        *seq += 1;
    }
    let names = run.group.lineage().scopes().unwrap();
    let names: Vec<&str> = names.iter().map(ScopePath::as_str).collect();
    assert_eq!(names, ["dc1/payments", "dc1/payments/cards"]);
}

#[tokio::test]
async fn every_lineage_is_signed_with_the_anchors_key_under_its_own_name() {
    let run = running().await;
    for number in 0..30 {
        run.group.propose(put_in_turn(number, "v")).await.unwrap();
    }
    let key = run.store.keys().scope().verifying_key();
    for path in ["dc1", "dc1/payments", "dc1/payments/cards"] {
        let scope = ScopePath::parse(path).unwrap();
        let note = run.group.checkpoint_of(Some(scope.clone())).await.unwrap();
        let signed = verify(&note, path, &key).unwrap();
        assert_eq!(signed.size, 10, "{path}");
        let lineage = run.group.lineage().of((path != "dc1").then_some(scope));
        assert_eq!(lineage.kept_checkpoint().unwrap().as_deref(), Some(&*note));
        for seq in 0..signed.size {
            let leaf = lineage.entry(seq).unwrap().unwrap();
            let proof = lineage.inclusion(signed.size, seq).unwrap();
            check_record(&proof, signed.size, signed.root, seq, record_hash(&leaf)).unwrap();
        }
    }
}

#[tokio::test]
async fn the_datacenter_by_name_is_the_datacenters_own() {
    let run = running().await;
    let mut named = put("k", "v");
    named.scope = Some(ScopePath::parse("dc1").unwrap());
    run.group.propose(named).await.unwrap();
    assert_eq!(run.group.lineage().scopes().unwrap(), []);
    assert_eq!(entry(&run, None, 0).scope, None);
}

#[tokio::test]
async fn checkpoints_of_all_lineages_are_kept_at_the_end() {
    let run = running().await;
    for number in 0..9 {
        run.group.propose(put_in_turn(number, "v")).await.unwrap();
    }
    run.group.stop().await;
    let kept = run.store.read(|tx| Ok(tx.open_table(CHECKPOINTS)?.len()?)).unwrap();
    assert_eq!(kept, 2);
}

/// Payloads of the first entries go, below an image of the state as it is.
async fn prune(group: &Group) -> Result<Committed, Refusal> {
    let base = group.seal().await?;
    let prune = Prune { seqs: vec![(0, 3)], base, uid: None };
    let change = Change::Prune(Box::new(prune));
    group.propose(Proposal { change, ..put("", "") }).await
}

#[tokio::test]
async fn what_was_pruned_survives_any_crash() {
    let (mut told, mut gone) = (0, 0);
    for seed in 0..40_u64 {
        let disk = new_disk();
        let first = start_on(&disk, 1).await;
        disk.die_after(40 + seed * 5);
        let mut acknowledged = 0;
        for number in 0..30 {
            let done = match number % 10 {
                9 => prune(&first.group).await,
                _ => first.group.propose(put_in_turn(number, &number.to_string())).await,
            };
            let Ok(committed) = done else { break };
            acknowledged = committed.revision;
        }
        drop(first);
        for crash in [Crash::Killed, Crash::PowerLost(seed), Crash::PowerLost(!seed)] {
            let again = disk.after(crash);
            let run = start_on(&again, 1).await;
            let story = format!("seed {seed}, {crash:?}");
            assert!(run.index.revision() >= acknowledged, "{story}");
            run.group.propose(put("after", "1")).await.unwrap();
            run.group.stop().await;
            run.store.close();
            let keys = Keys::from_seeds([1; 32], [1; 32]);
            let report = check_database("the disk", &again.opener()().unwrap(), &keys).unwrap();
            assert!(report.is_clean(), "{story}: {report}");
            told += 1;
            gone += u64::from(report.pruned > 0);
        }
    }
    assert!(gone > 0 && gone < told, "some died before, some after: {gone} of {told}");
}
