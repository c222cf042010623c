use std::path::Path;
use std::sync::Arc;

use redb::{Durability, ReadableTable as _};

use super::*;
use crate::group::tests::{Seen, put, settings};
use crate::group::{Group, Proposal};
use crate::keys::Keys;
use crate::lineage::export::{Exported, Head, Tail, write_line};
use crate::lineage::query::{Wanted, Window};
use crate::store::tables::{
    CHECKPOINTS, ENTRIES, HASHES, PAYLOADS, SCOPED_ENTRIES, SCOPED_HASHES, SCOPED_PAYLOADS,
};
use crate::store::{Fault, Store};
use crate::testing::TempDir;

const SCOPE: &str = "dc1/pay";

/// A lineage of some entries under a scope, and the datacenter's own beside it.
struct Written {
    dir: TempDir,
    /// The export of the scope's.
    export: Vec<u8>,
    /// What was signed of it before the last entries, and at the end.
    checkpoints: [Box<str>; 2],
    proof: Vec<u8>,
    key: String,
}

async fn written(story: &str, count: u64) -> Written {
    let dir = TempDir::new();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    // The same key in each story, so that one may be held against the other.
    let (group, _) =
        Group::start(Arc::clone(&store), settings(), Arc::new(Seen::default())).await.unwrap();
    let scope = ScopePath::parse(SCOPE).ok();
    let mut early = None;
    for number in 0..2 * count {
        let of = scope.clone().filter(|_| number % 2 == 0);
        let proposal = put(&format!("k{}", number % 3), &format!("{story} {number}"));
        group.propose(Proposal { scope: of, ..proposal }).await.unwrap();
        if number == count {
            early = Some(group.checkpoint_of(scope.clone()).await.unwrap());
        }
    }
    let last = group.checkpoint_of(scope.clone()).await.unwrap();
    let lineage = group.lineage().of(scope);
    let key = lineage.verifier_key(SCOPE);
    let window = Window { from: 0, reverse: false, limit: 1_000 };
    let lines = lineage.page(&Wanted::default(), window).unwrap().lines;
    let head = Head {
        lineage: SCOPE.into(),
        verifier_key: key.as_str().into(),
        size: count,
        complete: true,
    };
    let mut export = Vec::new();
    write_line(&mut export, &head);
    lines.iter().for_each(|line| write_line(&mut export, &Exported::of(line, true)));
    write_line(&mut export, &Tail { checkpoint: last.clone() });
    let told = Exported::of(&lines[2], true);
    let proof = RecordProof {
        lineage: SCOPE.into(),
        verifier_key: key.as_str().into(),
        seq: 2,
        leaf: told.leaf,
        payload: told.payload,
        salt: told.salt,
        inclusion: lineage.inclusion_text(count, 2).unwrap(),
        checkpoint: last.clone(),
    };
    group.stop().await;
    store.close();
    let proof = serde_json::to_vec(&proof).unwrap();
    Written { dir, export, checkpoints: [early.unwrap(), last], proof, key }
}

fn key_of(written: &Written) -> VerifyingKey {
    super::super::note::public_key(&written.key).unwrap()
}

fn verified(written: &Written, bytes: &[u8]) -> Result<Report, VerifyError> {
    export(bytes, &[key_of(written)], None)
}

#[tokio::test]
async fn a_whole_export_is_verified() {
    let written = written("a", 6).await;
    let report = verified(&written, &written.export).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.entries, report.signed, &*report.lineage), (6, Some(6), SCOPE));
    let early = Some(&*written.checkpoints[0]);
    let report = export(&written.export[..], &[], early).unwrap();
    assert!(report.is_clean() && report.continues == Some(4), "{report}");
}

#[tokio::test]
async fn every_flipped_byte_of_an_export_is_found() {
    let written = written("a", 3).await;
    for at in 0..written.export.len() {
        let mut touched = written.export.clone();
        touched[at] ^= 1 << (at % 8);
        let found = verified(&written, &touched).map_or(true, |report| !report.is_clean());
        let shown = String::from_utf8_lossy(&touched[at.saturating_sub(40)..=at]);
        assert!(found, "byte {at}, after {shown}");
    }
}

#[tokio::test]
async fn what_was_touched_is_named() {
    let written = written("a", 6).await;
    let text = String::from_utf8(written.export.clone()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let found = |touched: String| verified(&written, touched.as_bytes()).unwrap().findings;
    let with = |at: usize, line: String| {
        let mut lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        lines[at] = line;
        lines.concat()
    };
    let actor = with(4, lines[4].replace(r#"actor\":\"test"#, r#"actor\":\"evil"#));
    assert_eq!(found(actor), [Finding::Leaf(3), Finding::Root(6)]);
    let value = with(3, lines[3].replace(r#"key\":\"k"#, r#"key\":\"l"#));
    assert_eq!(found(value), [Finding::Payload(2)]);
    let pruned = with(3, lines[3].split(r#","Payload""#).next().unwrap().to_owned());
    assert!(matches!(&found(pruned)[..], [Finding::Line { line: 4, .. }, ..]));
    for dropped in 1..=6_usize {
        let rest: Vec<&str> = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != dropped)
            .map(|(_, line)| *line)
            .collect();
        let expected = match dropped {
            6 => Finding::Cut { signed: 6, there: 5 },
            _ => Finding::Missing(dropped as u64 - 1),
        };
        assert_eq!(found(rest.concat()), [expected], "line {dropped}");
    }
    let unsigned = found(lines[..7].concat());
    assert_eq!(unsigned, [Finding::Unsigned]);
    let swapped = [&lines[..2], &[lines[3], lines[2]], &lines[4..]].concat().concat();
    assert!(!found(swapped).is_empty());
    let twice = [&lines[..3], &lines[2..]].concat().concat();
    assert!(!found(twice).is_empty());
}

#[tokio::test]
async fn a_roll_back_and_a_fork_are_told_by_an_earlier_checkpoint() {
    let written = written("a", 6).await;
    let text = String::from_utf8(written.export.clone()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    // The same anchor signed a shorter history, as it does after an old copy of its directory was put back.
    let tail = |note: &str| {
        let mut line = Vec::new();
        write_line(&mut line, &Tail { checkpoint: note.into() });
        String::from_utf8(line).unwrap()
    };
    let head = lines[0].replace(r#""Size":6"#, r#""Size":4"#);
    let rolled = [head, lines[1..5].concat(), tail(&written.checkpoints[0])].concat();
    assert!(verified(&written, rolled.as_bytes()).unwrap().is_clean());
    let saved = Some(&*written.checkpoints[1]);
    let report = export(rolled.as_bytes(), &[], saved).unwrap();
    assert_eq!(report.findings, [Finding::RolledBack { saved: 6, there: 4 }]);
    let keys = Keys::existing(written.dir.path()).unwrap();
    let notary = crate::lineage::note::Notary::new("dc1", keys.scope().clone());
    let other = notary.sign(ScopePath::parse(SCOPE).ok().as_ref(), 4, Hash([7; 32]));
    let report = export(&written.export[..], &[], Some(&*other)).unwrap();
    assert_eq!(report.findings, [Finding::Forked(4)]);
    let foreign = self::written("b", 6).await;
    let error = export(&written.export[..], &[], Some(&*foreign.checkpoints[0])).unwrap_err();
    assert!(matches!(error, VerifyError::Saved(_)), "{error}");
}

#[tokio::test]
async fn a_proof_stands_for_itself() {
    let written = written("a", 6).await;
    let report = record_proof(&written.proof, &[]).unwrap();
    assert!(report.is_clean() && report.signed == Some(6), "{report}");
    let text = String::from_utf8(written.proof.clone()).unwrap();
    for (from, to) in [
        (r#"actor\":\"test"#, r#"actor\":\"evil"#),
        (r#"key\":\"k"#, r#"key\":\"l"#),
        (r#""Seq":2"#, r#""Seq":3"#),
        (r#"dc1/pay\n6\n"#, r#"dc1/pay\n7\n"#),
    ] {
        let touched = text.replace(from, to);
        assert_ne!(touched, text, "{from}");
        assert!(!record_proof(touched.as_bytes(), &[]).unwrap().is_clean(), "{from}");
    }
    let other = self::written("b", 6).await;
    assert!(!record_proof(&written.proof, &[key_of(&other)]).unwrap().is_clean());
}

/// Changes a data directory behind the lineage's back, and verifies it.
async fn touched(work: impl FnOnce(&redb::WriteTransaction) -> Result<(), Fault>) -> Vec<String> {
    let written = written("a", 6).await;
    let store = Store::open(written.dir.path()).unwrap();
    store.write(Durability::Immediate, work).unwrap();
    store.close();
    findings(written.dir.path())
}

fn findings(dir: &Path) -> Vec<String> {
    let reports = directory(dir, None, &[], None).unwrap();
    let of = |report: Report| {
        let lineage = report.lineage.clone();
        report.findings.into_iter().map(move |finding| format!("{lineage}: {finding}"))
    };
    reports.into_iter().flat_map(of).collect()
}

#[tokio::test]
async fn a_directory_is_verified_lineage_by_lineage() {
    assert_eq!(touched(|_| Ok(())).await, [""; 0]);
    let leaf = touched(|tx| {
        let mut entries = tx.open_table(SCOPED_ENTRIES)?;
        let leaf = entries.get((SCOPE, 2))?.unwrap().value().to_owned();
        let leaf = String::from_utf8(leaf).unwrap().replace("\"test\"", "\"evil\"");
        entries.insert((SCOPE, 2), leaf.as_bytes())?;
        Ok(())
    });
    let expected = "dc1/pay: the tree's hash 3, written with entry 2, was touched";
    assert_eq!(leaf.await[0], expected);
    let payload = touched(|tx| {
        let mut payloads = tx.open_table(PAYLOADS)?;
        let mut kept = payloads.get(3)?.unwrap().value().to_owned();
        kept[20] ^= 1;
        payloads.insert(3, kept.as_slice())?;
        Ok(())
    });
    let expected =
        "dc1: the payload of entry 3 was touched: it is not the one that the entry tells of";
    assert_eq!(payload.await, [expected]);
    let gone = touched(|tx| {
        tx.open_table(SCOPED_PAYLOADS)?.remove((SCOPE, 1))?;
        Ok(())
    });
    assert_eq!(gone.await, ["dc1/pay: the payload of entry 1 is missing"]);
    let hash = touched(|tx| {
        tx.open_table(HASHES)?.insert(0, [1; 32])?;
        tx.open_table(SCOPED_HASHES)?.insert((SCOPE, 1), [1; 32])?;
        Ok(())
    });
    assert_eq!(hash.await.len(), 2);
    let entry = touched(|tx| {
        tx.open_table(ENTRIES)?.remove(5)?;
        Ok(())
    });
    assert_eq!(entry.await, ["dc1: 6 entries were signed, of which 5 are there"]);
    let note = touched(|tx| {
        let mut notes = tx.open_table(CHECKPOINTS)?;
        let note = notes.get(SCOPE)?.unwrap().value().replace("\n6\n", "\n5\n");
        notes.insert(SCOPE, note.as_str())?;
        Ok(())
    });
    let note = note.await;
    assert!(note[0].starts_with("dc1/pay: the checkpoint is not believed"), "{note:?}");
}

#[tokio::test]
async fn an_old_copy_of_a_directory_is_told_from_the_new_one() {
    let written = written("a", 6).await;
    let saved = Some(&*written.checkpoints[1]);
    let dir = written.dir.path();
    let clean = directory(dir, Some(SCOPE), &[], saved).unwrap();
    assert!(clean.len() == 1 && clean[0].is_clean() && clean[0].continues == Some(6));
    let store = Store::open(dir).unwrap();
    let early = written.checkpoints[0].clone();
    let roll_back = |tx: &redb::WriteTransaction| {
        for seq in 4..6 {
            tx.open_table(SCOPED_ENTRIES)?.remove((SCOPE, seq))?;
            tx.open_table(SCOPED_PAYLOADS)?.remove((SCOPE, seq))?;
        }
        tx.open_table(CHECKPOINTS)?.insert(SCOPE, &*early)?;
        Ok(())
    };
    store.write(Durability::Immediate, roll_back).unwrap();
    store.close();
    let rolled = directory(dir, Some(SCOPE), &[], saved).unwrap();
    assert_eq!(rolled[0].findings, [Finding::RolledBack { saved: 6, there: 4 }]);
    let unknown = directory(dir, Some("dc1/nope"), &[], None).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no lineage of dc1/nope; there are dc1, dc1/pay");
}

/// What a directory holds of all lineages.
fn held(dir: &Path) -> Vec<Line> {
    let store = Store::open(dir).unwrap();
    let lines = store.read(|tx| {
        let mut lines = Vec::new();
        for scope in [None, ScopePath::parse(SCOPE).ok()] {
            let log = crate::lineage::Log::open(tx, scope.as_ref())?;
            for leaf in log.leaves(0..u64::MAX)? {
                let (seq, leaf) = leaf?;
                lines.push((seq, leaf, log.payload(seq)?));
            }
        }
        Ok(lines)
    });
    store.close();
    lines.unwrap()
}

type Line = (u64, Vec<u8>, Option<Vec<u8>>);

#[tokio::test]
async fn no_flipped_byte_of_a_store_changes_what_is_believed() {
    let written = written("a", 6).await;
    let (dir, whole) = (written.dir.path(), held(written.dir.path()));
    let file = dir.join("scope.redb");
    let bytes = std::fs::read(&file).unwrap();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut found = 0;
    for _ in 0..200 {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (random >> 20) as usize % bytes.len();
        let mut touched = bytes.clone();
        touched[at] ^= 1 << (random >> 60 & 7);
        std::fs::write(&file, &touched).unwrap();
        match directory(dir, None, &[], None) {
            Err(_) => found += 1,
            Ok(reports) if reports.iter().any(|report| !report.is_clean()) => found += 1,
            // A byte that says nothing: a page that is free, or the rest of one.
            Ok(_) => assert_eq!(held(dir), whole, "byte {at}"),
        }
    }
    assert!(found > 0, "pages in use were met, too");
}
