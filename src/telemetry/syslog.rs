//! The log to the machine's own log besides standard output: RFC 3164 over its socket, without a time, which the
//! machine adds.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing_subscriber::fmt::MakeWriter;

/// Where machines listen.
const PLACES: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// The names of facilities, by their numbers; a few have none.
const FACILITIES: [(&str, u8); 20] = [
    ("KERN", 0),
    ("USER", 1),
    ("MAIL", 2),
    ("DAEMON", 3),
    ("AUTH", 4),
    ("SYSLOG", 5),
    ("LPR", 6),
    ("NEWS", 7),
    ("UUCP", 8),
    ("CRON", 9),
    ("AUTHPRIV", 10),
    ("FTP", 11),
    ("LOCAL0", 16),
    ("LOCAL1", 17),
    ("LOCAL2", 18),
    ("LOCAL3", 19),
    ("LOCAL4", 20),
    ("LOCAL5", 21),
    ("LOCAL6", 22),
    ("LOCAL7", 23),
];

/// How severe a level is, as Consul sees it: a step less than it sounds.
const SEVERITIES: [(&str, u8); 5] =
    [("TRACE", 7), ("DEBUG", 6), ("INFO", 5), ("WARN", 4), ("ERROR", 3)];
/// A line without a level.
const NOTICE: u8 = 5;

/// What the machine's log knows the program by.
const TAG: &str = "consul";

/// The machine's log, shared by all who log.
#[derive(Clone, Debug)]
pub(crate) struct Syslog(Arc<Local>);

#[derive(Debug)]
struct Local {
    socket: UnixDatagram,
    place: PathBuf,
    facility: u8,
}

// === impl Syslog ===

impl Syslog {
    /// Opens the machine's log for a facility, whatever its letters' case.
    ///
    /// # Errors
    /// A facility that is none, or that the machine has no log.
    pub(crate) fn open(facility: &str) -> Result<Self, String> {
        Self::open_at(&PLACES.map(Path::new), facility)
    }

    fn open_at(places: &[&Path], facility: &str) -> Result<Self, String> {
        let known = FACILITIES.iter().find(|(name, _)| name.eq_ignore_ascii_case(facility));
        let (_, facility) = known.ok_or_else(|| format!("invalid syslog facility: {facility}"))?;
        let socket = UnixDatagram::unbound().map_err(|error| error.to_string())?;
        // Lines are dropped rather than waited with.
        socket.set_nonblocking(true).map_err(|error| error.to_string())?;
        let answers = |place: &&&Path| socket.send_to(&[], place).is_ok();
        let place = places.iter().find(answers).ok_or("Unix syslog delivery error")?.to_path_buf();
        Ok(Self(Arc::new(Local { socket, place, facility: *facility })))
    }
}

impl Write for Syslog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let told = packet(&String::from_utf8_lossy(line), self.0.facility, std::process::id());
        // Nobody can be told that the log is gone.
        let _gone = self.0.socket.send_to(told.as_bytes(), &self.0.place);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Syslog {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A line of the log, without its time and level, which go before it as a number.
fn packet(line: &str, facility: u8, process: u32) -> String {
    let level = line.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let severity = level.and_then(|(level, _)| {
        SEVERITIES.iter().find(|(name, _)| *name == level).map(|(_, severity)| *severity)
    });
    let (severity, text) = match (severity, level) {
        (Some(severity), Some((_, text))) => (severity, text),
        _ => (NOTICE, line),
    };
    format!("<{}>{TAG}[{process}]: {}", facility * 8 + severity, text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_its_level_by_number() {
        for (line, told) in [
            ("2026-01-02T03:04:05.678Z [INFO]  agent: hello\n", "<133>consul[7]: agent: hello"),
            ("2026-01-02T03:04:05.678Z [ERROR] agent: no [x]\n", "<131>consul[7]: agent: no [x]"),
            (
                "{\"@level\":\"warn\",\"a\":[1]}\n",
                "<133>consul[7]: {\"@level\":\"warn\",\"a\":[1]}",
            ),
        ] {
            assert_eq!(packet(line, 16, 7), told);
        }
    }

    #[test]
    fn lines_go_to_where_the_machine_listens() {
        let path = std::env::temp_dir().join(format!("proconsul-syslog-{}", std::process::id()));
        let machine = UnixDatagram::bind(&path).unwrap();
        let places = [Path::new("/no/such/log"), path.as_path()];
        let mut log = Syslog::open_at(&places, "daemon").unwrap();
        log.write_all(b"x [WARN]  agent: careful\n").unwrap();
        let mut told = [0; 64];
        let lengths = [machine.recv(&mut told).unwrap(), machine.recv(&mut told).unwrap()];
        let expected = format!("<28>consul[{}]: agent: careful", std::process::id());
        assert_eq!((lengths[0], &told[..lengths[1]]), (0, expected.as_bytes()));
        std::fs::remove_file(&path).unwrap();
        let refused = |places: &[&Path], facility| Syslog::open_at(places, facility).unwrap_err();
        assert_eq!(refused(&places, "x"), "invalid syslog facility: x");
        assert_eq!(refused(&places, "USER"), "Unix syslog delivery error");
    }
}
