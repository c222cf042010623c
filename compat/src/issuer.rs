//! The certificate authority at work: its configuration and roots in the index, the leaves that it issued in memory.
//!
//! Each serial number is the revision of a small write of its own, so that none is given twice, and the lineage tells what
//! was issued for whom. Keys of roots are sealed before they are written; keys of leaves are kept in memory only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proconsul_anchors::caller::{Caller, Secret};
use proconsul_anchors::change::Change;
use proconsul_anchors::clock::Time;
use proconsul_anchors::error::Refusal;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::index::{Index, Row};
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{
    AnyRecord, CA_CONFIG as CONFIG, CaRoot, RecordChange, Setting, TableId, When,
};
use proconsul_anchors::sealed::SealedSecret;
use proconsul_ca::{
    InvalidSettings, IssueError, KeyKind, Leaf, NewRoot, PrivateKey, Root, Settings, TrustDomain,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::limits::{LEAVES_MAX, ROTATED_ROOT_LEAVES};

/// The setting that is written for each serial number.
const SERIAL: &str = "ca-serial";
/// The only provider.
const PROVIDER: &str = "consul";
/// The configuration's key that holds a private key.
const PRIVATE_KEY: &str = "PrivateKey";
/// A leaf is issued again when this part of its life, in hundredths, is over.
const RENEW_AFTER_PERCENT: i64 = 70;

/// What the program settles for the authority.
#[derive(Clone, Debug)]
pub struct CaSettings {
    /// Whether there is one.
    pub enabled: bool,
    /// The cluster's id; a new one when not given. Read when the scope is founded.
    pub cluster: Option<Box<str>>,
    /// The provider; empty for the built-in one.
    pub provider: Box<str>,
    /// Its configuration, beside the defaults. Read when the scope is founded.
    pub config: Map<String, Value>,
}

/// The authority. Clones are the same one.
#[derive(Clone)]
pub struct Issuer(Arc<Inner>);

struct Inner {
    handle: Handle,
    settings: CaSettings,
    leaves: Mutex<HashMap<Box<str>, Arc<Issued>>>,
    /// One certificate is issued at a time, and one configuration taken.
    issuing: tokio::sync::Mutex<()>,
}

/// A leaf with when it was issued.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) leaf: Leaf,
    /// The revision that its serial number is of.
    pub(crate) index: u64,
    /// When it was issued.
    pub(crate) at: Time,
}

/// The configuration as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Configuration {
    pub(crate) cluster: Box<str>,
    pub(crate) provider: Box<str>,
    /// All but a private key.
    pub(crate) config: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private_key: Option<SealedSecret>,
    #[serde(default)]
    pub(crate) state: Option<Map<String, Value>>,
    #[serde(default)]
    pub(crate) force_without_cross_signing: bool,
}

/// What a client wants the configuration to be.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) provider: String,
    pub(crate) config: Map<String, Value>,
    pub(crate) state: Option<Map<String, Value>>,
    pub(crate) force_without_cross_signing: bool,
}

/// Why the authority does not do what it is asked for. The texts are Consul's where it has one.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// It is off.
    #[error("Connect must be enabled in order to use this endpoint")]
    Off,
    /// It is not founded yet.
    #[error("CA is uninitialized and unable to sign certificates yet: no root certificate")]
    NoRoot,
    /// 400.
    #[error("Provider State is read-only. It must be omitted or identical to the current value")]
    StateReadOnly,
    /// There is no such provider.
    #[error("could not initialize provider: unknown CA provider {0:?}")]
    UnknownProvider(Box<str>),
    /// Consul has it; here it is not built.
    #[error("could not initialize provider: CA provider {0:?} is not supported yet by proconsul")]
    NoProvider(Box<str>),
    /// The configuration cannot be.
    #[error("error configuring provider: {0}")]
    Settings(#[from] InvalidSettings),
    /// There is no new root.
    #[error("error generating CA root certificate: {0}")]
    Root(IssueError),
    /// The old root must not sign the new one.
    #[error(
        "The current CA Provider does not support cross-signing. You can try again with ForceWithoutCrossSigningSet but this may cause disruption - see documentation for more."
    )]
    NoCrossSigning,
    /// A certificate is not issued.
    #[error("{0}")]
    Issue(#[from] IssueError),
    /// The root's key was sealed elsewhere.
    #[error("the key of the active root cannot be opened")]
    Sealed,
    /// Somebody else changed it meanwhile.
    #[error("could not atomically update roots and config")]
    Changed,
    /// The write was refused.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// It stopped in the middle.
    #[error("{0}")]
    Stopped(#[from] tokio::task::JoinError),
}

// === impl CaSettings ===

impl CaSettings {
    /// There is none.
    pub fn off() -> Self {
        Self { enabled: false, cluster: None, provider: "".into(), config: Map::new() }
    }
}

// === impl Issuer ===

impl Issuer {
    /// The authority of a scope.
    pub fn new(handle: Handle, settings: CaSettings) -> Self {
        let (leaves, issuing) = (Mutex::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { handle, settings, leaves, issuing }))
    }

    /// Makes the first root, unless there is one.
    ///
    /// # Errors
    /// The configuration cannot be, or the writes are refused.
    pub async fn found(&self) -> Result<(), CaError> {
        if !self.0.settings.enabled || configuration(&self.0.handle.snapshot()).is_some() {
            return Ok(());
        }
        let given = &self.0.settings;
        let provider = if given.provider.is_empty() { PROVIDER } else { &given.provider };
        known_provider(provider)?;
        let cluster = given.cluster.clone().unwrap_or_else(new_cluster);
        let mut config = defaults();
        config.extend(given.config.clone());
        let settings = Settings::read(&config)?;
        let (root, key) = self.new_root(&settings, &cluster).await?;
        let kept = Configuration {
            cluster,
            provider: provider.into(),
            force_without_cross_signing: false,
            private_key: None,
            state: test_state(&config),
            config,
        };
        let changes = vec![self.put_root(&root, Some(&key), When::Index(0)), self.put(kept, 0)];
        self.commit(changes).await
    }

    /// Refuses while it is off.
    pub(crate) fn on(&self) -> Result<(), CaError> {
        if self.0.settings.enabled { Ok(()) } else { Err(CaError::Off) }
    }

    /// The private key of a configuration, which was kept sealed.
    pub(crate) fn private_key(&self, kept: &Configuration) -> Option<Secret> {
        self.0.handle.unseal(kept.private_key.as_ref()?)
    }

    /// Takes another configuration, with another root where it asks for one.
    pub(crate) async fn configure(&self, wanted: Wanted) -> Result<(), CaError> {
        self.on()?;
        let _one = self.0.issuing.lock().await;
        let index = self.0.handle.snapshot();
        let (row, kept) = configuration(&index).ok_or(CaError::NoRoot)?;
        let is_read_only = wanted.state.as_ref().is_some_and(|state| !state.is_empty());
        if is_read_only && wanted.state != kept.state {
            return Err(CaError::StateReadOnly);
        }
        let before = self.with_key(&kept);
        if *wanted.provider == *kept.provider && wanted.config == before {
            return Ok(());
        }
        known_provider(&wanted.provider)?;
        let settings = Settings::read(&wanted.config)?;
        let former = Settings::read(&before).unwrap_or_default();
        let mut changes = Vec::new();
        if !settings.same_root(&former) {
            let force = wanted.force_without_cross_signing;
            changes = self.rotate(&index, &settings, &former, (&kept.cluster, force)).await?;
        }
        let state = test_state(&wanted.config).or_else(|| kept.state.clone());
        let next = Configuration {
            cluster: kept.cluster,
            provider: wanted.provider.into(),
            config: wanted.config,
            private_key: None,
            state,
            force_without_cross_signing: wanted.force_without_cross_signing,
        };
        changes.push(self.put(next, row));
        self.commit(changes).await
    }

    /// The writes that put another root in the place of the active one.
    async fn rotate(
        &self,
        index: &Index,
        settings: &Settings,
        former: &Settings,
        (cluster, force): (&str, bool),
    ) -> Result<Vec<RecordChange>, CaError> {
        let (mut root, key) = self.new_root(settings, cluster).await?;
        let (row, active) = active(index).ok_or(CaError::NoRoot)?;
        if root.id == active.id {
            return Ok(Vec::new());
        }
        if !force {
            if former.disable_cross_signing {
                return Err(CaError::NoCrossSigning);
            }
            let old_key = self.key_of(&row.record)?;
            let serial = self.next_serial("cross-signed root").await?;
            let crossed = active.cross_sign(&old_key, &root, serial, self.seconds())?;
            root.intermediates.insert(0, crossed.into());
        }
        let mut changes = self.retire(index, former);
        changes.push(self.put_root(&root, Some(&key), When::Always));
        Ok(changes)
    }

    /// The writes that retire the active root, and remove those that no leaf can be of any more.
    fn retire(&self, index: &Index, former: &Settings) -> Vec<RecordChange> {
        let now = self.seconds();
        let life = i64::try_from(former.leaf_ttl.as_secs()).unwrap_or(i64::MAX);
        let is_stale = |root: &Root| {
            let over = |at: i64| now.saturating_sub(at) > life.saturating_mul(ROTATED_ROOT_LEAVES);
            root.rotated_out.is_some_and(over)
        };
        let mut changes = Vec::new();
        for (row, root) in roots(index) {
            if is_stale(&root) {
                let (table, key) = (TableId::CaRoot, row.record.id.clone());
                changes.push(RecordChange::Remove { table, key, when: When::Always });
            } else {
                let rotated_out = root.rotated_out.or(Some(now));
                let retired = Root { active: false, rotated_out, ..root };
                changes.push(self.put_root(&retired, None, When::Index(row.modified)));
            }
        }
        changes
    }

    async fn new_root(
        &self,
        settings: &Settings,
        cluster: &str,
    ) -> Result<(Root, PrivateKey), CaError> {
        let unusable = |fault: proconsul_ca::KeyError| CaError::Root(fault.into());
        let key = if settings.private_key.is_empty() {
            let (kind, bits) = settings.key();
            // Hundreds of milliseconds for RSA.
            tokio::task::spawn_blocking(move || PrivateKey::generate(kind, bits))
                .await?
                .map_err(unusable)?
        } else {
            PrivateKey::from_pem(&settings.private_key).map_err(unusable)?
        };
        if !settings.root_cert.is_empty() {
            let root = Root::read(&settings.root_cert, cluster).map_err(CaError::Root)?;
            return Ok((root, key));
        }
        let new = NewRoot {
            key: &key,
            cluster,
            ttl: settings.root_ttl,
            serial: self.next_serial("root").await?,
            salt: rand::random(),
            now: self.seconds(),
        };
        Ok((Root::create(&new).map_err(CaError::Root)?, key))
    }

    /// The certificate of a service: the one that was issued, while it is good; as soon as it is another than the one of
    /// revision `after`, or as it is when the patience is over. Whether it was there already.
    pub(crate) async fn leaf(
        &self,
        datacenter: &str,
        service: &str,
        after: u64,
        patience: Duration,
    ) -> Result<(Arc<Issued>, bool), CaError> {
        self.on()?;
        let deadline = self.0.handle.now() + patience;
        loop {
            let now = self.0.handle.now();
            let moved = self.0.handle.snapshot().table_mark(TableId::CaRoot);
            let (issued, was_there) = self.good_leaf(datacenter, service).await?;
            let left = deadline.since(now);
            if issued.index > after || left.is_zero() {
                return Ok((issued, was_there));
            }
            let renewal = Time(seconds_to_nanos(renew_at(&issued.leaf))).since(now);
            let wait = left.min(renewal.max(Duration::from_secs(1)));
            let query = Query::Table(TableId::CaRoot);
            // The program itself is known to the door: only that something may have moved matters.
            let _moved = self.0.handle.wait(&Caller::own(), &query, moved, wait).await;
        }
    }

    async fn good_leaf(
        &self,
        datacenter: &str,
        service: &str,
    ) -> Result<(Arc<Issued>, bool), CaError> {
        if let Some(issued) = self.kept_leaf(service) {
            return Ok((issued, true));
        }
        let _one = self.0.issuing.lock().await;
        if let Some(issued) = self.kept_leaf(service) {
            return Ok((issued, true));
        }
        let issued = Arc::new(self.issue(datacenter, service).await?);
        self.keep(service, &issued);
        Ok((issued, false))
    }

    /// The leaf of a service, while the active root signed it and most of its life is ahead.
    fn kept_leaf(&self, service: &str) -> Option<Arc<Issued>> {
        let issued = self.leaves().get(service).cloned()?;
        let index = self.0.handle.snapshot();
        let (_, root) = active(&index)?;
        let good = root.id == issued.leaf.root && self.seconds() < renew_at(&issued.leaf);
        good.then_some(issued)
    }

    fn keep(&self, service: &str, issued: &Arc<Issued>) {
        let mut leaves = self.leaves();
        if leaves.len() >= LEAVES_MAX && !leaves.contains_key(service) {
            let oldest = leaves.iter().min_by_key(|(_, issued)| issued.at);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                leaves.remove(&name);
            }
        }
        leaves.insert(service.into(), Arc::clone(issued));
    }

    fn leaves(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, Arc<Issued>>> {
        self.0.leaves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn issue(&self, datacenter: &str, service: &str) -> Result<Issued, CaError> {
        let index = self.0.handle.snapshot();
        let (_, kept) = configuration(&index).ok_or(CaError::NoRoot)?;
        let (row, root) = active(&index).ok_or(CaError::NoRoot)?;
        let key = self.key_of(&row.record)?;
        let ttl = Settings::read(&kept.config).unwrap_or_default().leaf_ttl;
        let serial = self.next_serial(service).await?;
        let identity = TrustDomain::of_cluster(&kept.cluster).service(datacenter, service);
        let at = self.0.handle.now();
        let now = self.seconds();
        let leaf = tokio::task::spawn_blocking(move || {
            let leaf_key = PrivateKey::generate(KeyKind::Ec, 256)?;
            root.issue(&key, (&identity, leaf_key), serial, ttl, now)
        });
        Ok(Issued { leaf: leaf.await??, index: serial, at })
    }

    /// A number that no certificate has: the revision of a write that tells for whom it is.
    async fn next_serial(&self, of: &str) -> Result<u64, CaError> {
        let body = json!({ "for": of, "at": self.0.handle.now() }).to_string().into();
        let setting = Setting { name: SERIAL.into(), body };
        let record = AnyRecord::Setting(Box::new(setting));
        let change = Change::Records(vec![RecordChange::Put { record, when: When::Always }]);
        Ok(self.0.handle.submit(&Caller::own(), change).await?.revision)
    }

    async fn commit(&self, changes: Vec<RecordChange>) -> Result<(), CaError> {
        let committed = self.0.handle.submit(&Caller::own(), Change::Records(changes)).await?;
        if committed.yes { Ok(()) } else { Err(CaError::Changed) }
    }

    fn put_root(&self, root: &Root, key: Option<&PrivateKey>, when: When) -> RecordChange {
        let body = serde_json::to_string(root).expect("a root is plain data");
        let key = key.map(|key| self.0.handle.seal(&Secret::new(&key.to_pem())));
        let record = CaRoot { id: root.id.clone(), body: body.into(), key };
        RecordChange::Put { record: AnyRecord::CaRoot(Box::new(record)), when }
    }

    /// Keeps a configuration in the place of the one of a revision; a private key in it is sealed.
    fn put(&self, mut kept: Configuration, former: u64) -> RecordChange {
        if let Some(Value::String(key)) = kept.config.get_mut(PRIVATE_KEY)
            && !key.is_empty()
        {
            kept.private_key = Some(self.0.handle.seal(&Secret::new(&std::mem::take(key))));
        }
        let body = serde_json::to_string(&kept).expect("a configuration is plain data");
        let setting = Setting { name: CONFIG.into(), body: body.into() };
        let record = AnyRecord::Setting(Box::new(setting));
        RecordChange::Put { record, when: When::Index(former) }
    }

    /// A configuration as it was given, its private key included.
    pub(crate) fn with_key(&self, kept: &Configuration) -> Map<String, Value> {
        let mut config = kept.config.clone();
        if let Some(key) = self.private_key(kept) {
            config.insert(PRIVATE_KEY.to_owned(), key.expose().into());
        }
        config
    }

    fn key_of(&self, root: &CaRoot) -> Result<PrivateKey, CaError> {
        let sealed = root.key.as_ref().ok_or(CaError::Sealed)?;
        let key = self.0.handle.unseal(sealed).ok_or(CaError::Sealed)?;
        PrivateKey::from_pem(key.expose()).map_err(|_| CaError::Sealed)
    }

    fn seconds(&self) -> i64 {
        i64::try_from(self.0.handle.now().as_millis() / 1000).unwrap_or(i64::MAX)
    }
}

/// The configuration of an index, with the revision that wrote it.
fn configuration(index: &Index) -> Option<(u64, Configuration)> {
    let row = index.record::<Setting>(CONFIG)?;
    Some((row.modified, serde_json::from_str(&row.record.body).ok()?))
}

/// The same with the row that keeps it.
pub(crate) fn kept(index: &Index) -> Option<(&Row<Setting>, Configuration)> {
    let row = index.record::<Setting>(CONFIG)?;
    Some((row, serde_json::from_str(&row.record.body).ok()?))
}

/// The roots of an index, by id.
pub(crate) fn roots(index: &Index) -> impl Iterator<Item = (&Row<CaRoot>, Root)> {
    let read = |row: &CaRoot| serde_json::from_str(&row.body).ok();
    index.records::<CaRoot>().filter_map(move |row| Some((&**row, read(&row.record)?)))
}

fn active(index: &Index) -> Option<(&Row<CaRoot>, Root)> {
    roots(index).find(|(_, root)| root.active)
}

fn known_provider(name: &str) -> Result<(), CaError> {
    match name {
        PROVIDER => Ok(()),
        "vault" | "aws-pca" => Err(CaError::NoProvider(name.into())),
        _ => Err(CaError::UnknownProvider(name.into())),
    }
}

fn new_cluster() -> Box<str> {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string().into()
}

/// What Consul configures when nobody says otherwise.
fn defaults() -> Map<String, Value> {
    let defaults =
        [("LeafCertTTL", "72h"), ("IntermediateCertTTL", "8760h"), ("RootCertTTL", "87600h")];
    defaults.map(|(key, value)| (key.to_owned(), value.into())).into_iter().collect()
}

/// What tests of Consul keep as the provider's state.
fn test_state(config: &Map<String, Value>) -> Option<Map<String, Value>> {
    let state = config.get("test_state")?.as_object()?;
    Some(state.iter().filter(|(_, value)| value.is_string()).map(own).collect())
}

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// When a leaf is to be issued again, in seconds since 1970.
fn renew_at(leaf: &Leaf) -> i64 {
    leaf.not_before + (leaf.not_after - leaf.not_before) / 100 * RENEW_AFTER_PERCENT
}

fn seconds_to_nanos(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000)
}
