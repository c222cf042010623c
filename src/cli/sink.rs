//! Files that commands write: whole or not at all, with the rights that their content needs.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::config::reason;

/// Rights of a file that only its owner reads.
const PRIVATE: u32 = 0o600;
/// Rights of a file that everybody reads.
const PUBLIC: u32 = 0o644;
/// Rights of a folder that is made for a file.
const FOLDER: u32 = 0o755;

/// Writes a file that only its owner reads.
///
/// # Errors
/// Go's sentence with the file that could not be written.
pub(super) fn write_private(path: &str, bytes: &[u8]) -> Result<(), String> {
    write(path, bytes, PRIVATE)
}

/// Writes a file that everybody reads.
///
/// # Errors
/// The same.
pub(super) fn write_public(path: &str, bytes: &[u8]) -> Result<(), String> {
    write(path, bytes, PUBLIC)
}

/// Writes beside the file and renames: a reader sees the old one or the new one.
fn write(path: &str, bytes: &[u8], rights: u32) -> Result<(), String> {
    let target = Path::new(path);
    if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(FOLDER).create(folder);
        made.map_err(|fault| format!("mkdir {}: {}", folder.display(), reason(&fault)))?;
    }
    let beside = format!("{path}.{}.tmp", std::process::id());
    let open =
        OpenOptions::new().write(true).create(true).truncate(true).mode(rights).open(&beside);
    let written = open.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed =
        written.map_err(|fault| format!("open {beside}: {}", reason(&fault))).and_then(|()| {
            fs::rename(&beside, target)
                .map_err(|fault| format!("rename {beside} {path}: {}", reason(&fault)))
        });
    if renamed.is_err() {
        let _gone = fs::remove_file(&beside);
    }
    renamed
}
