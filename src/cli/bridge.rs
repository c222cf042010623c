//! `bridge export`: a bridged zone as a file.

use reqwest::Method;

use super::client::{Api, agent_flags};
use super::{Call, Entry, FAILED, print_bytes, print_err};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["bridge", "export"],
    words: "ZONE",
    about: "Prints a bridged zone as a zone file, as a name server loads it",
    flags: agent_flags,
    run,
}];

fn run(call: &Call) -> u8 {
    let words = call.words();
    let [zone] = words.as_slice() else {
        print_err("Usage: bridge export ZONE");
        return FAILED;
    };
    let path = format!("anchor/bridge/{zone}");
    let asked = Api::of(call).and_then(|api| api.ask(Method::GET, &path, &[], Vec::new()));
    let fault = match asked {
        Ok(answer) if answer.status == 200 => {
            print_bytes(&answer.body);
            return 0;
        }
        Ok(answer) if answer.status == 404 => "the agent bridges no such zone".to_owned(),
        Ok(answer) => super::client::unexpected(&answer),
        Err(fault) => fault,
    };
    print_err(&format!("Error exporting {zone}: {fault}"));
    FAILED
}
