//! `lock`: runs a program while a lock is held.
//!
//! A lock is a key whose session is the holder's; with `-n` above 1 it is a semaphore: a key that lists the holders.
//!
//! ```text
//! session ──▶ acquire (waits) ──▶ child runs, renewals and a watcher beside it ──▶ release ──▶ session destroyed, key removed
//! ```

mod kv;
mod mutex;
mod semaphore;
mod session;

use std::future::Future;
use std::time::Duration;

use clap::Arg;
use nix::sys::signal::Signal;
use tokio::process::Child;
use tokio::time::Instant;

use super::child::{Input, command, finished, send, start};
use super::client::{Api, server_flags};
use super::monitor::interrupted;
use super::{Call, Entry, FAILED, boolean, integer, print_err, print_out, span, text};
use kv::Kv;
use mutex::Mutex;
use semaphore::Semaphore;
use session::Session;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["lock"],
    words: "PREFIX PROGRAM [ARGUMENTS]",
    about: "Runs a program while a lock is held",
    flags,
    run,
}];

/// How long a child that is to end may take; then it is killed. Less than the lock-delay, so that nobody else holds the lock yet.
const GRACE: Duration = Duration::from_secs(5);
/// How long a read of the lock waits for a change, unless `-timeout` is shorter.
const WAIT: Duration = Duration::from_secs(15);
/// How often a failed read of a held lock is repeated unless said.
const RETRIES: &str = "3";
/// The key below the prefix that all contenders share.
const KEY: &str = ".lock";
/// The exit code of a child that failed, where that is asked for.
const CHILD_FAILED: u8 = 2;

fn flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend([
        boolean("child-exit-code", "Exits with 2 when the program failed."),
        integer("n", "How many may hold the lock at the same time.").default_value("1"),
        integer("monitor-retry", "How often a failed look at the held lock is repeated.")
            .default_value(RETRIES),
        text("name", "string", "Name of the lock's session."),
        boolean("pass-stdin", "Lets the program read standard input."),
        boolean("shell", "Starts the program through a shell.").default_value("true"),
        span("timeout", "How long the lock is waited for; by default without end."),
        span("try", "Deprecated: the same as -timeout."),
        boolean("verbose", "Tells what happens."),
    ]);
    flags
}

/// What was asked for.
struct Wish<'a> {
    prefix: String,
    name: String,
    program: Vec<&'a str>,
    holders: usize,
    retries: u32,
    /// None: without end.
    timeout: Option<Duration>,
    verbose: bool,
}

/// What protects the program.
enum Lock<'a> {
    One(Mutex<'a>),
    Several(Semaphore<'a>),
}

/// Why a lock could not be removed.
enum Left {
    /// Somebody else uses it.
    InUse,
    Failed(String),
}

fn run(call: &Call) -> u8 {
    let ran = wish(call).and_then(|wish| {
        let api = Api::of(call)?;
        // Is there an agent?
        let own = api.get::<serde_json::Value>("agent/self", &[]);
        own.map_err(|fault| format!("Error querying Consul agent: {fault}"))?;
        api.runtime().block_on(held(call, &api, &wish))
    });
    ran.unwrap_or_else(|fault| {
        print_err(&fault);
        FAILED
    })
}

fn wish(call: &Call) -> Result<Wish<'_>, String> {
    let holders = usize::try_from(call.integer("n")).unwrap_or(0);
    if holders == 0 {
        return Err("Lock holder limit must be positive".to_owned());
    }
    let words = call.words();
    let [prefix, program @ ..] = words.as_slice() else {
        return Err("Key prefix and child command must be specified".to_owned());
    };
    if program.is_empty() {
        return Err("Key prefix and child command must be specified".to_owned());
    }
    let given = if call.is_given("timeout") { call.nanos("timeout") } else { call.nanos("try") };
    let timeout = u64::try_from(given).map_err(|_| "Timeout must be positive")?;
    let retries = u32::try_from(call.integer("monitor-retry"))
        .map_err(|_| "Number for 'monitor-retry' must be >= 0")?;
    let prefix = prefix.strip_prefix('/').unwrap_or(prefix).to_owned();
    let name = call.said("name").map(str::to_owned);
    let usual = || format!("Consul lock for '{}' at '{prefix}'", program.join(" "));
    Ok(Wish {
        name: name.unwrap_or_else(usual),
        prefix,
        program: program.to_vec(),
        holders,
        retries,
        timeout: (timeout > 0).then(|| Duration::from_nanos(timeout)),
        verbose: call.flag("verbose"),
    })
}

// === impl Wish ===

impl Wish<'_> {
    fn tell(&self, text: &str) {
        if self.verbose {
            print_out(text);
        }
    }

    /// A key below the prefix.
    fn key(&self, name: &str) -> String {
        let prefix = self.prefix.trim_end_matches('/');
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
    }
}

/// Takes the lock, runs the program, gives the lock back.
async fn held(call: &Call, api: &Api, wish: &Wish<'_>) -> Result<u8, String> {
    let kv = Kv { api };
    let lock = if wish.holders == 1 {
        let key = wish.key(KEY);
        wish.tell(&format!("Setting up lock at path: {key}"));
        Lock::One(Mutex { kv, key, retries: wish.retries })
    } else {
        wish.tell(&format!(
            "Setting up semaphore (limit {}) at prefix: {}",
            wish.holders, wish.prefix
        ));
        if wish.prefix.is_empty() {
            return Err("Lock setup failed: missing prefix".to_owned());
        }
        Lock::Several(Semaphore { kv, wish, retries: wish.retries })
    };
    wish.tell("Attempting lock acquisition");
    let failed = |fault| format!("Lock acquisition failed: {fault}");
    let behaviour = if wish.holders == 1 { None } else { Some("delete") };
    let session = Session::create(api, &wish.name, behaviour)
        .await
        .map_err(|fault| failed(format!("failed to create session: {fault}")))?;
    let deadline = wish.timeout.map(|timeout| Instant::now() + timeout);
    let stop = interrupted()?;
    tokio::pin!(stop);
    let acquired = tokio::select! {
        acquired = lock.acquire(&session.id, deadline) => acquired,
        fault = session.renewed() => Err(fault),
        () = &mut stop => Ok(false),
    };
    match acquired {
        Ok(true) => {}
        Ok(false) => {
            session.destroy().await;
            return Err("Shutdown triggered or timeout during lock acquisition".to_owned());
        }
        Err(fault) => {
            session.destroy().await;
            return Err(failed(fault));
        }
    }
    let code = guarded(call, wish, &lock, &session, stop).await;
    let released = lock.release(&session.id).await;
    session.destroy().await;
    released.map_err(|fault| format!("Lock release failed: {fault}"))?;
    match lock.remove().await {
        Ok(()) => wish.tell("Cleanup succeeded"),
        Err(Left::InUse) => wish.tell("Cleanup aborted, lock in use"),
        Err(Left::Failed(fault)) => return Err(format!("Lock cleanup failed: {fault}")),
    }
    Ok(if call.flag("child-exit-code") { code } else { 0 })
}

/// Runs the program until it ends, the lock is lost, or somebody interrupts.
async fn guarded(
    call: &Call,
    wish: &Wish<'_>,
    lock: &Lock<'_>,
    session: &Session<'_>,
    stop: impl Future<Output = ()>,
) -> u8 {
    wish.tell("Starting handler");
    let shell = call.flag("shell");
    let mut command = command(&wish.program, shell);
    command.env("CONSUL_LOCK_HELD", "true");
    let pass = call.flag("pass-stdin");
    if pass {
        wish.tell("Stdin passed to handler process");
    }
    let input = if pass { Input::Own } else { Input::Nothing };
    let mut child = match start(command, &input) {
        Ok(child) => child,
        Err(fault) => {
            print_err(&format!("Error starting handler: {fault}"));
            wish.tell("Child terminated, releasing lock");
            return CHILD_FAILED;
        }
    };
    let why = tokio::select! {
        ended = finished(&mut child, input) => {
            if let Err(fault) = &ended {
                print_err(&format!("Error running handler: {fault}"));
            }
            wish.tell("Child terminated, releasing lock");
            return if ended.is_ok() { 0 } else { CHILD_FAILED };
        }
        () = stop => "Shutdown triggered, killing child",
        () = lock.lost(&session.id) => "Lock lost, killing child",
        _ = session.renewed() => "Lock lost, killing child",
    };
    wish.tell(why);
    if let Err(fault) = ended(wish, &mut child).await {
        print_err(&fault);
    }
    0
}

/// Ends a child: asks first, then kills.
async fn ended(wish: &Wish<'_>, child: &mut Child) -> Result<(), String> {
    let Some(pid) = child.id() else { return Ok(()) };
    wish.tell(&format!("Terminating child pid {pid}"));
    send(pid, Signal::SIGTERM).map_err(|fault| format!("Failed to terminate {pid}: {fault}"))?;
    if let Ok(ended) = tokio::time::timeout(GRACE, child.wait()).await {
        wish.tell("Child terminated");
        return ended.map(|_| ()).map_err(|fault| fault.to_string());
    }
    wish.tell(&format!("Child did not exit after grace period of {GRACE:?}"));
    wish.tell(&format!("Killing child pid {pid}"));
    send(pid, Signal::SIGKILL).map_err(|fault| format!("Failed to kill {pid}: {fault}"))?;
    // Nobody else ends it.
    let _ended = child.wait().await;
    Ok(())
}

// === impl Lock ===

impl Lock<'_> {
    /// Takes the lock; false when the deadline passed.
    async fn acquire(&self, session: &str, deadline: Option<Instant>) -> Result<bool, String> {
        match self {
            Self::One(lock) => lock.acquire(session, deadline).await,
            Self::Several(lock) => lock.acquire(session, deadline).await,
        }
    }

    /// Ends when the lock is not held any more.
    async fn lost(&self, session: &str) {
        match self {
            Self::One(lock) => lock.lost(session).await,
            Self::Several(lock) => lock.lost(session).await,
        }
    }

    async fn release(&self, session: &str) -> Result<(), String> {
        match self {
            Self::One(lock) => lock.release(session).await,
            Self::Several(lock) => lock.release(session).await,
        }
    }

    /// Removes the lock when nobody uses it.
    async fn remove(&self) -> Result<(), Left> {
        match self {
            Self::One(lock) => lock.remove().await,
            Self::Several(lock) => lock.remove().await,
        }
    }
}

/// How long the next read may wait: until the deadline; nothing when it passed.
fn wait(deadline: Option<Instant>) -> Option<Duration> {
    let Some(deadline) = deadline else { return Some(WAIT) };
    let left = deadline.checked_duration_since(Instant::now())?;
    (!left.is_zero()).then_some(left)
}
