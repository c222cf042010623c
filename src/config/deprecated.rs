//! Older names of keys, which still work and warn, and keys of Consul Enterprise, which warn and do nothing.

use super::raw::{Item, Raw};
use proconsul_hcl::{Node, Value};

/// An older key, the key that took its place, and what the older one implies besides.
const MOVED: &[(&str, &str)] = &[
    ("acl.tokens.agent_master", "acl.tokens.agent_recovery"),
    ("acl_agent_master_token", "acl.tokens.agent_recovery"),
    ("acl_agent_token", "acl.tokens.agent"),
    ("acl_token", "acl.tokens.default"),
    ("acl.tokens.master", "acl.tokens.initial_management"),
    ("acl_master_token", "acl.tokens.initial_management"),
    ("acl_replication_token", "acl.tokens.replication"),
    ("enable_acl_replication", "acl.enable_token_replication"),
    ("acl_datacenter", "primary_datacenter"),
    ("acl_default_policy", "acl.default_policy"),
    ("acl_down_policy", "acl.down_policy"),
    ("acl_ttl", "acl.token_ttl"),
    ("acl_enable_key_list_policy", "acl.enable_key_list_policy"),
    ("start_join", "retry_join"),
    ("start_join_wan", "retry_join_wan"),
    ("raft_boltdb", "raft_logstore.boltdb"),
    ("ca_file", "tls.defaults.ca_file"),
    ("ca_path", "tls.defaults.ca_path"),
    ("cert_file", "tls.defaults.cert_file"),
    ("key_file", "tls.defaults.key_file"),
    ("tls_cipher_suites", "tls.defaults.tls_cipher_suites"),
    ("tls_min_version", "tls.defaults.tls_min_version"),
    ("verify_incoming", "tls.defaults.verify_incoming"),
    ("verify_incoming_https", "tls.https.verify_incoming"),
    ("verify_incoming_rpc", "tls.internal_rpc.verify_incoming"),
    ("verify_outgoing", "tls.defaults.verify_outgoing"),
    ("verify_server_hostname", "tls.internal_rpc.verify_server_hostname"),
];

/// Flags of the same kind.
const MOVED_FLAGS: &[(&str, &str, &str, &str)] = &[
    ("start_join", "retry_join", "-join", "-retry-join"),
    ("start_join_wan", "retry_join_wan", "-join-wan", "-retry-join-wan"),
];

/// Gives a source's older keys to the newer ones, where those are not said; tells what it found.
pub(crate) fn keys(raw: &mut Raw) -> Vec<String> {
    let mut warnings = enterprise(raw);
    for (old, new) in MOVED {
        let Some(item) = take(raw, old) else { continue };
        imply(raw, old);
        let item =
            if *old == "tls_min_version" { current_version(item, &mut warnings) } else { item };
        // The only setting of raft_boltdb tunes a store that is not ours.
        if *old != "raft_boltdb" {
            give(raw, new, item);
        }
        warnings.push(format!("The '{old}' field is deprecated. Use the '{new}' field instead."));
    }
    if raw.take("tls_prefer_server_cipher_suites").is_some() {
        warnings.push(
            "The 'tls_prefer_server_cipher_suites' field is deprecated and will be ignored."
                .to_owned(),
        );
    }
    warnings
}

/// What Consul reads into two of the older keys besides their value.
fn imply(raw: &mut Raw, old: &str) {
    let key = match old {
        "acl_datacenter" => "enabled",
        "acl_replication_token" => "enable_token_replication",
        _ => return,
    };
    if let Some(acl) = raw.block_mut("acl") {
        acl.set(key, Item::Bool(true));
    }
}

/// TLS versions by their older names.
fn current_version(item: Item, warnings: &mut Vec<String>) -> Item {
    let Item::Text(said) = &item else { return item };
    let version = match said.as_str() {
        "" => "TLS_AUTO",
        "tls10" => "TLSv1_0",
        "tls11" => "TLSv1_1",
        "tls12" => "TLSv1_2",
        "tls13" => "TLSv1_3",
        _ => return item,
    };
    warnings.push(format!(
        "'tls_min_version' value '{said}' is deprecated, please specify '{version}' instead"
    ));
    Item::Text(version.to_owned())
}

/// The same for flags.
pub(crate) fn flags(raw: &mut Raw) -> Vec<String> {
    let mut warnings = Vec::new();
    for (old, new, old_flag, new_flag) in MOVED_FLAGS {
        let Some(item) = raw.take(old) else { continue };
        give(raw, new, item);
        warnings.push(format!(
            "The flag '{old_flag}' is deprecated. Use the '{new_flag}' flag instead."
        ));
    }
    warnings
}

/// Removes keys that Consul no longer has and still forgives.
pub(crate) fn without_dropped_keys(mut document: Node, warnings: &mut Vec<String>) -> Node {
    if let Value::Object(fields) = &mut document.value {
        fields.retain(|(word, _)| {
            let dropped = word == "acl_enforce_version_8";
            if dropped {
                warnings.push(format!("config key {word:?} is deprecated and should be removed"));
            }
            !dropped
        });
    }
    document
}

fn take(raw: &mut Raw, path: &str) -> Option<Item> {
    match path.split_once('.') {
        Some((block, rest)) => raw
            .single(block)
            .is_some()
            .then(|| raw.block_mut(block))?
            .and_then(|block| take(block, rest)),
        None => raw.take(path),
    }
}

/// Lists are added to what is said, anything else only fills what is not said.
fn give(raw: &mut Raw, path: &str, item: Item) {
    if let Some((block, rest)) = path.split_once('.') {
        if let Some(block) = raw.block_mut(block) {
            give(block, rest, item);
        }
        return;
    }
    match (raw.take(path), item) {
        (Some(Item::Texts(said)), Item::Texts(more)) => {
            raw.set(path, Item::Texts([said, more].concat()))
        }
        (Some(said), _) => raw.set(path, said),
        (None, item) => raw.set(path, item),
    }
}

/// Warns of every enterprise key that would do something, and takes it away.
fn enterprise(raw: &mut Raw) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut ignored = |key: &str| {
        warnings
            .push(format!("{key:?} is a Consul Enterprise configuration and will have no effect"))
    };
    for (path, shown) in [
        ("read_replica", "read_replica (or the deprecated non_voting_server)"),
        ("segment", "segment"),
        ("segments", "segments"),
        ("partition", "partition"),
        ("autopilot.redundancy_zone_tag", "autopilot.redundancy_zone_tag"),
        ("autopilot.upgrade_version_tag", "autopilot.upgrade_version_tag"),
        ("autopilot.disable_upgrade_migration", "autopilot.disable_upgrade_migration"),
        ("dns_config.prefer_namespace", "dns_config.prefer_namespace"),
        ("acl.msp_disable_bootstrap", "acl.msp_disable_bootstrap"),
        ("acl.tokens.managed_service_provider", "acl.tokens.managed_service_provider"),
        ("audit", "audit"),
        ("license_path", "license_path"),
        ("reporting.license.enabled", "reporting.license.enabled"),
    ] {
        if take_unless_segments(raw, path)
            .is_some_and(|item| path == "license_path" || speaks(&item))
        {
            ignored(shown);
        }
    }
    warnings
}

/// Segments and a segment's name stop the start later (as they stop Consul's), so they stay.
fn take_unless_segments(raw: &mut Raw, path: &str) -> Option<Item> {
    if matches!(path, "segment" | "segments") { raw.item(path).cloned() } else { take(raw, path) }
}

/// Whether a value says anything: Consul does not warn of empty strings, empty lists and audit logs that are off.
fn speaks(item: &Item) -> bool {
    match item {
        Item::Text(text) => !text.is_empty(),
        Item::Blocks(blocks) => !blocks.is_empty(),
        Item::Block(audit) => {
            audit.flag("enabled") == Some(true) || audit.block_map("sink").next().is_some()
        }
        _ => true,
    }
}
