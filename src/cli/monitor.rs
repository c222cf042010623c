//! `monitor`: the agent's log as it is written.

use clap::Arg;
use reqwest::Response;
use tokio::signal::unix::{SignalKind, signal};

use super::client::{Api, agent_flags};
use super::{Call, Entry, FAILED, boolean, print_err, print_out, text};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["monitor"],
    words: "",
    about: "Prints the agent's log until it is interrupted",
    flags,
    run,
}];

fn flags() -> Vec<Arg> {
    let mut flags = agent_flags();
    flags.extend([
        boolean("log-json", "Asks for JSON."),
        text("log-level", "string", "Least level of what is printed.").default_value("INFO"),
    ]);
    flags
}

fn run(call: &Call) -> u8 {
    match Api::of(call).and_then(|api| api.runtime().block_on(followed(call, &api))) {
        Ok(code) => code,
        Err(fault) => {
            print_err(&fault);
            FAILED
        }
    }
}

/// Prints lines until the agent ends them or somebody interrupts.
async fn followed(call: &Call, api: &Api) -> Result<u8, String> {
    let json = call.flag("log-json");
    let mut query = Vec::new();
    query.extend(call.said("log-level").map(|level| ("loglevel", level)));
    query.extend(json.then_some(("logjson", "true")));
    let kind = if json { "JSON monitor" } else { "monitor" };
    let response = api.stream("agent/monitor", &query).await;
    let response = response.map_err(|fault| format!("Error starting {kind}: {fault}"))?;
    let interrupted = interrupted()?;
    tokio::select! {
        () = lines(response) => {
            print_out("\nRemote side ended the monitor! This usually means that the\nremote side has exited or crashed.");
            Ok(FAILED)
        }
        () = interrupted => Ok(0),
    }
}

/// Ends at the first signal that asks for an end.
///
/// # Errors
/// The system does not tell signals.
pub(super) fn interrupted() -> Result<impl Future<Output = ()>, String> {
    let heard = |kind| signal(kind).map_err(|fault| format!("cannot hear signals: {fault}"));
    let mut interrupt = heard(SignalKind::interrupt())?;
    let mut terminate = heard(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Prints whole lines as they come; a body that breaks off ends them too.
async fn lines(mut response: Response) {
    let mut begun: Vec<u8> = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        begun.extend_from_slice(&chunk);
        while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = begun.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            print_out(if line.is_empty() { " " } else { line });
        }
    }
}
