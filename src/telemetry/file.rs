//! The log in a file besides standard output: opened at the start, closed and renamed when it is large or old.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing_subscriber::fmt::MakeWriter;

/// The name of a log whose folder alone is given.
const DEFAULT_NAME: &str = "consul.log";
/// A file is closed after this time when nothing else is said.
const AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Others of the group may read a log, nobody else.
const MODE: u32 = 0o640;

/// When a log file is closed, and how many closed ones stay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    /// Bytes; 0 is no bound.
    pub(crate) bytes: u64,
    /// Time; zero is a day.
    pub(crate) age: Duration,
    /// Closed files; 0 keeps all, a negative number none.
    pub(crate) files: i64,
}

/// A log file, shared by all who log.
#[derive(Clone)]
pub(crate) struct LogFile(Arc<Mutex<Open>>);

struct Open {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    bytes: u64,
    since: SystemTime,
}

// === impl LogFile ===

impl LogFile {
    /// Opens a log file; a path that ends with a slash names the folder.
    ///
    /// # Errors
    /// The file that cannot be opened.
    pub(crate) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let is_folder = path.to_string_lossy().ends_with('/') || path.is_dir();
        let path = if is_folder { path.join(DEFAULT_NAME) } else { path.to_owned() };
        let file = append(&path)?;
        let bytes = file.metadata().map(|about| about.len()).unwrap_or(0);
        Ok(Self(Arc::new(Mutex::new(Open {
            path,
            rotation,
            file,
            bytes,
            since: SystemTime::now(),
        }))))
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(MODE).open(path)
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.rotate_at(SystemTime::now())?;
        let written = open.file.write(line)?;
        open.bytes += u64::try_from(written).unwrap_or(0);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).file.flush()
    }
}

// === impl Open ===

impl Open {
    /// Closes the file when it is large or old enough, under a name with the time, and begins another.
    fn rotate_at(&mut self, now: SystemTime) -> io::Result<()> {
        let Rotation { bytes, age, files } = self.rotation;
        let age = if age.is_zero() { AGE_MAX } else { age };
        let large = bytes > 0 && self.bytes >= bytes;
        let old = now.duration_since(self.since).is_ok_and(|passed| passed >= age);
        if !(large || old) {
            return Ok(());
        }
        let nanos = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        fs::rename(&self.path, self.closed_name(&nanos.to_string()))?;
        (self.file, self.bytes, self.since) = (append(&self.path)?, 0, now);
        self.forget(files)
    }

    /// `consul.log` becomes `consul-<time>.log`.
    fn closed_name(&self, time: &str) -> PathBuf {
        let text =
            |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
        let stem = text(self.path.file_stem()).unwrap_or_default();
        let ending =
            text(self.path.extension()).map(|ending| format!(".{ending}")).unwrap_or_default();
        self.path.with_file_name(format!("{stem}-{time}{ending}"))
    }

    /// Removes the oldest closed files beyond what stays.
    fn forget(&self, files: i64) -> io::Result<()> {
        let keep = match files {
            0 => return Ok(()),
            count => usize::try_from(count).unwrap_or(0),
        };
        let shape = self
            .closed_name("*")
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let (head, tail) = shape.split_once('*').unwrap_or((shape.as_str(), ""));
        let is_closed = |path: &PathBuf| {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            let time = name.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
            time.is_some_and(|time| {
                !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit())
            })
        };
        let folder = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut closed: Vec<PathBuf> =
            fs::read_dir(folder)?.flatten().map(|entry| entry.path()).filter(is_closed).collect();
        closed.sort();
        closed.iter().rev().skip(keep).try_for_each(fs::remove_file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_large_or_old_file_is_closed_and_the_oldest_forgotten() {
        for (files, age, left) in [(2, 0, 3), (0, 0, 6), (-1, 0, 1), (0, 3600, 6)] {
            let folder = std::env::temp_dir()
                .join(format!("proconsul-log-{}-{files}-{age}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            let bytes = if age == 0 { 10 } else { 0 };
            let rotation = Rotation { bytes, age: Duration::from_secs(age), files };
            let log = LogFile::open(&folder.join("x.log"), rotation).unwrap();
            for hour in 0..6 {
                let mut open = log.0.lock().unwrap();
                open.rotate_at(SystemTime::now() + Duration::from_secs(hour * 3600)).unwrap();
                open.file.write_all(b"0123456789\n").unwrap();
                open.bytes += 11;
            }
            let found = names(&folder);
            fs::remove_dir_all(&folder).unwrap();
            assert_eq!(found, left, "{files} {age}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_told() {
        let rotation = Rotation { bytes: 0, age: Duration::ZERO, files: 0 };
        assert!(LogFile::open(Path::new("/nowhere/x.log"), rotation).is_err());
    }
}
