//! The keys of a node and of its scope: ed25519 seeds, each in a file of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::{SECRET_KEY_LENGTH, SigningKey};

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
}

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
        Ok(Self {
            node: open_or_make(&dir.join(NODE_FILE))?,
            scope: open_or_make(&dir.join(SCOPE_FILE))?,
        })
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
        Ok(Self { node: existing(NODE_FILE)?, scope: existing(SCOPE_FILE)? })
    }

    /// Keys that end with the process.
    pub fn generate() -> Self {
        Self { node: generate(), scope: generate() }
    }

    /// The keys of two seeds.
    pub fn from_seeds(node: [u8; SECRET_KEY_LENGTH], scope: [u8; SECRET_KEY_LENGTH]) -> Self {
        Self { node: SigningKey::from_bytes(&node), scope: SigningKey::from_bytes(&scope) }
    }

    /// The node's key.
    pub fn node(&self) -> &SigningKey {
        &self.node
    }

    /// The scope's key: it signs checkpoints.
    pub fn scope(&self) -> &SigningKey {
        &self.scope
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
