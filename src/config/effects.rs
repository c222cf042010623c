//! What the table of keys says about effects: which changes wait for a restart, and the manual's list.

use super::keys::{Effect, Key, Kind};
use super::raw::Raw;

/// The paths of keys that are read at a start only and are said differently in a fresh configuration.
pub(super) fn waiting(current: &Raw, fresh: &Raw, keys: &[Key], at: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for key in keys {
        let path = format!("{at}{}", key.name);
        match key.kind {
            Kind::Block(inner) => {
                let (current, fresh) = (current.block(key.name), fresh.block(key.name));
                paths.extend(waiting(&current, &fresh, inner, &format!("{path}.")));
            }
            _ if key.effect == Effect::Start && current.item(key.name) != fresh.item(key.name) => {
                paths.push(path)
            }
            _ => {}
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::keys::TOP;
    use super::*;

    const HEAD: &str = "# Configuration keys\n\nEvery key of Consul 1.22.7 is accepted, in HCL and in JSON; an unknown one stops the \
        start. This list says what each one does here. It is made from the program's own table (`src/config/keys.rs`); \
        `WRITE_MANUAL=1 cargo test manual` writes it again.\n";

    fn kind(kind: Kind) -> &'static str {
        match kind {
            Kind::Bool => "true or false",
            Kind::Int | Kind::Uint | Kind::Uint32 | Kind::Uint64 => "whole number",
            Kind::Float => "number",
            Kind::Text => "text",
            Kind::Texts => "list of texts",
            Kind::TextMap => "texts by name",
            Kind::TextsMap => "lists of texts by name",
            Kind::Free => "object",
            Kind::FreeList => "list of objects",
            Kind::Block(_) | Kind::Single(_) => "block",
            Kind::Blocks(_) => "list of blocks",
            Kind::BlockMap(_) => "blocks by name",
        }
    }

    /// All paths with this effect; definitions of services and checks are told once.
    fn paths(keys: &[Key], at: &str, effect: Effect, told: &mut Vec<String>) {
        for key in keys {
            let path = format!("{at}{}", key.name);
            let inner = match key.kind {
                Kind::Block(inner)
                | Kind::Single(inner)
                | Kind::Blocks(inner)
                | Kind::BlockMap(inner) => inner,
                _ => &[],
            };
            if inner.is_empty() && key.effect == effect {
                told.push(format!("| `{path}` | {} |", kind(key.kind)));
            }
            if !matches!(path.as_str(), "check" | "service" | "services.check" | "services.checks")
            {
                paths(inner, &format!("{path}."), effect, told);
            }
        }
    }

    fn manual() -> String {
        let mut text = HEAD.to_owned();
        for (effect, title) in [
            (Effect::Start, "Read at the start"),
            (Effect::Live, "Read at the start and again on a reload (SIGHUP, `reload`)"),
            (
                Effect::Deprecated,
                "Older names: a warning tells the newer one, which gets the value",
            ),
            (Effect::Enterprise, "Consul Enterprise: a warning, and no effect"),
            (Effect::Quiet, "Accepted and checked, without effect"),
        ] {
            let mut rows = Vec::new();
            paths(TOP, "", effect, &mut rows);
            let _never_fails =
                write!(text, "\n## {title}\n\n| key | holds |\n|---|---|\n{}\n", rows.join("\n"));
        }
        text.push_str(
            "\n`check` and `service` take the keys of one entry of `checks` and `services`. These stop the start with a sentence, \
             because leaving them out would be unsafe: `retry_join`, `bootstrap_expect` above 1, \
             `server = false` without `-dev` (when the agent starts, not in `validate`).\n",
        );
        text.push_str(include_str!("effects/own.md"));
        text
    }

    #[test]
    fn the_manual_is_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        if std::env::var_os("WRITE_MANUAL").is_some() {
            std::fs::write(path, manual()).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(path).unwrap_or_default(),
            manual(),
            "see the manual's first lines"
        );
    }
}
