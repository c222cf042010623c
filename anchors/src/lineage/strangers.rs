//! A small lineage written down for tools that this program did not write: `fixtures/lineage/dc1.json`.
//!
//! The same proposals with the same salts and keys make the same bytes for ever, so that the file also shows when the
//! format of a leaf or of a checkpoint changes. `UPDATE_FIXTURES=1` writes it anew.

use std::path::Path;

use serde::Serialize;

use crate::group::tests::{put, running};
use crate::lineage::SALT_BYTES;
use crate::lineage::note::verifier_key;

/// What a stranger is given.
#[derive(Serialize)]
struct Given {
    /// The key that they trust.
    verifier_key: String,
    /// An older and a newer checkpoint.
    checkpoints: [Box<str>; 2],
    /// The leaves, as text.
    entries: Vec<String>,
    /// By entry: the proof that the newer checkpoint has it; hashes in base64.
    inclusion: Vec<Vec<String>>,
    /// The proof that the newer checkpoint continues the older one.
    consistency: Vec<String>,
}

#[tokio::test]
async fn strangers_are_given_the_same_bytes_for_ever() {
    let run = running().await;
    let mut checkpoints = Vec::new();
    for number in 0..11_u8 {
        let mut proposal = put(&format!("k{}", number % 3), "v");
        proposal.salt = [number; SALT_BYTES];
        run.group.propose(proposal).await.unwrap();
        if [5, 10].contains(&number) {
            checkpoints.push(run.group.checkpoint().await.unwrap());
        }
    }
    let lineage = run.group.lineage();
    let text = |proof: Vec<_>| proof.iter().map(ToString::to_string).collect::<Vec<_>>();
    let given = Given {
        verifier_key: verifier_key("dc1", &run.store.keys().scope().verifying_key()),
        checkpoints: checkpoints.try_into().unwrap(),
        entries: (0..11)
            .map(|seq| String::from_utf8(lineage.entry(seq).unwrap().unwrap()).unwrap())
            .collect(),
        inclusion: (0..11).map(|seq| text(lineage.inclusion(11, seq).unwrap())).collect(),
        consistency: text(lineage.consistency(11, 6).unwrap()),
    };
    let now = serde_json::to_string_pretty(&given).unwrap() + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/lineage/dc1.json");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    assert_eq!(now, std::fs::read_to_string(&file).unwrap());
}
