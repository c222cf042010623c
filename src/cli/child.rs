//! Programs that commands start: through a shell or as they are, with the signals that this one gets.

use std::env;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::reason;

/// What a child is given to read.
pub(super) enum Input {
    Nothing,
    /// What this program is given.
    Own,
    Bytes(Vec<u8>),
}

/// A command line that is not started yet: through `$SHELL` (by default `/bin/sh`), or word by word.
pub(super) fn command(words: &[&str], shell: bool) -> Command {
    if shell {
        let shell = env::var("SHELL").ok().filter(|shell| !shell.is_empty());
        let mut command = Command::new(shell.as_deref().unwrap_or("/bin/sh"));
        command.arg("-c").arg(words.join(" "));
        return command;
    }
    let (program, arguments) =
        words.split_first().map_or(("", &[][..]), |(one, rest)| (*one, rest));
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Starts a child.
///
/// # Errors
/// Go's sentence, `fork/exec /bin/nope: no such file or directory`.
pub(super) fn start(mut command: Command, input: &Input) -> Result<Child, String> {
    let stdin = match input {
        Input::Nothing => Stdio::null(),
        Input::Own => Stdio::inherit(),
        Input::Bytes(_) => Stdio::piped(),
    };
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(stdin).spawn().map_err(|fault| {
        if fault.kind() == std::io::ErrorKind::NotFound && !program.contains('/') {
            return format!("exec: {program:?}: executable file not found in $PATH");
        }
        format!("fork/exec {program}: {}", reason(&fault))
    })
}

/// Waits for a child that was started; it gets what it is to read, and every signal that asks this program for an end.
///
/// # Errors
/// Go's words for how it ended, `exit status 3`.
pub(super) async fn finished(child: &mut Child, input: Input) -> Result<(), String> {
    if let (Some(mut pipe), Input::Bytes(bytes)) = (child.stdin.take(), input) {
        // A child that does not read is no fault.
        let _unread = pipe.write_all(&bytes).await;
    }
    let pid = child.id();
    tokio::select! {
        ended = child.wait() => match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(told(status)),
            Err(fault) => Err(reason(&fault)),
        },
        never = forward(pid) => match never {},
    }
}

/// Sends a signal to a child.
///
/// # Errors
/// Go's words for why it cannot be sent.
pub(super) fn send(pid: u32, which: Signal) -> Result<(), String> {
    let pid = i32::try_from(pid).map_err(|fault| fault.to_string())?;
    kill(Pid::from_raw(pid), which).map_err(|fault| fault.desc().to_lowercase())
}

/// Nothing has this type: what returns it does not return.
pub(super) enum Never {}

/// Sends every interrupt and request to end on.
async fn forward(pid: Option<u32>) -> Never {
    let heard = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = heard else { return std::future::pending().await };
    loop {
        let which = tokio::select! {
            _ = interrupt.recv() => Signal::SIGINT,
            _ = terminate.recv() => Signal::SIGTERM,
        };
        if let Some(fault) = pid.and_then(|pid| send(pid, which).err()) {
            super::print_err(&format!("Warning, could not forward signal: {fault}"));
        }
    }
}

/// How a child ended, in Go's words.
fn told(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, signal) => {
            let name = signal.and_then(|number| Signal::try_from(number).ok());
            let word = match name {
                Some(Signal::SIGINT) => "interrupt",
                Some(Signal::SIGTERM) => "terminated",
                Some(Signal::SIGKILL) => "killed",
                Some(Signal::SIGHUP) => "hangup",
                Some(other) => other.as_str(),
                None => "unknown signal",
            };
            format!("signal: {word}")
        }
    }
}
