//! Nodes: their addresses, and their meta as text.

use proconsul_anchors::acl::Act;
use proconsul_anchors::index::NodeRow;
use rand::RngCore;
use rand::seq::SliceRandom;

use super::address::{self, Seen, Want};
use super::{Absence, Miss, Search, Sections};
use crate::name::{Name, NameError};
use crate::question::Locality;
use crate::record::{Data, Kind, Record};
use crate::settings::{Settings, seconds};

/// Meta whose key begins so is told without its key (RFC 1035 text instead of RFC 1464 attributes).
const BARE_META: &str = "rfc1035-";

/// Whether a node has something of this type.
pub(crate) fn tells_of_nodes(kind: Kind) -> bool {
    [Kind::A, Kind::AAAA, Kind::TXT, Kind::ANY].contains(&kind)
}

/// A node by name, id or beginning of its id. Its health does not matter.
pub(super) fn answer(
    search: &Search<'_>,
    name: &str,
    locality: &Locality,
    chance: &mut dyn RngCore,
) -> Result<Sections, Miss> {
    let kind = search.question.kind;
    let mut sections = Sections::default();
    if !tells_of_nodes(kind) {
        // Consul does not even look whether the node is there.
        return Ok(sections);
    }
    if !search.is_here(locality) {
        return Err(Miss::NoName(Absence::Far));
    }
    let Some(row) = search.view.index.node_by_name_or_id(name) else {
        // Who may not read a name at all is not told either what others know of it.
        let allowed = search.view.authority.allows(Act::node_read(name));
        let absence = if allowed { Absence::Unknown } else { Absence::Hidden };
        return Err(Miss::NoName(absence));
    };
    if !search.view.shows_node(row) {
        return Err(Miss::NoName(Absence::Hidden));
    }
    let owner = &search.question.name;
    if kind != Kind::TXT {
        sections.answer = records(search, row, kind, owner, chance);
    }
    let settings = search.view.settings;
    let mut meta = || texts(row, owner, seconds(settings.node_ttl), chance);
    if kind == Kind::TXT || kind == Kind::ANY {
        sections.answer.extend(meta());
    } else if settings.enable_additional_node_meta_txt {
        sections.additional = meta();
    }
    Ok(sections)
}

/// The address of a node, or the other name under which it is registered with all that our zones say about that.
pub(super) fn records(
    search: &Search<'_>,
    row: &NodeRow,
    kind: Kind,
    owner: &Name,
    chance: &mut dyn RngCore,
) -> Vec<Record> {
    let ttl = search.view.settings.node_ttl;
    let chosen = address(search.view.settings, row, Want::of(kind));
    if let Some(ip) = address::parse(chosen) {
        let record = address::answers(kind, ip).then(|| address::record(owner.clone(), ip, ttl));
        return record.into_iter().collect();
    }
    let Ok(host) = Name::parse(&row.node.address) else { return Vec::new() };
    let cname = Record { owner: owner.clone(), ttl: seconds(ttl), data: Data::Cname(host.clone()) };
    std::iter::once(cname).chain(search.chase(&host, chance)).collect()
}

/// The address of a node that suits a question best.
pub(super) fn address<'a>(settings: &Settings, row: &'a NodeRow, want: Want) -> &'a str {
    let tagged = |tag: &str| row.node.tagged_addresses.as_ref()?.get(tag).map(AsRef::as_ref);
    address::choose(&row.node.address, tagged, want, seen(settings, datacenter(settings, row)))
}

/// From where we see what is in a datacenter.
pub(super) fn seen(settings: &Settings, datacenter: &str) -> Seen {
    let outside = settings.translate_wan_addrs && datacenter != settings.datacenter.as_ref();
    if outside { Seen::Outside } else { Seen::Inside }
}

/// The datacenter of a node; one that was registered without is ours.
pub(super) fn datacenter<'a>(settings: &'a Settings, row: &'a NodeRow) -> &'a str {
    let told = row.node.datacenter.as_ref();
    if told.is_empty() { &settings.datacenter } else { told }
}

/// `<node>.node.<dc>.<zone>`. Not every name that can be registered can be asked for.
pub(super) fn canonical_name(
    settings: &Settings,
    row: &NodeRow,
    zone: &Name,
) -> Result<Name, NameError> {
    Name::under(&format!("{}.node.{}", row.node.name, datacenter(settings, row)), zone)
}

/// The meta of a node, a record for each pair, in any order.
pub(super) fn texts(
    row: &NodeRow,
    owner: &Name,
    ttl: u32,
    chance: &mut dyn RngCore,
) -> Vec<Record> {
    let pairs = row.node.meta.iter().flat_map(|meta| meta.iter());
    let record = |text: String| Record { owner: owner.clone(), ttl, data: Data::text(&text) };
    let mut records: Vec<Record> = pairs.map(|(key, value)| record(text(key, value))).collect();
    records.shuffle(chance);
    records
}

fn text(key: &str, value: &str) -> String {
    let bare =
        key.get(..BARE_META.len()).is_some_and(|start| start.eq_ignore_ascii_case(BARE_META));
    if bare { value.to_owned() } else { attribute(key, value) }
}

/// `key=value`, with backquotes where a reader could mistake something (RFC 1464 §2).
fn attribute(key: &str, value: &str) -> String {
    let key = key.replace('`', "``").replace('=', "`=");
    let after = key.trim_start_matches(' ');
    let inner = after.trim_end_matches(' ');
    let (leading, trailing) = (key.len() - after.len(), after.len() - inner.len());
    format!("{}{inner}{}={}", "` ".repeat(leading), "` ".repeat(trailing), value.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_quoted() {
        for (key, value, expected) in [
            ("key", "value", "key=value"),
            ("key", "value=x", "key=value=x"),
            ("key`", "value`", "key``=value``"),
            ("key=", "value", "key`==value"),
            (" key", "value", "` key=value"),
            ("  key", "value", "` ` key=value"),
            ("key ", "value", "key` =value"),
            ("key   ", "value", "key` ` ` =value"),
            ("k e y", " va lue ", "k e y= va lue "),
            ("=`", "`=", "`=``=``="),
            ("", "value", "=value"),
            ("key", "", "key="),
        ] {
            assert_eq!(attribute(key, value), expected);
        }
        assert_eq!(text("RFC1035-any", "a`b"), "a`b");
    }
}
