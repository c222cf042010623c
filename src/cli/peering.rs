//! `peering delete|establish|exported-services|generate-token|list|read`: other clusters. The agent decides whether it has
//! any; this one's says that it does not.

use std::fmt::Write as _;

use clap::Arg;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Api, agent_flags, partition_flag};
use super::go::{number, text, texts, time};
use super::table::columns;
use super::{Call, Entry, form, json as go_json, pairs, text as text_flag, told, told_if_any};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["peering", "delete"],
        words: "",
        about: "Ends a peering",
        flags: || with([name_flag()]),
        run: |call| told(delete(call)),
    },
    Entry {
        path: &["peering", "establish"],
        words: "",
        about: "Begins a peering with another cluster's token",
        flags: || {
            let token = "Token that the other cluster made. Needed.";
            with([name_flag(), meta_flag(), text_flag("peering-token", "string", token)])
        },
        run: |call| told(establish(call)),
    },
    Entry {
        path: &["peering", "exported-services"],
        words: "",
        about: "Lists the services that a peer sees",
        flags: || with([name_flag(), format_flag()]),
        run: |call| told(exported(call)),
    },
    Entry {
        path: &["peering", "generate-token"],
        words: "",
        about: "Makes a token for another cluster",
        flags: || {
            let addresses = "Addresses of the servers, with commas between them.";
            let addresses = text_flag("server-external-addresses", "string", addresses);
            with([name_flag(), meta_flag(), format_flag(), addresses])
        },
        run: |call| told(generate(call)),
    },
    Entry {
        path: &["peering", "list"],
        words: "",
        about: "Lists the peerings",
        flags: || with([format_flag()]),
        run: |call| told(list(call)),
    },
    Entry {
        path: &["peering", "read"],
        words: "",
        about: "Prints a peering",
        flags: || with([name_flag(), format_flag()]),
        run: |call| told_if_any(read(call)),
    },
];

fn with<const COUNT: usize>(own: [Arg; COUNT]) -> Vec<Arg> {
    let mut flags = agent_flags();
    flags.push(partition_flag());
    flags.extend(own);
    flags
}

fn name_flag() -> Arg {
    text_flag("name", "string", "Name of the peer here. Needed.")
}

fn meta_flag() -> Arg {
    pairs("meta", "A pair that is kept with it. May be given several times.")
}

fn format_flag() -> Arg {
    text_flag("format", "string", "`pretty` or `json`.").default_value("pretty")
}

fn named(call: &Call) -> Result<&str, String> {
    call.said("name").ok_or_else(|| "Missing the required -name flag".to_owned())
}

/// Whether JSON is asked for.
fn as_json(call: &Call) -> Result<bool, String> {
    match call.text("format") {
        Some("pretty") | None => Ok(false),
        Some("json") => Ok(true),
        Some(_) => Err("Invalid format, valid formats are {json|pretty}".to_owned()),
    }
}

fn api(call: &Call) -> Result<Api, String> {
    Api::of(call).map_err(|fault| fault.replacen("Error connecting", "Error connect", 1))
}

fn line(kind: &'static str, value: &Value) -> String {
    String::from_utf8_lossy(&go_json::line(&form::tree(kind, value))).into_owned()
}

fn delete(call: &Call) -> Result<String, String> {
    let name = named(call)?;
    let done = Api::of(call)?.tell(Method::DELETE, &format!("peering/{name}"), &[]);
    done.map_err(|fault| format!("Error deleting peering for {name}: {fault}"))?;
    Ok(format!("Successfully submitted peering connection, {name}, for deletion"))
}

fn establish(call: &Call) -> Result<String, String> {
    let name = named(call)?;
    let token = call.said("peering-token").ok_or("Missing the required -peering-token flag")?;
    let wish = json!({
        "PeerName": name, "PeeringToken": token, "Partition": call.text("partition").unwrap_or(""),
        "Meta": call.pairs("meta"),
    });
    let body = form::tree("PeeringEstablishRequest", &wish);
    let done = Api::of(call)?.send(Method::POST, "peering/establish", &body);
    done.map_err(|fault| format!("Error establishing peering for {name}: {fault}"))?;
    Ok(format!("Successfully established peering connection with {name}"))
}

fn generate(call: &Call) -> Result<String, String> {
    let name = named(call)?;
    let json = as_json(call)?;
    let addresses = call.said("server-external-addresses");
    let addresses: Vec<&str> = addresses.map_or(Vec::new(), |list| list.split(',').collect());
    let wish = json!({
        "PeerName": name, "Partition": call.text("partition").unwrap_or(""),
        "Meta": call.pairs("meta"), "ServerExternalAddresses": addresses,
    });
    let body = form::tree("PeeringGenerateTokenRequest", &wish);
    let made = api(call)?.send(Method::POST, "peering/token", &body);
    let made =
        made.map_err(|fault| format!("Error generating peering token for {name}: {fault}"))?;
    let token = text(&made, "PeeringToken");
    Ok(if json { json!({ "PeeringToken": token }).to_string() } else { token.to_owned() })
}

/// Titles of the list.
const TITLES: [&str; 5] = ["Name", "State", "Imported Svcs", "Exported Svcs", "Meta"];

fn services(peering: &Value, field: &str) -> usize {
    peering.get("StreamStatus").map_or(0, |status| texts(status, field).len())
}

fn meta(peering: &Value) -> Vec<String> {
    let meta = peering.get("Meta").and_then(Value::as_object);
    let pairs = meta.into_iter().flatten();
    pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect()
}

fn list(call: &Call) -> Result<String, String> {
    let json = as_json(call)?;
    let found: Value = api(call)?
        .get("peerings", &[])
        .map_err(|fault| format!("Error listing peerings: {fault}"))?;
    let mut peerings = found.as_array().cloned().unwrap_or_default();
    peerings.sort_by(|a, b| text(a, "Name").cmp(text(b, "Name")));
    if json {
        return Ok(line("[]Peering", &Value::Array(peerings)));
    }
    if peerings.is_empty() {
        return Ok("There are no peering connections.".to_owned());
    }
    let mut rows = vec![TITLES.map(str::to_owned).to_vec()];
    rows.extend(peerings.iter().map(|peering| {
        vec![
            text(peering, "Name").to_owned(),
            text(peering, "State").to_owned(),
            services(peering, "ImportedServices").to_string(),
            services(peering, "ExportedServices").to_string(),
            meta(peering).join(","),
        ]
    }));
    Ok(columns(&rows))
}

fn found(call: &Call) -> Result<Value, String> {
    let name = named(call)?;
    as_json(call)?;
    let found = api(call)?.find(&format!("peering/{name}"));
    let found = found.map_err(|fault| format!("Error reading peering: {fault}"))?;
    let found = found.ok_or_else(|| format!("No peering with name {name} found."))?;
    Ok(form::value("Peering", &found))
}

fn exported(call: &Call) -> Result<String, String> {
    let peering = found(call)?;
    let names = texts(&peering["StreamStatus"], "ExportedServices");
    if as_json(call)? {
        let names: Vec<Value> = names.iter().map(|name| json!({ "ID": name })).collect();
        return Ok(Value::Array(names).to_string());
    }
    Ok(names.join("\n"))
}

fn read(call: &Call) -> Result<String, String> {
    let peering = found(call)?;
    Ok(if as_json(call)? { line("Peering", &peering) } else { pretty(&peering) })
}

/// A peering for people.
fn pretty(peering: &Value) -> String {
    let mut told = String::new();
    let mut tell = |name: &str, width: usize, value: &str| {
        let _never_fails = writeln!(told, "{name:width$} {value}");
    };
    tell("Name:", 13, text(peering, "Name"));
    tell("ID:", 13, text(peering, "ID"));
    let deleted = text(peering, "DeletedAt");
    if !deleted.is_empty() {
        tell("DeletedAt:", 13, deleted);
    }
    tell("State:", 13, text(peering, "State"));
    let meta = meta(peering);
    if !meta.is_empty() {
        let _never_fails = writeln!(told, "Meta:\n    {}", meta.join("\n    "));
    }
    let addresses = texts(peering, "PeerServerAddresses");
    let _never_fails = write!(
        told,
        "\nPeer ID:               {}\nPeer Server Name:      {}\nPeer CA Pems:          {}\n",
        text(peering, "PeerID"),
        text(peering, "PeerServerName"),
        texts(peering, "PeerCAPems").len()
    );
    if !addresses.is_empty() {
        let addresses: String = addresses.iter().map(|one| format!("    {one}")).collect();
        let _never_fails = write!(told, "Peer Server Addresses:\n{addresses}");
    }
    let status = &peering["StreamStatus"];
    let last = |field: &str| match text(status, field) {
        "" => "<nil>".to_owned(),
        moment => time(moment),
    };
    let _never_fails = write!(
        told,
        "\nImported Services: {}\nExported Services: {}\n\nLast Heartbeat:    {}\nLast Send:         {}\nLast Receive:      {}\n\nCreate Index: \
         {}\nModify Index: {}\n",
        services(peering, "ImportedServices"),
        services(peering, "ExportedServices"),
        last("LastHeartbeat"),
        last("LastSend"),
        last("LastReceive"),
        number(peering, "CreateIndex"),
        number(peering, "ModifyIndex")
    );
    told
}
