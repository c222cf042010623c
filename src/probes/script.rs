//! Script checks: 0 is fit, 1 a warning, anything else is not fit.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use proconsul_anchors::agent::ProbeResult;
use proconsul_anchors::node::checks::cut_script_output;
use proconsul_anchors::service::Status;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tracing::warn;

use super::{Tail, span};

/// What is read of a command's output at a time.
const PIECE_BYTES: usize = 8 * 1024;

/// A command under way, in a process group of its own so that what it started ends with it.
struct Running {
    child: Child,
    group: Option<Pid>,
}

pub(super) async fn perform(
    args: &[Box<str>],
    patience: Duration,
    output_max: usize,
) -> ProbeResult {
    let (mut running, mut output) = match start(args) {
        Ok(started) => started,
        Err(error) => return ProbeResult::certain(start_words(args, &error)),
    };
    let mut tail = Tail::new(output_max);
    let ended = timeout(patience, async {
        // The output ends when everyone who holds it has let go, also what the command left behind.
        read_to_end(&mut output, &mut tail).await;
        running.child.wait().await
    });
    match ended.await {
        Ok(Ok(status)) => {
            ProbeResult::counted(verdict(status), cut_script_output(&tail.kept, tail.total))
        }
        Ok(Err(error)) => ProbeResult::certain(super::os_words(&error)),
        Err(_) => {
            running.kill().await;
            let said = cut_script_output(&tail.kept, tail.total);
            let gap = if said.is_empty() { "" } else { "\n\n" };
            ProbeResult::certain(format!("Timed out ({}) running check{gap}{said}", span(patience)))
        }
    }
}

fn start(args: &[Box<str>]) -> io::Result<(Running, pipe::Receiver)> {
    let Some((program, rest)) = args.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // One pipe for both streams keeps the order in which they were written.
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(program.as_ref());
    command
        .args(rest.iter().map(AsRef::as_ref))
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true);
    let child = command.spawn()?;
    // Without this our own end of the pipe would stay open, and its reader would wait for ever.
    drop(command);
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    Ok((Running { child, group }, pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?))
}

async fn read_to_end(output: &mut pipe::Receiver, tail: &mut Tail) {
    let mut piece = [0; PIECE_BYTES];
    while let Ok(count @ 1..) = output.read(&mut piece).await {
        tail.push(&piece[..count]);
    }
}

fn verdict(status: ExitStatus) -> Status {
    match status.code() {
        Some(0) => Status::Passing,
        Some(1) => Status::Warning,
        _ => Status::Critical,
    }
}

/// Why a command could not be started, as Go says it.
fn start_words(args: &[Box<str>], error: &io::Error) -> String {
    let program = args.first().map_or("", |program| program);
    match program.contains('/') {
        true => format!("fork/exec {program}: {}", super::os_words(error)),
        false => format!("exec: {program:?}: executable file not found in $PATH"),
    }
}

// === impl Running ===

impl Running {
    /// Ends the command with all that it started, and waits until it is gone: no two of a check run at a time.
    async fn kill(&mut self) {
        if let Some(group) = self.group
            && let Err(error) = killpg(group, Signal::SIGKILL)
        {
            warn!(%error, "a check that took too long could not be ended");
        }
        let _ = self.child.wait().await;
    }
}

impl Drop for Running {
    /// A run that is given up (the program stops) leaves nothing behind.
    fn drop(&mut self) {
        if let (Some(group), Ok(None)) = (self.group, self.child.try_wait()) {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}
