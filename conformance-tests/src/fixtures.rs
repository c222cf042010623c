//! The folder of recorded exchanges.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// `fixtures/http` of the checkout.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/http")
}

/// Every script below a folder, sorted.
///
/// # Errors
/// What the file system said.
pub fn scripts(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(scripts(&path)?);
        } else if path.extension().is_some_and(|ext| ext == "txt") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The name of a script: its path below [`folder`].
#[must_use]
pub fn name(path: &Path) -> String {
    path.strip_prefix(folder()).unwrap_or(path).display().to_string()
}
