//! Access control as the configuration asks for it, and the agent's own tokens over a restart.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use proconsul_anchors::acl::{AclSettings, AgentTokens, DefaultPolicy, DownPolicy, Tokens};
use proconsul_anchors::caller::Secret;
use serde_json::{Map, Value};
use tracing::warn;

use crate::config::Config;

/// Where tokens are kept that were set through the API, in the data folder.
const KEPT: &str = "acl-tokens.json";

/// Only the owner may read it.
const MODE: u32 = 0o600;

/// A token's name in the file, and its place.
type Field = (&'static str, fn(&mut Tokens) -> &mut Option<Secret>);

const FIELDS: [Field; 6] = [
    ("replication", |tokens| &mut tokens.replication),
    ("agent_recovery", |tokens| &mut tokens.agent_recovery),
    ("default", |tokens| &mut tokens.default),
    ("agent", |tokens| &mut tokens.agent),
    ("config_file_service_registration", |tokens| &mut tokens.config_file_service_registration),
    ("dns", |tokens| &mut tokens.dns),
];

/// What the index is told of access control.
pub(super) fn settings(config: &Config, tokens: &AgentTokens) -> AclSettings {
    let acl = &config.acl;
    AclSettings {
        enabled: acl.enabled,
        default_policy: match acl.default_policy.as_str() {
            "deny" => DefaultPolicy::Deny,
            _ => DefaultPolicy::Allow,
        },
        down_policy: match acl.down_policy.as_str() {
            "allow" => DownPolicy::Allow,
            "deny" => DownPolicy::Deny,
            "async-cache" => DownPolicy::AsyncCache,
            _ => DownPolicy::ExtendCache,
        },
        key_list_policy: acl.key_list_policy,
        datacenter: config.datacenter.as_str().into(),
        node: config.node.name.as_str().into(),
        tokens: tokens.clone(),
        initial_management: acl.initial_management.clone(),
    }
}

/// The agent's tokens: those that were kept before those of the configuration.
pub(super) fn tokens(config: &Config) -> AgentTokens {
    let tokens = AgentTokens::new(configured_and_kept(config));
    if let Some(path) = path(config) {
        let configured = config.acl.tokens.clone();
        tokens.keep(move |tokens| {
            let kept = write(&path, &configured, tokens);
            kept.map_err(|error| format!("{}: {error}", path.display()))
        });
    }
    tokens
}

/// The tokens after a reload.
pub(super) fn reload(config: &Config, tokens: &AgentTokens) {
    tokens.settle(configured_and_kept(config));
}

fn path(config: &Config) -> Option<PathBuf> {
    let dir =
        config.data_dir.as_ref().filter(|_| config.acl.token_persistence && !config.role.dev)?;
    Some(dir.join(KEPT))
}

fn configured_and_kept(config: &Config) -> Tokens {
    let mut tokens = config.acl.tokens.clone();
    let Some(path) = path(config) else { return tokens };
    let kept = match read(&path) {
        Ok(kept) => kept,
        Err(error) => {
            warn!(path = %path.display(), %error, "the kept tokens cannot be read");
            return tokens;
        }
    };
    for (name, place) in FIELDS {
        let Some(secret) = kept.get(name).and_then(Value::as_str) else { continue };
        let token = place(&mut tokens);
        if token.is_some() {
            warn!(name, "a token is both configured and kept from the API: the kept one is used");
        }
        *token = Some(Secret::new(secret));
    }
    tokens
}

/// What is kept. Before Consul 1.11 the recovery token had another name.
fn read(path: &Path) -> io::Result<Map<String, Value>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => return Err(error),
    };
    let mut kept: Map<String, Value> = serde_json::from_slice(&text)?;
    if let Some(former) = kept.remove("agent_master") {
        kept.entry("agent_recovery").or_insert(former);
    }
    Ok(kept)
}

/// Keeps those that are not the configuration's: whole, or as before.
fn write(path: &Path, configured: &Tokens, tokens: &Tokens) -> io::Result<()> {
    let (mut configured, mut tokens) = (configured.clone(), tokens.clone());
    let mut kept = Map::new();
    for (name, place) in FIELDS {
        if let Some(secret) = place(&mut tokens)
            && place(&mut configured).as_ref() != Some(secret)
        {
            kept.insert(name.to_owned(), secret.expose().into());
        }
    }
    let draft = path.with_extension("json.tmp");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&draft)?;
    file.write_all(&serde_json::to_vec(&kept)?)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_the_api_set_is_kept_and_nobody_else_reads_it() {
        let dir = std::env::temp_dir().join(format!("tokens-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(KEPT);
        let configured = Tokens { default: Some(Secret::new("d")), ..Tokens::default() };
        let tokens = Tokens { agent: Some(Secret::new("a")), ..configured.clone() };
        write(&path, &configured, &tokens).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"agent":"a"}"#);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        fs::write(&path, r#"{"agent_master":"m"}"#).unwrap();
        assert_eq!(read(&path).unwrap()["agent_recovery"], "m");
        fs::remove_dir_all(&dir).unwrap();
    }
}
