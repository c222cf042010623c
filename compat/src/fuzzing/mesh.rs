//! A door to the mesh: entries, one a line, are written as far as they are taken; then all that is made of them is made.

use std::sync::Arc;

use proconsul_mesh::chain::{Compiled, Place, Wishes};
use proconsul_mesh::intentions::{self, Side};
use proconsul_mesh::{Entry, Kind, Library, check_delete, check_write, exported, imported};

use crate::wire::entries::{Judge, raw};

/// Writes the entries that are taken, reads them back, and compiles what they mean.
pub fn entries(text: &[u8]) {
    let mut shelf = Shelf::default();
    for line in text.split(|byte| *byte == b'\n') {
        let Some(entry) = taken(line) else { continue };
        let former = shelf.entry(entry.kind(), entry.name());
        let entry = Arc::new(entry);
        if check_write(&shelf, &entry, former.as_deref()).is_ok() {
            shelf.put(entry);
        }
    }
    shelf.0.iter().for_each(|entry| look(&shelf, entry));
    let _shown =
        (exported(&shelf, ["web"].into_iter()), imported(&shelf), intentions::list(&shelf));
}

/// The entry that a line is, when it is taken alone.
fn taken(line: &[u8]) -> Option<Entry> {
    let mut entry = Entry::decode(&raw(line).ok()?).ok()?;
    entry.normalize().ok()?;
    entry.validate(&Judge).ok()?;
    entry.follow(None).ok()?;
    let (_rights, _warnings) = (entry.writer(), entry.warnings());
    let stored = entry.stored();
    let restored = Entry::restore(entry.kind(), &stored, 1, 1).expect("what was stored is read");
    assert_eq!(restored.stored(), stored, "what was stored is read as it was");
    Some(entry)
}

fn look(shelf: &Shelf, entry: &Entry) {
    let place = Place { datacenter: "dc1".to_owned(), trust_domain: "t.consul".to_owned() };
    let wishes = Wishes::default();
    if let Ok(chain) = Compiled::of(entry.name(), &place, &wishes, shelf) {
        let _printed = serde_json::to_vec(&chain).expect("chains have text keys only");
    }
    for side in [Side::Source, Side::Destination] {
        let _found = intentions::matching(shelf, side, entry.name(), &|_| false);
    }
    let _allowed = intentions::allowed(shelf, entry.name(), "web", false, &|_| true);
    let _verdict = check_delete(shelf, entry.kind(), entry.name());
}

/// Entries in memory, by kind and name.
#[derive(Default)]
struct Shelf(Vec<Arc<Entry>>);

impl Shelf {
    fn put(&mut self, entry: Arc<Entry>) {
        self.0.retain(|other| (other.kind(), other.name()) != (entry.kind(), entry.name()));
        self.0.push(entry);
        self.0.sort_by(|a, b| a.name().cmp(b.name()));
    }
}

impl Library for Shelf {
    fn entry(&self, kind: Kind, name: &str) -> Option<Arc<Entry>> {
        self.0.iter().find(|entry| entry.kind() == kind && entry.name() == name).cloned()
    }

    fn entries(&self, kind: Kind) -> Vec<Arc<Entry>> {
        self.0.iter().filter(|entry| entry.kind() == kind).cloned().collect()
    }
}
