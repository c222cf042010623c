//! `troubleshoot ports`: which ports of a server can be reached.

use std::env;
use std::time::Duration;

use clap::Arg;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Call, Entry, print_out, text, told_if_any};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["troubleshoot", "ports"],
    words: "",
    about: "Tells which ports of a server can be reached",
    flags,
    run: |call| told_if_any(ports(call)),
}];

/// The ports that are tried unless said.
const USUAL: &str = "8600,8500,8501,8502,8503,8301,8302,8300";
/// How long a port may take to answer.
const WAIT: Duration = Duration::from_secs(5);

fn flags() -> Vec<Arg> {
    vec![
        text("host", "string", "The server. Also CONSUL_HTTP_ADDR."),
        text("ports", "string", "Ports with commas between them."),
    ]
}

/// Tells each port as soon as it is known.
fn ports(call: &Call) -> Result<String, String> {
    let host = call.said("host").map(str::to_owned).or_else(|| env::var("CONSUL_HTTP_ADDR").ok());
    let host = host
        .filter(|host| !host.is_empty())
        .ok_or("-host is required. or set environment variable CONSUL_HTTP_ADDR")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|fault| fault.to_string())?;
    runtime.block_on(async {
        let mut tries = JoinSet::new();
        for port in call.said("ports").unwrap_or(USUAL).split(',') {
            tries.spawn(reached(host.clone(), port.to_owned()));
        }
        while let Some(told) = tries.join_next().await {
            print_out(&told.map_err(|fault| fault.to_string())?);
        }
        Ok(String::new())
    })
}

async fn reached(host: String, port: String) -> String {
    let connected = tokio::time::timeout(WAIT, TcpStream::connect(format!("{host}:{port}"))).await;
    let state = match connected {
        Ok(Ok(_)) => "open",
        Ok(Err(_)) | Err(_) => "closed, unreachable, or the connection timed out",
    };
    format!("TCP: Port {port} on {host} is {state}.")
}
