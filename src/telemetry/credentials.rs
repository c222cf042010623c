//! Which credentials are over soon: told in metrics, and warned of once in the log.

use std::collections::BTreeSet;
use std::time::Duration;

use metrics::gauge;
use proconsul_anchors::clock::Time;
use proconsul_anchors::credential::trust::{Known, Trust};
use proconsul_anchors::handle::Handle;
use tracing::warn;

/// Credentials that have a gauge of their own: those that are over first. There may be thousands.
const TOLD_MAX: usize = 32;
/// A credential is warned of when so much of its life is left: one part in ten.
const WARNED_SHARE: u32 = 10;
/// So much of an id tells credentials apart.
const ID_CHARS: usize = 12;

/// What was warned of already.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    warned: BTreeSet<Box<str>>,
}

impl Expiry {
    /// Looks at the credentials that hold.
    pub(super) fn tell(&mut self, handle: &Handle) {
        let (trust, now) = (handle.trust(), handle.now());
        if trust.is_empty() {
            return;
        }
        let ends = ends(&trust, now);
        for (known, left) in ends.iter().take(TOLD_MAX) {
            let id = known.id.get(..ID_CHARS).unwrap_or(&known.id).to_owned();
            gauge!("consul.anchor.credential.seconds_left", "role" => known.role.as_str(), "id" => id)
                .set(left.as_secs_f64());
        }
        let soon: Vec<&(&Known, Duration)> = ends
            .iter()
            .filter(|(of, left)| is_soon(of.ends().since(of.not_before), *left))
            .collect();
        for (known, left) in &soon {
            if self.warned.insert(known.id.clone()) {
                let seconds = left.as_secs();
                warn!(id = %known.id, role = %known.role, scope = %known.scope, seconds, "a credential is over soon: rotate it");
            }
        }
        self.warned.retain(|id| soon.iter().any(|(known, _)| known.id == *id));
    }
}

/// The credentials that hold, and for how long, those that are over first at the front.
fn ends(trust: &Trust, now: Time) -> Vec<(&Known, Duration)> {
    let standing = trust.credentials().filter(|known| trust.stands(known, now).is_ok());
    let mut ends: Vec<(&Known, Duration)> =
        standing.map(|known| (known, known.ends().since(now))).collect();
    ends.sort_by(|a, b| (a.1, &a.0.id).cmp(&(b.1, &b.0.id)));
    ends
}

fn is_soon(life: Duration, left: Duration) -> bool {
    left * WARNED_SHARE < life
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_soon_over_in_the_last_tenth_of_its_life() {
        for (left, soon) in [(1000, false), (101, false), (100, false), (99, true), (0, true)] {
            assert_eq!(
                is_soon(Duration::from_secs(1000), Duration::from_secs(left)),
                soon,
                "{left}"
            );
        }
    }
}
