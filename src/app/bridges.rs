//! Who keeps which bridged zone.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use proconsul_anchors::handle::Handle;
use proconsul_dns::server::update::{self, Key};

use super::settings;
use crate::config::{self, Config};
use crate::roles::bridge::{Bridger, Primary};

/// The folder in the data folder where the last version of each zone is kept.
const FOLDER: &str = "bridge";

/// One for each zone of the configuration.
///
/// # Errors
/// The text names the key file that cannot be used.
pub(super) fn of(
    config: &Config,
    handle: &Handle,
    dns: &Arc<ArcSwap<proconsul_dns::Settings>>,
) -> Result<Vec<Bridger>, String> {
    let bridger = |(place, said): (usize, &config::Bridge)| {
        let bridge = Arc::new(settings::bridge(config, said));
        let primary = primary(said, &bridge).map_err(|fault| format!("bridge[{place}].{fault}"))?;
        Ok(Bridger {
            handle: handle.clone(),
            dns: Arc::clone(dns),
            primary,
            secondaries: said.secondaries.clone(),
            file: file(config, said),
            bridge,
        })
    };
    config.bridges.iter().enumerate().map(bridger).collect()
}

fn primary(
    said: &config::Bridge,
    bridge: &proconsul_dns::bridge::Bridge,
) -> Result<Option<Primary>, String> {
    let Some((address, path)) = &said.server else { return Ok(None) };
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| format!("tsig_key_file: {shown}: {}", config::reason(&error)))?;
    let key = Key::read(&text).map_err(|fault| format!("tsig_key_file: {shown}: {fault}"))?;
    let owner = bridge.owner_text();
    let zone = update::Primary::new(&bridge.zone, &owner, bridge.ttl, key);
    Ok(Some(Primary::new(*address, zone, owner, said.compare_interval)))
}

fn file(config: &Config, said: &config::Bridge) -> Option<PathBuf> {
    let zone = said.zone.to_string();
    // A name may hold any byte, and a slash among them.
    let plain = zone.trim_end_matches('.').replace('/', "_");
    Some(config.data_dir.as_ref()?.join(FOLDER).join(format!("{plain}.zone")))
}
