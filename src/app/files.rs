//! Watches the files of the configuration, where `auto_reload_config` asks for it.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

use super::reload::Reload;

/// How often the files are looked at. A change counts when the next look finds nothing newer: files are written in
/// several steps, and several at a time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When each file was written, and how long it is.
type Seen = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// What the files were at the last looks.
pub(super) struct Watched {
    taken: Seen,
    last: Seen,
}

/// Reloads whenever files change, until `stop` turns true.
pub(super) async fn follow(
    mut files: Watched,
    reload: Arc<Reload>,
    mut stop: watch::Receiver<bool>,
) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = looks.tick() => {}
        }
        if !files.changed(look(&reload.files())) {
            continue;
        }
        info!("files of the configuration changed");
        if let Err(error) = reload.again().await {
            error!(%error, "the configuration was not taken");
        }
    }
}

fn look(paths: &[PathBuf]) -> Seen {
    let mut seen = Seen::new();
    for path in paths {
        let Ok(about) = fs::metadata(path) else { continue };
        if about.is_dir() {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            seen.extend(entries.filter_map(|entry| mark(&entry.path(), &entry.metadata().ok()?)));
        } else {
            seen.extend(mark(path, &about));
        }
    }
    seen
}

fn mark(path: &Path, about: &Metadata) -> Option<(PathBuf, (Option<SystemTime>, u64))> {
    about.is_file().then(|| (path.to_owned(), (about.modified().ok(), about.len())))
}

// === impl Watched ===

impl Watched {
    /// The files as they are before anybody is served: what changes from then on is a change.
    pub(super) fn of(reload: &Reload) -> Self {
        Self::new(look(&reload.files()))
    }

    fn new(seen: Seen) -> Self {
        Self { taken: seen.clone(), last: seen }
    }

    /// Whether there is something new that has come to rest.
    fn changed(&mut self, seen: Seen) -> bool {
        let is_new = seen == self.last && seen != self.taken;
        if is_new {
            self.taken.clone_from(&seen);
        }
        self.last = seen;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_when_it_has_come_to_rest() {
        let seen = |length| Seen::from([(PathBuf::from("a"), (None, length))]);
        let mut files = Watched::new(seen(1));
        let looks =
            [(1, false), (2, false), (3, false), (3, true), (3, false), (1, false), (1, true)];
        for (length, changed) in looks {
            assert_eq!(files.changed(seen(length)), changed, "{length}");
        }
    }
}
