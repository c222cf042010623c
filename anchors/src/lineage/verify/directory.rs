//! Verifying a data directory. Nothing in it is changed.

use std::path::Path;

use ed25519_dalek::VerifyingKey;
use redb::{Database, ReadTransaction, ReadableDatabase};

use super::{Finding, Payload, Report, Taken, Verifier, VerifyError};
use crate::keys::Keys;
use crate::lineage::note::{self, Signed};
use crate::lineage::prune::Pruned;
use crate::lineage::tiles::kept_checkpoint;
use crate::lineage::{Log, scopes, split_payload};
use crate::scope::ScopePath;
use crate::store::{Fault, StoreError, guarded, lock_existing, overlay, recognise};

/// Reads the lineages of a data directory: all of them, or one. Without keys, the directory's own are believed.
///
/// # Errors
/// [`VerifyError`]; what is wrong with a lineage is in its report.
pub fn directory(
    dir: &Path,
    only: Option<&str>,
    keys: &[VerifyingKey],
    saved: Option<&str>,
) -> Result<Vec<Report>, VerifyError> {
    let (_lock, path) = lock_existing(dir)?;
    let name = path.display().to_string();
    let database = overlay::verify(&path)?;
    guarded(&name, || recognise(&database))?.map_err(|strange| strange.named(&name))?;
    let own = Keys::existing(dir).map_err(StoreError::from)?.anchor().all();
    let keys = if keys.is_empty() { own } else { keys.to_vec() };
    guarded(&name, || all(&database, only, &keys, saved))?
}

type All = Result<Vec<Report>, VerifyError>;

fn all(
    database: &Database,
    only: Option<&str>,
    keys: &[VerifyingKey],
    saved: Option<&str>,
) -> Result<All, Fault> {
    let tx = database.begin_read()?;
    let root = kept_checkpoint(&tx, None)?;
    // The datacenter's name is told by its checkpoint alone.
    let root_name =
        root.as_deref().and_then(|note| note.lines().next()).unwrap_or("dc1").to_owned();
    let mut lineages = vec![(None, root_name)];
    lineages.extend(scopes(&tx)?.into_iter().map(|path| (Some(path.clone()), path.to_string())));
    let saved_of = saved.and_then(|note| note.lines().next());
    for asked in [only, saved_of].into_iter().flatten() {
        if !lineages.iter().any(|(_, name)| name == asked) {
            let known: Vec<&str> = lineages.iter().map(|(_, name)| name.as_str()).collect();
            let (asked, known) = (asked.to_owned(), known.join(", "));
            return Ok(Err(VerifyError::UnknownScope { asked, known }));
        }
    }
    let pruned = Pruned::read(&tx)?;
    let mut reports = Vec::new();
    for (scope, name) in lineages.iter().filter(|(_, name)| only.is_none_or(|only| only == name)) {
        let saved = saved.filter(|_| saved_of == Some(name));
        let saved = match saved.map(|text| note::verify_any(text, name, keys)).transpose() {
            Ok(saved) => saved,
            Err(fault) => return Ok(Err(VerifyError::Saved(fault.to_string()))),
        };
        reports.push(one(&tx, scope.as_ref(), name, keys, saved, &pruned)?);
    }
    Ok(Ok(reports))
}

fn one(
    tx: &ReadTransaction,
    scope: Option<&ScopePath>,
    name: &str,
    keys: &[VerifyingKey],
    saved: Option<Signed>,
    pruned: &Pruned,
) -> Result<Report, Fault> {
    let log = Log::open(tx, scope)?;
    let note = kept_checkpoint(tx, scope)?;
    let signed = note.as_deref().map(|text| note::verify_any(text, name, keys)).transpose();
    let mut verifier = Verifier::new(name, saved, signed.as_ref().ok().copied().flatten());
    if let Err(fault) = signed {
        verifier.finds(Finding::Checkpoint(fault.to_string()));
    }
    for row in log.leaves(0..u64::MAX)? {
        let (seq, leaf) = row?;
        let kept = log.payload(seq)?;
        let payload = match kept.as_deref().map(split_payload) {
            Some(Some((salt, change))) => Payload::Kept { salt, change },
            None if pruned.allows(scope, seq) => Payload::Pruned,
            None | Some(None) => Payload::Missing,
        };
        for (place, hash) in verifier.take(&Taken { seq, leaf: &leaf, hash: None, payload }) {
            if log.stored_hash(place)? != Some(hash) {
                verifier.finds(Finding::Hash { seq, place });
            }
        }
    }
    Ok(verifier.finish(None))
}
