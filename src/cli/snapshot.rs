//! `snapshot inspect|restore|save`: everything that a scope knows, in a file.
//!
//! Snapshots of this program and Consul's own archives are both known: what is saved is read to its end and found whole
//! before it takes its name. What is in it can be told of this program's only.

mod archive;

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use clap::Arg;
use proconsul_anchors::index::{RowId, pack};
use proconsul_anchors::snapshot::{Pieces, SnapshotError, Summary, inspect};
use serde::Serialize;

use super::client::{Api, index_of, server_flags};
use super::go::{flag, items, text};
use super::table::tabs;
use super::{Call, Entry, boolean, integer, json, text as text_flag, told};
use crate::config::reason;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["snapshot", "inspect"],
        words: "FILE",
        about: "Tells what is in a snapshot",
        flags: inspect_flags,
        run: |call| told(inspected(call)),
    },
    Entry {
        path: &["snapshot", "restore"],
        words: "FILE",
        about: "Replaces everything by a snapshot",
        flags: server_flags,
        run: |call| told(restore(call)),
    },
    Entry {
        path: &["snapshot", "save"],
        words: "FILE",
        about: "Saves everything",
        flags: save_flags,
        run: |call| told(save(call)),
    },
];

/// Rights of a file that holds everything, secrets too.
const RIGHTS: u32 = 0o600;
/// How many parts of keys `-kvdetails` tells apart unless said.
const DEPTH: &str = "2";
/// Columns are at least so wide, and so far apart.
const COLUMN_LEAST: usize = 8;
const COLUMN_GAP: usize = 6;

fn save_flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.push(text_flag(
        "append-filename",
        "value",
        "`version`, `dc` or both with a comma: what is added to the file's name.",
    ));
    flags
}

fn inspect_flags() -> Vec<Arg> {
    vec![
        text_flag("format", "string", "`pretty` or `json`.").default_value("pretty"),
        boolean("kvdetails", "Tells how much room keys take."),
        integer("kvdepth", "How many parts of keys are told apart, with -kvdetails.")
            .default_value(DEPTH),
        text_flag("kvfilter", "string", "What the keys begin with, with -kvdetails."),
    ]
}

/// The only word.
fn file(call: &Call) -> Result<&str, String> {
    match call.words().as_slice() {
        [] => Err("Missing FILE argument".to_owned()),
        [file] => Ok(file),
        more => Err(format!("Too many arguments (expected 1, got {})", more.len())),
    }
}

fn opened(path: &str) -> Result<File, String> {
    File::open(path)
        .map_err(|fault| format!("Error opening snapshot file: open {path}: {}", reason(&fault)))
}

fn restore(call: &Call) -> Result<String, String> {
    let path = file(call)?;
    let api = Api::of(call)?;
    let file = opened(path)?;
    let done = api.upload("snapshot", file);
    done.map_err(|fault| format!("Error restoring snapshot: {fault}"))?;
    Ok("Restored snapshot".to_owned())
}

fn save(call: &Call) -> Result<String, String> {
    let path = file(call)?;
    let api = Api::of(call)?;
    let path = named(call, &api, path)?;
    let unverified = format!("{path}.unverified");
    let saved = download(&api, &unverified).and_then(|index| {
        verify(&unverified)?;
        fs::rename(&unverified, &path).map_err(|fault| {
            format!("Error renaming {unverified:?} to {path:?}: {}", reason(&fault))
        })?;
        Ok(index)
    });
    // After a rename there is none.
    let _gone = fs::remove_file(&unverified);
    Ok(format!("Saved and verified snapshot to index {}", saved?))
}

/// The file's name with what `-append-filename` adds before its ending.
fn named(call: &Call, api: &Api, path: &str) -> Result<String, String> {
    let added: Vec<&str> =
        call.said("append-filename").map_or(Vec::new(), |list| list.split(',').collect());
    if added.is_empty() {
        return Ok(path.to_owned());
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name.rfind('.').map_or("", |dot| &name[dot..]);
    let mut stem = path.strip_suffix(ending).unwrap_or(path).to_owned();
    if added.contains(&"version") {
        stem.push_str(&format!("-{}", leader_version(api)?));
    }
    if added.contains(&"dc") {
        let own: serde_json::Value = api.get("agent/self", &[]).map_err(|fault| {
            format!("Error connecting to Consul agent and fetching datacenter/version: {fault}")
        })?;
        stem.push_str(&format!("-{}", text(&own["Config"], "Datacenter")));
    }
    Ok(stem + ending)
}

fn leader_version(api: &Api) -> Result<String, String> {
    let failed = |fault| format!("Error fetching version of Consul agent Leader: {fault}");
    let path = "operator/autopilot/health";
    let answer = api.ask(reqwest::Method::GET, path, &[], Vec::new()).map_err(failed)?;
    // An unhealthy group answers 429, and answers.
    if !matches!(answer.status, 200 | 429) {
        return Err(failed(super::client::unexpected(&answer)));
    }
    let health = answer.json().map_err(failed)?;
    let leader = items(&health, "Servers").iter().find(|server| flag(server, "Leader"));
    Ok(leader.map_or("", |server| text(server, "Version")).to_owned())
}

/// Writes what the agent sends into a file, as it comes; the index up to which it is whole.
fn download(api: &Api, path: &str) -> Result<u64, String> {
    api.runtime().block_on(async {
        let response = api.stream("snapshot", &[]).await;
        let mut response = response.map_err(|fault| format!("Error saving snapshot: {fault}"))?;
        let index = index_of(&response);
        let failed = |what: String| format!("Error writing unverified snapshot file: {what}");
        let open =
            OpenOptions::new().write(true).create(true).truncate(true).mode(RIGHTS).open(path);
        let mut file = open.map_err(|fault| failed(format!("open {path}: {}", reason(&fault))))?;
        loop {
            let chunk = response.chunk().await.map_err(|fault| failed(fault.to_string()))?;
            let Some(chunk) = chunk else { break };
            file.write_all(&chunk).map_err(|fault| failed(reason(&fault)))?;
        }
        file.sync_all().map_err(|fault| failed(reason(&fault)))?;
        Ok(index)
    })
}

/// What a file was found to be.
enum Found {
    Own(Box<Summary>),
    Consul(archive::About),
}

/// Reads a snapshot to its end.
fn known(path: &str) -> Result<Found, String> {
    let mut file = opened(path)?;
    match inspect(&file) {
        Ok(summary) => Ok(Found::Own(Box::new(summary))),
        Err(SnapshotError::Foreign | SnapshotError::Consul) => {
            file.rewind().map_err(|fault| reason(&fault))?;
            let about = archive::read(file)
                .map_err(|fault| format!("failed to read snapshot file: {fault}"))?;
            Ok(Found::Consul(about))
        }
        Err(fault @ (SnapshotError::Empty | SnapshotError::Short | SnapshotError::NotGzip)) => {
            Err(format!("failed to decompress snapshot: {fault}"))
        }
        Err(fault) => Err(format!("failed to read snapshot file: {fault}")),
    }
}

fn verify(path: &str) -> Result<(), String> {
    known(path).map(|_| ()).map_err(|fault| format!("Error verifying snapshot file: {fault}"))
}

/// What is told of a snapshot, in the order and with the names of Consul's JSON.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    meta: Meta,
    stats: Vec<Stat>,
    #[serde(rename = "StatsKV")]
    stats_kv: Option<Vec<Stat>>,
    total_size: u64,
    #[serde(rename = "TotalSizeKV")]
    total_size_kv: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Meta {
    #[serde(rename = "ID")]
    id: String,
    size: u64,
    index: u64,
    term: u64,
    version: u32,
}

/// Rows that are counted together.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Stat {
    name: String,
    sum: u64,
    count: u64,
}

fn inspected(call: &Call) -> Result<String, String> {
    let path = file(call)?;
    if Path::new(path).file_name().is_some_and(|name| name.eq_ignore_ascii_case("state.bin")) {
        return Err(
            "Error extracting snapshot data: Consul's own state.bin cannot be read".to_owned()
        );
    }
    drop(opened(path)?);
    let found = known(path).map_err(|fault| format!("Error reading snapshot: {fault}"))?;
    let report = match found {
        Found::Own(summary) => report(call, path, &summary)?,
        Found::Consul(about) => {
            super::print_err(
                "This is Consul's own snapshot: it is whole, and what is in it cannot be told.",
            );
            Report {
                total_size: about.meta.size,
                meta: about.meta,
                stats: Vec::new(),
                stats_kv: None,
                total_size_kv: 0,
            }
        }
    };
    match call.text("format") {
        Some("pretty") | None => Ok(pretty(&report)),
        Some("json") => Ok(json::indented(&report, "   ")),
        Some(other) => {
            Err(format!("Error outputting enhanced snapshot data: Unknown format: {other}"))
        }
    }
}

fn report(call: &Call, path: &str, summary: &Summary) -> Result<Report, String> {
    let about = &summary.about;
    let kinds = summary.kinds.iter();
    let stats = kinds.map(|(name, kind)| Stat {
        name: (*name).to_owned(),
        sum: kind.bytes,
        count: kind.rows,
    });
    let keys = call.flag("kvdetails").then(|| keys(call, path)).transpose()?;
    let keys = keys.filter(|keys| !keys.is_empty()).map(sorted);
    Ok(Report {
        meta: Meta {
            id: about.id(),
            size: summary.bytes,
            index: about.revision,
            term: about.term,
            version: summary.version,
        },
        stats: sorted(stats.collect()),
        total_size: summary.bytes,
        total_size_kv: keys.iter().flatten().map(|stat| stat.sum).sum(),
        stats_kv: keys,
    })
}

/// The largest first; of the same size by name.
fn sorted(mut stats: Vec<Stat>) -> Vec<Stat> {
    stats.sort_by(|a, b| b.sum.cmp(&a.sum).then_with(|| a.name.cmp(&b.name)));
    stats
}

/// How much room keys take that begin alike.
fn keys(call: &Call, path: &str) -> Result<Vec<Stat>, String> {
    let depth = usize::try_from(call.integer("kvdepth")).unwrap_or(0);
    let filter = call.text("kvfilter").unwrap_or("");
    let failed = |fault: String| format!("Error extracting snapshot data: {fault}");
    let mut pieces = Pieces::open(opened(path)?).map_err(|fault| failed(fault.to_string()))?;
    let mut stats: Vec<Stat> = Vec::new();
    while let Some(piece) = pieces.next_rows().map_err(|fault| failed(fault.to_string()))? {
        for (id, value) in pack::rows(piece).flatten() {
            let row = RowId::from_key(id).map_err(|fault| failed(fault.to_string()))?;
            let RowId::Key(key) = row else { continue };
            if !key.starts_with(filter) {
                continue;
            }
            let name = key.split('/').take(depth).collect::<Vec<_>>().join("/");
            let size = (id.len() + value.len()) as u64;
            match stats.iter_mut().find(|stat| stat.name == name) {
                Some(stat) => (stat.sum, stat.count) = (stat.sum + size, stat.count + 1),
                None => stats.push(Stat { name, sum: size, count: 1 }),
            }
        }
    }
    Ok(stats)
}

fn pretty(report: &Report) -> String {
    let cells = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let meta = &report.meta;
    let mut lines = vec![
        cells(&[" ID", &meta.id]),
        cells(&[" Size", &meta.size.to_string()]),
        cells(&[" Index", &meta.index.to_string()]),
        cells(&[" Term", &meta.term.to_string()]),
        cells(&[" Version", &meta.version.to_string()]),
    ];
    let tables = [
        (" Type", Some(&report.stats), report.total_size),
        (" Key Name", report.stats_kv.as_ref(), report.total_size_kv),
    ];
    for (title, stats, total) in tables {
        let Some(stats) = stats else { continue };
        let rule = cells(&[" ----", "----", "----"]);
        lines.extend([cells(&[""]), cells(&[title, "Count", "Size"]), rule.clone()]);
        lines.extend(stats.iter().map(|stat| {
            cells(&[&format!(" {}", stat.name), &stat.count.to_string(), &size(stat.sum)])
        }));
        lines.extend([rule, cells(&[" Total", "", &size(total)])]);
    }
    tabs(&lines, COLUMN_LEAST, COLUMN_GAP)
}

/// Bytes for people: `1.5KB`.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        #[expect(clippy::cast_precision_loss, reason = "one digit after the point is told")]
        Some((unit, name)) => {
            let number = format!("{:.1}", bytes as f64 / *unit as f64);
            format!("{}{name}", number.trim_end_matches(".0"))
        }
        None if bytes == 0 => "0".to_owned(),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_consul_tells_them() {
        for (bytes, told) in
            [(0, "0"), (5, "5B"), (1024, "1KB"), (10_314, "10.1KB"), (3 << 20, "3MB")]
        {
            assert_eq!(size(bytes), told);
        }
    }
}
