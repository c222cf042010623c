//! `operator raft list-peers|remove-peer|transfer-leader`.

use clap::Arg;
use reqwest::Method;
use serde_json::Value;

use super::super::client::server_flags;
use super::super::go::{flag, items, number, text};
use super::super::table::columns;
use super::super::{Call, Entry, text as text_flag, told};
use super::api;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["operator", "raft", "list-peers"],
        words: "",
        about: "Lists the servers that decide together",
        flags: server_flags,
        run: |call| told(list(call)),
    },
    Entry {
        path: &["operator", "raft", "remove-peer"],
        words: "",
        about: "Removes a server that will not come back",
        flags: remove_flags,
        run: |call| told(remove(call)),
    },
    Entry {
        path: &["operator", "raft", "transfer-leader"],
        words: "",
        about: "Lets another server lead",
        flags: transfer_flags,
        run: |call| told(transfer(call)),
    },
];

/// Titles of the list.
const TITLES: [&str; 8] =
    ["Node", "ID", "Address", "State", "Voter", "RaftProtocol", "Commit Index", "Trails Leader By"];

fn remove_flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend([
        text_flag("address", "string", "Address of the server."),
        text_flag("id", "string", "Id of the server."),
    ]);
    flags
}

fn transfer_flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.push(text_flag("id", "string", "Id of the server that is to lead."));
    flags
}

fn list(call: &Call) -> Result<String, String> {
    let found: Value = api(call)?.get("operator/raft/configuration", &[]).map_err(|fault| {
        format!("Error getting peers: Failed to retrieve raft configuration: {fault}")
    })?;
    Ok(peers(&found))
}

/// The servers of an answer as a table.
pub(in super::super) fn peers(found: &Value) -> String {
    let servers = items(found, "Servers");
    let leader = servers.iter().find(|server| flag(server, "Leader"));
    let leader = leader.map_or(0, |server| number(server, "LastIndex"));
    let mut rows = vec![TITLES.map(str::to_owned).to_vec()];
    rows.extend(servers.iter().map(|server| row(server, leader)));
    columns(&rows)
}

fn row(server: &Value, leader: u64) -> Vec<String> {
    let leads = flag(server, "Leader");
    let index = number(server, "LastIndex");
    let behind = match leader.wrapping_sub(index) {
        _ if leads => "-".to_owned(),
        1 => "1 commit".to_owned(),
        count => format!("{count} commits"),
    };
    let protocol = text(server, "ProtocolVersion");
    vec![
        text(server, "Node").to_owned(),
        text(server, "ID").to_owned(),
        text(server, "Address").to_owned(),
        if leads { "leader" } else { "follower" }.to_owned(),
        flag(server, "Voter").to_string(),
        if protocol.is_empty() { "<=1" } else { protocol }.to_owned(),
        index.to_string(),
        behind,
    ]
}

fn remove(call: &Call) -> Result<String, String> {
    let (query, which) = match (call.said("address"), call.said("id")) {
        (None, None) => {
            return Err("Error removing peer: an address or id is required for the peer to remove"
                .to_owned());
        }
        (Some(_), Some(_)) => {
            return Err("Error removing peer: cannot give both an address and id".to_owned());
        }
        (Some(address), None) => (("address", address), format!("address {address:?}")),
        (None, Some(id)) => (("id", id), format!("id {id:?}")),
    };
    let done = api(call)?.tell(Method::DELETE, "operator/raft/peer", &[query]);
    done.map_err(|fault| format!("Error removing peer: {fault}"))?;
    Ok(format!("Removed peer with {which}"))
}

fn transfer(call: &Call) -> Result<String, String> {
    let query: Vec<(&str, &str)> = call.said("id").map(|id| ("id", id)).into_iter().collect();
    let path = "operator/raft/transfer-leader";
    let answer = api(call)?.expect(Method::POST, path, &query, Vec::new());
    let answer = answer.and_then(|answer| answer.json()).map_err(|fault| {
        format!("Error transfering leadership: Failed to transfer leadership {fault}")
    })?;
    if flag(&answer, "Success") {
        Ok("Success".to_owned())
    } else {
        Err("Error transfering leadership: Failed to transfer leadership".to_owned())
    }
}
