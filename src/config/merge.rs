//! Several sources become one: the later one wins, lists append, maps overlay, blocks merge key by key.

use super::keys::{Kind, TOP};
use super::raw::{Item, Raw};

/// Merges sources in their order.
pub(crate) fn merge(sources: impl IntoIterator<Item = Raw>) -> Raw {
    sources.into_iter().fold(Raw::empty(TOP), |merged, source| overlay(merged, gathered(source)))
}

/// A lone `check` or `service` joins its list: two sources that each have one add up.
fn gathered(mut source: Raw) -> Raw {
    for (one, many) in [("check", "checks"), ("service", "services")] {
        let Some(Item::Single(block)) = source.take(one) else { continue };
        let mut list = match source.take(many) {
            Some(Item::Blocks(list)) => list,
            _ => Vec::new(),
        };
        list.push(block);
        source.set(many, Item::Blocks(list));
    }
    source
}

fn overlay(mut under: Raw, over: Raw) -> Raw {
    for (name, item) in over.into_items() {
        let item = match under.take(name) {
            Some(earlier) => both(earlier, item),
            None => item,
        };
        under.set(name, item);
    }
    under
}

fn both(earlier: Item, later: Item) -> Item {
    match (earlier, later) {
        (Item::Texts(a), Item::Texts(b)) => Item::Texts([a, b].concat()),
        (Item::FreeList(a), Item::FreeList(b)) => Item::FreeList([a, b].concat()),
        (Item::Blocks(a), Item::Blocks(b)) => Item::Blocks([a, b].concat()),
        (Item::TextMap(a), Item::TextMap(b)) => Item::TextMap(a.into_iter().chain(b).collect()),
        (Item::TextsMap(a), Item::TextsMap(b)) => Item::TextsMap(a.into_iter().chain(b).collect()),
        (Item::Free(a), Item::Free(b)) => Item::Free(a.into_iter().chain(b).collect()),
        (Item::BlockMap(a), Item::BlockMap(b)) => Item::BlockMap(a.into_iter().chain(b).collect()),
        (Item::Block(a), Item::Block(b)) => Item::Block(overlay(a, b)),
        (_, later) => later,
    }
}

/// Splits flags in two: lists go before the files, so that the files' own entries follow them; the rest goes after.
pub(crate) fn split_lists(flags: Raw) -> (Raw, Raw) {
    let (mut lists, mut values) = (Raw::empty(TOP), Raw::empty(TOP));
    for (name, item) in flags.into_items() {
        let kind = TOP.iter().find(|key| key.name == name).map(|key| key.kind);
        let is_list = matches!(kind, Some(Kind::Texts | Kind::FreeList | Kind::Blocks(_)));
        if is_list { &mut lists } else { &mut values }.set(name, item);
    }
    (lists, values)
}
