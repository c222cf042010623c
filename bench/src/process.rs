//! What the kernel says that a process has used.

use std::time::Duration;
use std::{fs, io};

/// `USER_HZ`: the unit of `/proc/<pid>/stat`, 100 on Linux whatever the kernel's own tick is.
const TICKS_PER_SECOND: u64 = 100;

/// A running process, known by its id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn new(pid: u32) -> Self {
        Self(pid)
    }

    /// This process itself.
    pub(crate) fn this() -> Self {
        Self(std::process::id())
    }

    /// User and system time of all its threads, also of those that have ended.
    pub(crate) fn cpu(self) -> io::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        parse_cpu(&stat).ok_or_else(|| unreadable("stat"))
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        parse_resident(&status).ok_or_else(|| unreadable("status"))
    }
}

fn unreadable(file: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("/proc/<pid>/{file} has another form than expected"),
    )
}

/// The command's name stands in brackets and may hold anything, brackets and spaces too: the fields begin behind the last bracket.
fn parse_cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_cpu(stat: &str, expected: Option<u64>) {
        assert_eq!(parse_cpu(stat), expected.map(Duration::from_millis), "{stat}");
    }

    #[test]
    fn cpu_is_user_and_system_time() {
        check_cpu(
            "42 (consul) S 1 42 42 0 -1 4194560 900 0 3 0 120 35 7 9 20 0 12 0 555 1 2",
            Some(1550),
        );
        check_cpu("42 (a) b) (c) R 1 42 42 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 5 1 2", Some(30));
        check_cpu("42 (short) S 1 42 42 0 -1 0 0 0 0 0 1", None);
        check_cpu("", None);
    }

    #[test]
    fn resident_memory_is_in_kib() {
        assert_eq!(parse_resident("Name:\tx\nVmHWM:\t 9 kB\nVmRSS:\t  2048 kB\n"), Some(2 << 20));
        assert_eq!(parse_resident("Name:\tkthread\n"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        assert!(Process::this().resident().unwrap() > 0);
        Process::this().cpu().unwrap();
    }
}
