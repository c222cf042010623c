//! `lineage verify`: is it what was signed?

use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::Path;

use clap::Arg;
use proconsul_anchors::lineage::note::{NoteKey, public_key};
use proconsul_anchors::lineage::verify::{Report, VerifyError, directory, export, record_proof};
use reqwest::Response;
use serde_json::Value;

use super::super::client::{Api, server_flags};
use super::super::go::text;
use super::super::{
    Call, FAILED, FAILED_OTHERWISE, print_err, print_out, text as text_flag, texts,
};

/// A file that begins so is a proof, which is one line.
const PROOF_BYTES_MAX: u64 = 256 << 20;

pub(super) fn flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend([
        text_flag("scope", "path", "Whose lineage; all of them unless said."),
        text_flag("checkpoint", "file", "A checkpoint that was kept earlier: tells a lineage that was rolled back or forked."),
        texts("key", "key", "A key that is believed, as <name>+<id>+<base64>; the one that the source names unless said."),
    ]);
    flags
}

/// 0 when nothing is wrong, 2 when something was touched, 1 when nothing can be told.
pub(super) fn run(call: &Call) -> u8 {
    match verify(call) {
        Ok(reports) => {
            for report in &reports {
                print_out(&format!("{report}\n"));
            }
            if reports.iter().all(Report::is_clean) { 0 } else { FAILED_OTHERWISE }
        }
        Err(fault) => {
            print_err(&fault);
            FAILED
        }
    }
}

/// What is to be believed, and compared with.
struct Asked<'a> {
    scope: Option<&'a str>,
    keys: Vec<NoteKey>,
    saved: Option<String>,
}

fn verify(call: &Call) -> Result<Vec<Report>, String> {
    let keys = call.texts("key").into_iter().map(|key| public_key(key).ok_or(VerifyError::Key));
    let keys: Result<Vec<NoteKey>, VerifyError> = keys.collect();
    let keys = keys.map_err(|fault| format!("Error reading -key: {fault}"))?;
    let saved = call.said("checkpoint").map(|path| {
        fs::read_to_string(path).map_err(|fault| format!("Error reading {path}: {fault}"))
    });
    let asked = Asked { scope: call.said("scope"), keys, saved: saved.transpose()? };
    match call.words()[..] {
        [] => of_server(call, None, &asked),
        [source] => {
            let reports = if source.contains("://") {
                return of_server(call, Some(source), &asked);
            } else if Path::new(source).is_dir() {
                let saved = asked.saved.as_deref();
                directory(Path::new(source), asked.scope, &asked.keys, saved)
            } else {
                of_file(source, &asked).map(|report| vec![report])
            };
            reports.map_err(|fault| format!("Error verifying {source}: {fault}"))
        }
        ref words => Err(format!("Expected one source (got {} words)", words.len())),
    }
}

fn of_file(path: &str, asked: &Asked<'_>) -> Result<Report, VerifyError> {
    let unreadable = |fault: std::io::Error| VerifyError::Unreadable(fault.to_string());
    let mut beginning = Vec::new();
    let mut file = File::open(path).map_err(unreadable)?;
    file.by_ref().take(PROOF_BYTES_MAX).read_to_end(&mut beginning).map_err(unreadable)?;
    let is_proof = serde_json::from_slice::<Value>(&beginning);
    if is_proof.is_ok_and(|value| value.get("Inclusion").is_some()) {
        return record_proof(&beginning, &asked.keys);
    }
    drop(beginning);
    let lines = BufReader::new(File::open(path).map_err(unreadable)?);
    export(lines, &asked.keys, asked.saved.as_deref())
}

fn of_server(call: &Call, address: Option<&str>, asked: &Asked<'_>) -> Result<Vec<Report>, String> {
    let api = Api::at(call, address)?;
    let failed = |fault: String| format!("Error verifying the agent's lineage: {fault}");
    let listed: Value = api.get("anchor/lineage", &[]).map_err(failed)?;
    let listed = listed.as_array().cloned().unwrap_or_default();
    let saved_of = asked.saved.as_deref().and_then(|note| note.lines().next());
    let mut reports = Vec::new();
    for scope in listed.iter().map(|one| text(one, "Scope")) {
        if asked.scope.is_some_and(|only| only != scope) {
            continue;
        }
        let path = format!("anchor/lineage/{scope}/");
        let stream = api.runtime().block_on(api.stream(&path, &[("format", "ndjson")]));
        let pieces =
            Pieces { api: &api, response: stream.map_err(failed)?, piece: Vec::new(), at: 0 };
        let saved = asked.saved.as_deref().filter(|_| saved_of == Some(scope));
        let report = export(BufReader::new(pieces), &asked.keys, saved);
        reports.push(report.map_err(|fault| failed(fault.to_string()))?);
    }
    for name in [asked.scope, saved_of].into_iter().flatten() {
        if !listed.iter().any(|one| text(one, "Scope") == name) {
            let known: Vec<&str> = listed.iter().map(|one| text(one, "Scope")).collect();
            let (asked, known) = (name.to_owned(), known.join(", "));
            return Err(failed(VerifyError::UnknownScope { asked, known }.to_string()));
        }
    }
    Ok(reports)
}

/// An answer as it comes.
struct Pieces<'a> {
    api: &'a Api,
    response: Response,
    piece: Vec<u8>,
    at: usize,
}

impl std::io::Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.piece.len() {
            let next = self.api.runtime().block_on(self.response.chunk());
            let next = next.map_err(std::io::Error::other)?;
            (self.piece, self.at) = (next.map(|piece| piece.to_vec()).unwrap_or_default(), 0);
        }
        let count = out.len().min(self.piece.len() - self.at);
        out[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
