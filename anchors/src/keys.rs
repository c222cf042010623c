//! The keys of a node and of its scope: ed25519 seeds, each in a file of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use ed25519_dalek::{SECRET_KEY_LENGTH, SigningKey, VerifyingKey};

/// The node's key file in a data directory.
const NODE_FILE: &str = "node.key";
/// The scope's key file in a data directory.
const SCOPE_FILE: &str = "scope.key";
/// Whoever may read a secret besides its owner.
const OTHERS: u32 = 0o077;

/// The keys of a node and of the scope that it governs. Never printed.
pub struct Keys {
    node: SigningKey,
    scope: SigningKey,
    anchor: AnchorKeys,
    /// Where the next one is kept; nowhere for keys that end with the process.
    dir: Option<PathBuf>,
    /// Held by whoever makes the next one.
    rotating: Mutex<()>,
}

/// The keys by which an anchor signs and signed, the current one last: first the scope's, then one for each rotation. Clones
/// see the same.
#[derive(Clone)]
pub struct AnchorKeys(Arc<ArcSwap<Vec<SigningKey>>>);

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system did not let us.
    #[error("key file {}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner may read or write it.
    #[error("key file {} is open to others (mode {mode:03o}); run chmod 600 on it", file.display())]
    TooOpen {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not hold a key.
    #[error("key file {} does not hold 64 hex digits; put back a copy of it", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
    },
}

// === impl Keys ===

impl Keys {
    /// The keys of a data directory; made where they are missing.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn open(dir: &Path) -> Result<Self, KeyError> {
        let node = open_or_make(&dir.join(NODE_FILE))?;
        Self::of(node, open_or_make(&dir.join(SCOPE_FILE))?).found_in(dir)
    }

    /// The keys of a data directory, none of them made.
    ///
    /// # Errors
    /// See [`KeyError`]; also when one is missing.
    pub fn existing(dir: &Path) -> Result<Self, KeyError> {
        let existing = |name| {
            let file = dir.join(name);
            let opened = File::open(&file);
            opened
                .map_err(|source| KeyError::Io { file: file.clone(), source })
                .and_then(|opened| read(&file, opened))
        };
        Self::of(existing(NODE_FILE)?, existing(SCOPE_FILE)?).found_in(dir)
    }

    /// Keys that end with the process.
    pub fn generate() -> Self {
        Self::of(generate(), generate())
    }

    /// The keys of two seeds.
    pub fn from_seeds(node: [u8; SECRET_KEY_LENGTH], scope: [u8; SECRET_KEY_LENGTH]) -> Self {
        Self::of(SigningKey::from_bytes(&node), SigningKey::from_bytes(&scope))
    }

    fn of(node: SigningKey, scope: SigningKey) -> Self {
        let anchor = AnchorKeys::from(scope.clone());
        Self { node, scope, anchor, dir: None, rotating: Mutex::default() }
    }

    /// The same with the keys of the rotations that a directory tells of.
    fn found_in(self, dir: &Path) -> Result<Self, KeyError> {
        loop {
            let file = dir.join(anchor_file(self.anchor.count()));
            match File::open(&file) {
                Ok(opened) => self.anchor.push(read(&file, opened)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Self { dir: Some(dir.into()), ..self });
                }
                Err(source) => return Err(KeyError::Io { file, source }),
            }
        }
    }

    /// Makes the next key of the anchor; from now on it signs.
    ///
    /// # Errors
    /// [`KeyError::Io`]: the former one signs on.
    pub fn rotate(&self) -> Result<SigningKey, KeyError> {
        let _one_at_a_time = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let key = generate();
        if let Some(dir) = &self.dir {
            let file = dir.join(anchor_file(self.anchor.count()));
            write(&file, &key).map_err(|source| KeyError::Io { file, source })?;
        }
        self.anchor.push(key.clone());
        Ok(key)
    }

    /// The node's key.
    pub fn node(&self) -> &SigningKey {
        &self.node
    }

    /// The scope's key: its root's, and the anchor's until the first rotation. Secrets are sealed under it.
    pub fn scope(&self) -> &SigningKey {
        &self.scope
    }

    /// The anchor's keys: the current one signs checkpoints.
    pub fn anchor(&self) -> &AnchorKeys {
        &self.anchor
    }
}

/// The file of the key of a rotation, from 1.
fn anchor_file(rotation: usize) -> String {
    format!("anchor-{rotation}.key")
}

// === impl AnchorKeys ===

impl AnchorKeys {
    /// The one that signs now.
    pub fn current(&self) -> SigningKey {
        self.0.load().last().expect("the scope's own is always there").clone()
    }

    /// How many there are: it rises with each rotation.
    pub fn count(&self) -> usize {
        self.0.load().len()
    }

    /// The secret half of a key, if it is one of them.
    pub fn held(&self, key: &VerifyingKey) -> Option<SigningKey> {
        self.0.load().iter().find(|held| held.verifying_key() == *key).cloned()
    }

    /// All of them, the current one first.
    pub fn all(&self) -> Vec<VerifyingKey> {
        self.0.load().iter().rev().map(SigningKey::verifying_key).collect()
    }

    fn push(&self, key: SigningKey) {
        self.0.rcu(|keys| keys.iter().cloned().chain([key.clone()]).collect::<Vec<_>>());
    }
}

impl From<SigningKey> for AnchorKeys {
    fn from(key: SigningKey) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(vec![key])))
    }
}

fn generate() -> SigningKey {
    SigningKey::from_bytes(&rand::random::<[u8; SECRET_KEY_LENGTH]>())
}

fn open_or_make(file: &Path) -> Result<SigningKey, KeyError> {
    match File::open(file) {
        Ok(opened) => read(file, opened),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = generate();
            write(file, &key).map_err(|source| KeyError::Io { file: file.into(), source })?;
            Ok(key)
        }
        Err(source) => Err(KeyError::Io { file: file.into(), source }),
    }
}

fn read(file: &Path, mut opened: File) -> Result<SigningKey, KeyError> {
    let failed = |source| KeyError::Io { file: file.into(), source };
    let mode = opened.metadata().map_err(failed)?.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(KeyError::TooOpen { file: file.into(), mode });
    }
    let mut text = String::new();
    opened.read_to_string(&mut text).map_err(failed)?;
    let seed = crate::encoding::hex::decode(text.trim_end());
    seed.map(|seed| SigningKey::from_bytes(&seed))
        .ok_or_else(|| KeyError::Malformed { file: file.into() })
}

/// Beside its place first, so that a crash leaves no half-written key.
fn write(file: &Path, key: &SigningKey) -> io::Result<()> {
    let draft = file.with_extension("key.new");
    let mut options = OpenOptions::new();
    let mut opened = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    writeln!(opened, "{}", crate::encoding::hex::encode(key.as_bytes()))?;
    opened.sync_all()?;
    fs::rename(&draft, file)?;
    let dir = file.parent().unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn keys_are_made_once_and_for_the_owner_alone() {
        let dir = TempDir::new();
        let made = Keys::open(dir.path()).unwrap();
        let again = Keys::open(dir.path()).unwrap();
        assert_eq!(made.scope().to_bytes(), again.scope().to_bytes());
        assert_ne!(made.scope().to_bytes(), made.node().to_bytes());
        assert_eq!(fs::metadata(dir.path().join(SCOPE_FILE)).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_rotation_is_found_again_and_forgets_no_key() {
        let dir = TempDir::new();
        let made = Keys::open(dir.path()).unwrap();
        let keys = made.anchor().clone();
        assert_eq!(keys.current().to_bytes(), made.scope().to_bytes());
        let next = made.rotate().unwrap();
        assert_eq!(keys.current().to_bytes(), next.to_bytes(), "clones see it");
        let file = dir.path().join(anchor_file(1));
        assert_eq!(fs::metadata(file).unwrap().mode() & 0o777, 0o600);
        let again = Keys::existing(dir.path()).unwrap();
        assert_eq!(again.anchor().all(), [next.verifying_key(), made.scope().verifying_key()]);
        assert_eq!(again.anchor().current().to_bytes(), next.to_bytes());
        assert!(again.anchor().held(&made.node().verifying_key()).is_none());
    }

    #[test]
    fn a_key_that_is_open_or_damaged_is_named() {
        let dir = TempDir::new();
        Keys::open(dir.path()).unwrap();
        let file = dir.path().join(SCOPE_FILE);
        fs::write(&file, "no key").unwrap();
        assert!(
            matches!(Keys::open(dir.path()), Err(KeyError::Malformed { file: named }) if named == file)
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Keys::open(dir.path()), Err(KeyError::TooOpen { mode: 0o644, .. })));
    }
}
