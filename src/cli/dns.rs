//! `dns explain`: the way that a DNS answer took.

use clap::Arg;
use reqwest::Method;

use super::client::{Api, agent_flags};
use super::{Call, Entry, FAILED, boolean, print_bytes, print_err, print_out, text};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["dns", "explain"],
    words: "NAME [TYPE]",
    about: "Tells how the agent comes to answer a DNS question as it does",
    flags,
    run,
}];

/// The page of the agent.
const PAGE: &str = "anchor/dns/explain";

fn flags() -> Vec<Arg> {
    let mut flags = agent_flags();
    flags.extend([
        text("edns", "bytes", "Asks as a client that speaks EDNS and takes so many bytes."),
        text("format", "pretty|json", "How it is printed; pretty unless said."),
        boolean("tcp", "Asks as over TCP."),
    ]);
    flags
}

fn run(call: &Call) -> u8 {
    let words = call.words();
    let (name, kind) = match words.as_slice() {
        [name] => (*name, "A"),
        [name, kind] => (*name, *kind),
        _ => {
            print_err("Usage: dns explain NAME [TYPE]");
            return FAILED;
        }
    };
    match explained(call, name, kind) {
        Ok(()) => 0,
        Err(fault) => {
            print_err(&format!("Error explaining {name}: {fault}"));
            FAILED
        }
    }
}

fn explained(call: &Call, name: &str, kind: &str) -> Result<(), String> {
    let json = match call.text("format").unwrap_or("pretty") {
        "pretty" => false,
        "json" => true,
        other => return Err(format!("no such format: {other:?}; say pretty or json")),
    };
    let mut query = vec![("name", name), ("type", kind)];
    query.extend(call.text("edns").filter(|size| !size.is_empty()).map(|size| ("edns", size)));
    if call.flag("tcp") {
        query.push(("transport", "tcp"));
    }
    query.push(if json { ("pretty", "") } else { ("format", "text") });
    let answer = Api::of(call)?.ask(Method::GET, PAGE, &query, Vec::new())?;
    match answer.status {
        200 if json => print_out(String::from_utf8_lossy(&answer.body).trim_end()),
        200 => print_bytes(&answer.body),
        400 => return Err(String::from_utf8_lossy(&answer.body).into_owned()),
        _ => return Err(super::client::unexpected(&answer)),
    }
    Ok(())
}
