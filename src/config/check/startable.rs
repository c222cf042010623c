//! What Consul checks when the agent starts and not in `validate`.

use crate::config::Config;

/// Names of log levels, whatever their case.
const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERR", "ERROR"];
/// Policies that a request without a rule may meet.
const POLICIES: [&str; 2] = ["allow", "deny"];
/// What may count while no server is reached.
const DOWN_POLICIES: [&str; 4] = ["allow", "deny", "async-cache", "extend-cache"];
/// Length of a UUID in letters.
const UUID_LEN: usize = 36;

/// Whether the agent can start.
///
/// # Errors
/// Consul's sentence.
pub(crate) fn startable(config: &Config) -> Result<(), String> {
    let level = config.log.level.to_uppercase();
    if !LEVELS.contains(&level.as_str()) {
        return Err(format!(
            "Invalid log level: {}. Valid log levels are: [{}]",
            config.log.level,
            LEVELS.join(" ")
        ));
    }
    if let Some(fault) = config.node.id.as_deref().and_then(uuid_fault) {
        return Err(format!("failed to setup node ID: specified NodeID is invalid: {fault}"));
    }
    if !POLICIES.contains(&config.acl.default_policy.as_str()) {
        return Err(format!("Unsupported default ACL policy: {}", config.acl.default_policy));
    }
    if !DOWN_POLICIES.contains(&config.acl.down_policy.as_str()) {
        return Err(format!("Unsupported down ACL policy: {}", config.acl.down_policy));
    }
    if !config.role.server {
        return Err("a client agent (server = false) is not supported yet: there is no server to join. Start with -server \
                    -bootstrap, or with -dev"
            .to_owned());
    }
    Ok(())
}

/// What is wrong with a text that should be a UUID.
fn uuid_fault(text: &str) -> Option<String> {
    let dashes = [8, 13, 18, 23];
    if text.len() != UUID_LEN {
        return Some("uuid string is wrong length".to_owned());
    }
    if dashes.iter().any(|place| text.as_bytes().get(*place) != Some(&b'-')) {
        return Some("uuid is improperly formatted".to_owned());
    }
    let wrong = text
        .char_indices()
        .find(|(place, letter)| !dashes.contains(place) && !letter.is_ascii_hexdigit());
    wrong.map(|(_, letter)| {
        format!("encoding/hex: invalid byte: U+{:04X} {letter:?}", u32::from(letter))
    })
}
