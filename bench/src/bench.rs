//! What all works share: the programs, the rounds, and who has the next turn.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use crate::Failure;
use crate::findings::{Findings, Subject};
use crate::load::{Crowd, Load, Script};
use crate::options::Options;
use crate::process::Process;
use crate::server::Server;

/// Seeding a catalog takes Consul about 15 s for the largest fleet; a server that needs much longer is not working.
const SEEDING_MAX: Duration = Duration::from_secs(180);
const SEEDING_CLIENTS: usize = 32;

/// The subjects and the measure of the works.
#[derive(Debug)]
pub(crate) struct Bench {
    consul: Option<PathBuf>,
    proconsul: Option<PathBuf>,
    pub(crate) dir: PathBuf,
    /// Length of a timed round.
    pub(crate) round: Duration,
    pub(crate) rounds: u64,
}

impl Bench {
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        Ok(Self {
            consul: chosen(options.consul.as_ref(), consul)?,
            proconsul: chosen(options.proconsul.as_ref(), proconsul)?,
            dir: options.dir.clone().unwrap_or_else(env::temp_dir),
            round: Duration::from_secs(options.seconds),
            rounds: options.rounds,
        })
    }

    pub(crate) fn program(&self, subject: Subject) -> Option<&Path> {
        match subject {
            Subject::Consul => self.consul.as_deref(),
            Subject::Proconsul => self.proconsul.as_deref(),
            Subject::Limit => None,
        }
    }

    /// Starts one subject; when it is missing or does not start, that is a note, and the others go on.
    pub(crate) async fn start(&self, subject: Subject, findings: &mut Findings) -> Option<Server> {
        let Some(program) = self.program(subject) else {
            findings.notes.push(format!("{subject:?} was not found and did not take part."));
            return None;
        };
        let started = Server::catalog(subject, program, &self.dir).await;
        started.map_err(|failure| findings.notes.push(failure.to_string())).ok()
    }

    /// Starts both, Consul first. One of them has to run: without an answer there is nothing to measure.
    pub(crate) async fn start_both(&self, findings: &mut Findings) -> Result<Vec<Server>, Failure> {
        let mut servers = Vec::new();
        for subject in [Subject::Consul, Subject::Proconsul] {
            servers.extend(self.start(subject, findings).await);
        }
        if servers.is_empty() { Err(findings.notes.join("\n").into()) } else { Ok(servers) }
    }
}

/// Every second round goes the other way round, so that a drift of the machine hits all alike.
pub(crate) fn turns<T>(round: u64, subjects: &mut [T]) -> impl Iterator<Item = &mut T> {
    if round > 0 {
        subjects.reverse();
    }
    subjects.iter_mut()
}

/// Plays a script and reads what it cost the server.
pub(crate) async fn play(
    crowd: &mut Crowd,
    script: &std::sync::Arc<Script>,
    process: Process,
) -> Result<(Load, Duration), Failure> {
    let before = process.cpu()?;
    let load = crowd.play(script).await?;
    Ok((load, process.cpu()? - before))
}

/// Sends registrations to a server; every one has to succeed.
pub(crate) async fn seed(server: &Server, registrations: Vec<Vec<u8>>) -> Result<Load, Failure> {
    let count = registrations.len();
    let clients = SEEDING_CLIENTS.min(count);
    let script = Script::once(registrations, SEEDING_MAX);
    let load = Crowd::connect(server.http, clients).await?.play(&script).await?;
    match load.latencies.len() {
        done if done == count => Ok(load),
        done => Err(format!("{:?} took {done} of {count} registrations", server.subject).into()),
    }
}

/// Time spent on each of so many, in µs.
pub(crate) fn micros_each(spent: Duration, count: usize) -> f64 {
    spent.as_secs_f64() * 1e6 / count.max(1) as f64
}

/// In ms.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// In MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A path that was given has to be there; one that was not is looked for.
fn chosen(
    given: Option<&PathBuf>,
    find: fn() -> Option<PathBuf>,
) -> Result<Option<PathBuf>, Failure> {
    match given {
        Some(path) if path.is_file() => Ok(Some(path.clone())),
        Some(path) => Err(format!("{} is no file", path.display()).into()),
        None => Ok(find()),
    }
}

fn consul() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|dir| dir.join("consul")).find(|path| path.is_file());
    built_consul().or(on_path)
}

/// What `conformance-tests/peers/build consul` has built last: `peers/consul-<hash>/consul` in the cache.
fn built_consul() -> Option<PathBuf> {
    let cache = env::var_os("PROCONSUL_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(env::home_dir()?.join(".cache/proconsul")))?;
    let peers = fs::read_dir(cache.join("peers")).ok()?.flatten();
    let programs = peers.map(|peer| peer.path().join("consul")).filter(|program| program.is_file());
    programs.max_by_key(|program| program.metadata().and_then(|data| data.modified()).ok())
}

fn proconsul() -> Option<PathBuf> {
    let beside = env::current_exe().ok()?.with_file_name("proconsul");
    beside.is_file().then_some(beside)
}
