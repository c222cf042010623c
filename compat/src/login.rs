//! Logins: a bearer token that an auth method vouches for becomes an identity, and binding rules make of it what a token
//! of ours may do.
//!
//! ```text
//!   bearer ─ settings (which keys) ─ jwt | kubernetes ─▶ claims ─▶ Identity ─ bind (rules) ─▶ Bindings ─▶ token
//! ```
//!
//! Only [`Logins`] asks the network, through the [`Fetch`] that the program hands in. Sources: Consul's documentation of
//! auth methods, RFC 7515, 7517 and 7519, OpenID Connect Discovery 1.0, Kubernetes' TokenReview.

pub(crate) mod bind;
pub(crate) mod claims;
pub(crate) mod fault;
pub(crate) mod fetch;
pub(crate) mod jwt;
mod keys;
mod kubernetes;
pub(crate) mod settings;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use proconsul_anchors::clock::Time;
use serde_json::Value;

pub(crate) use self::fault::LoginFault;
pub use self::fetch::{Fetch, FetchError, FetchRequest, Fetched, Fetching};
use self::keys::KeySet;
use self::settings::Settings;
use crate::filter::{Field, Kind, Schema};

/// What an auth method vouches for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Identity {
    /// What selectors are asked of.
    pub(crate) fields: Value,
    /// What stands for `${…}`.
    pub(crate) vars: BTreeMap<String, String>,
}

/// Verifies what clients log in with; keeps the keys that it fetched. Cheap to clone.
#[derive(Clone)]
pub struct Logins(Arc<Inner>);

struct Inner {
    fetch: Box<dyn Fetch>,
    /// By the name of the method.
    keys: Mutex<HashMap<Box<str>, Kept>>,
}

/// The keys of a method.
struct Kept {
    /// The index at which the method was last changed when they were fetched.
    modified: u64,
    keys: Arc<KeySet>,
}

/// Which method a login goes through.
pub(crate) struct Door<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// The index at which it was last changed.
    pub(crate) modified: u64,
    /// Its settings.
    pub(crate) settings: &'a Settings,
}

/// What the selectors of a `jwt` method's rules may ask.
pub(crate) static JWT_FIELDS: Schema = Schema {
    fields: &[
        Field::new("value", Kind::Map(&Kind::Text)),
        Field::new("list", Kind::Map(&Kind::Texts)),
    ],
};

/// What the selectors of a `kubernetes` method's rules may ask.
pub(crate) static KUBERNETES_FIELDS: Schema = Schema {
    fields: &[Field::new(
        "serviceaccount",
        Kind::Record(&[
            Field::new("namespace", Kind::Text),
            Field::new("name", Kind::Text),
            Field::new("uid", Kind::Text),
        ]),
    )],
};

// === impl Logins ===

impl Logins {
    /// Logins whose keys are fetched so.
    pub fn new(fetch: impl Fetch) -> Self {
        Self(Arc::new(Inner { fetch: Box::new(fetch), keys: Mutex::default() }))
    }

    /// Whether a method with these settings can work now: what it names outside is asked for once.
    pub(crate) async fn probe(&self, settings: &Settings) -> Result<(), LoginFault> {
        match settings {
            Settings::Jwt(jwt) => keys::probe(&*self.0.fetch, jwt).await,
            Settings::Kubernetes(_) => Ok(()),
        }
    }

    /// Whom a bearer token stands for.
    pub(crate) async fn identify(
        &self,
        door: &Door<'_>,
        bearer: &str,
        now: Time,
    ) -> Result<Identity, LoginFault> {
        match door.settings {
            Settings::Jwt(_) if bearer.is_empty() => Err(LoginFault::MissingJwt),
            Settings::Jwt(settings) => {
                let keys = self.keys_of(door);
                let claims = keys.verify(&*self.0.fetch, settings, bearer, now).await?;
                claims::identity(settings, &claims)
            }
            Settings::Kubernetes(settings) => {
                kubernetes::identify(&*self.0.fetch, settings, bearer).await
            }
        }
    }

    /// The keys of a method as it is now; those of its former settings are forgotten.
    fn keys_of(&self, door: &Door<'_>) -> Arc<KeySet> {
        let mut all = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = all.get(door.name).filter(|kept| kept.modified == door.modified) {
            return Arc::clone(&kept.keys);
        }
        let keys = Arc::new(KeySet::default());
        all.insert(door.name.into(), Kept { modified: door.modified, keys: Arc::clone(&keys) });
        keys
    }

    /// Forgets the keys of a method that is gone.
    pub(crate) fn forget(&self, method: &str) {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(method);
    }
}
