//! `members`: who is in the datacenter.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use clap::Arg;
use proconsul_anchors::pattern::compile_alone;
use serde::Deserialize;

use super::client::{Api, agent_flags, partition_flag};
use super::table::columns;
use super::{Call, Entry, FAILED, boolean, print_err, print_out, text};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["members"],
    words: "",
    about: "Lists the members of the datacenter",
    flags,
    run,
}];

/// What asks for the members of every segment.
const ALL_SEGMENTS: &str = "_all";
/// Titles of the short list.
const SHORT: &[&str] =
    &["Node", "Address", "Status", "Type", "Build", "Protocol", "DC", "Partition", "Segment"];
/// Titles of the detailed one.
const DETAILED: &[&str] = &["Node", "Address", "Status", "Tags"];
/// The exit code when no member matches.
const NONE: u8 = 2;

fn flags() -> Vec<Arg> {
    let mut flags = agent_flags();
    flags.extend([
        boolean("detailed", "Prints every tag."),
        text("filter", "string", "An expression that members must match."),
        partition_flag(),
        text("segment", "string", "(enterprise) Members of one network segment.")
            .default_value(ALL_SEGMENTS),
        text("status", "string", "A pattern that the status must match.").default_value(".*"),
        boolean("wan", "Lists the servers of all datacenters."),
    ]);
    flags
}

/// A member as the API prints it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    name: String,
    addr: String,
    port: u16,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    status: u8,
}

// === impl Member ===

impl Member {
    fn tag(&self, name: &str) -> &str {
        self.tags.get(name).map_or("", String::as_str)
    }

    fn is_server(&self) -> bool {
        self.tag("role") == "consul"
    }

    fn status(&self) -> &'static str {
        match self.status {
            1 => "alive",
            2 => "leaving",
            3 => "left",
            4 => "failed",
            _ => "none",
        }
    }

    fn address(&self) -> String {
        let ip: Option<IpAddr> = self.addr.parse().ok();
        ip.map_or_else(
            || format!(":{}", self.port),
            |ip| SocketAddr::new(ip, self.port).to_string(),
        )
    }

    /// Names partition and segment as the community edition shows them.
    fn place(&mut self, segment: &str) {
        let partition = self.tags.entry("ap".to_owned()).or_default();
        if partition.is_empty() {
            "default".clone_into(partition);
        }
        let shown = match (self.tag("ap"), self.tag("segment")) {
            ("default", _) if segment == ALL_SEGMENTS && self.is_server() => "<all>",
            ("default", "") => "<default>",
            ("default", _) => return,
            _ => "",
        };
        self.tags.insert("segment".to_owned(), shown.to_owned());
    }

    /// Servers first, the default partition first, then by segment, partition and name.
    fn rank(&self) -> (bool, bool, String, String, String) {
        let partition = self.tag("ap");
        (
            !self.is_server(),
            partition != "default",
            self.tag("segment").to_owned(),
            partition.to_owned(),
            self.name.clone(),
        )
    }

    fn row(&self) -> Vec<String> {
        let kind = match self.tag("role") {
            "consul" => "server",
            "node" => "client",
            _ => "unknown",
        };
        let build = self.tag("build").split(':').next().unwrap_or("");
        let build = if self.tag("build").is_empty() { "< 0.3" } else { build };
        let rest = match kind {
            "unknown" => [""; 5],
            _ => [build, self.tag("vsn"), self.tag("dc"), self.tag("ap"), self.tag("segment")],
        };
        [
            vec![self.name.clone(), self.address(), self.status().to_owned(), kind.to_owned()],
            rest.map(str::to_owned).to_vec(),
        ]
        .concat()
    }

    fn detailed(&self) -> Vec<String> {
        let tags: Vec<String> =
            self.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        vec![self.name.clone(), self.address(), self.status().to_owned(), tags.join(",")]
    }
}

fn run(call: &Call) -> u8 {
    match members(call) {
        Ok(members) if members.is_empty() => NONE,
        Ok(members) => {
            let detailed = call.flag("detailed");
            let head = if detailed { DETAILED } else { SHORT };
            let row = |member: &Member| if detailed { member.detailed() } else { member.row() };
            let mut rows = vec![head.iter().map(|title| (*title).to_owned()).collect()];
            rows.extend(members.iter().map(row));
            print_out(&columns(&rows));
            0
        }
        Err(fault) => {
            print_err(&fault);
            FAILED
        }
    }
}

fn members(call: &Call) -> Result<Vec<Member>, String> {
    let pattern = call.text("status").unwrap_or(".*");
    let pattern = compile_alone(pattern)
        .map_err(|fault| format!("Failed to compile status regexp: {fault}"))?;
    let segment = call.text("segment").unwrap_or(ALL_SEGMENTS);
    let mut query = vec![("segment", segment)];
    query.extend(
        call.text("filter").filter(|filter| !filter.is_empty()).map(|filter| ("filter", filter)),
    );
    query.extend(call.flag("wan").then_some(("wan", "1")));
    let members = Api::of(call)?.get::<Option<Vec<Member>>>("agent/members", &query);
    let mut members =
        members.map_err(|fault| format!("Error retrieving members: {fault}"))?.unwrap_or_default();
    members.retain(|member| pattern.is_match(member.status()));
    for member in &mut members {
        member.place(segment);
    }
    members.sort_by_key(Member::rank);
    Ok(members)
}
