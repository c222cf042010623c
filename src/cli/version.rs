//! `version`: the version of Consul that clients take this for, and the program's own.

use clap::Arg;
use serde::Serialize;

use super::json::indented;
use super::{Call, Entry, text, told};
use crate::config::CONSUL_VERSION;

pub(super) const ENTRIES: &[Entry] =
    &[Entry { path: &["version"], words: "", about: "Prints the version", flags, run }];

/// The program's own version.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");
/// When it was built, for tools that ask: not told, so that equal sources make equal programs.
const BUILD_DATE: &str = "1970-01-01T00:00:01Z";

fn flags() -> Vec<Arg> {
    vec![text("format", "string", "`pretty` or `json`.").default_value("pretty")]
}

/// The fields in Consul's order; the last one is ours.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: &'static str,
    revision: &'static str,
    prerelease: &'static str,
    build_date: &'static str,
    #[serde(rename = "RPC")]
    rpc: Protocols,
    proconsul: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Protocols {
    default: u8,
    min: u8,
    max: u8,
}

const VERSION: Version = Version {
    version: CONSUL_VERSION,
    revision: "",
    prerelease: "",
    build_date: BUILD_DATE,
    rpc: Protocols { default: 2, min: 2, max: 3 },
    proconsul: OWN_VERSION,
};

/// The lines for people: Consul's, because tools read them, and then our own.
pub(super) fn pretty() -> String {
    let Protocols { default, min, max } = VERSION.rpc;
    format!(
        "Consul v{CONSUL_VERSION}\nBuild Date {BUILD_DATE}\nProtocol {default} spoken by default, understands {min} to {max} (agent \
         will automatically use protocol >2 when speaking to compatible agents)\nproconsul v{OWN_VERSION}, compatible with Consul \
         {CONSUL_VERSION}\n"
    )
}

fn run(call: &Call) -> u8 {
    told(match call.text("format") {
        Some("pretty") | None => Ok(pretty()),
        Some("json") => Ok(indented(&VERSION, "   ")),
        Some(other) => Err(format!("Unknown format: {other}")),
    })
}
