//! `credential verify`: is what a file says signed by whom it names, down from a root?

use clap::Arg;
use proconsul_anchors::clock::{Clock as _, Time};
use proconsul_anchors::credential::attestation::ATTESTATION_TYPE;
use proconsul_anchors::credential::dsse::keyid;
use proconsul_anchors::credential::offline::Taxonomy;
use proconsul_anchors::credential::published::TAXONOMY_TYPE;
use proconsul_anchors::credential::statement::{Subject, second_of};
use reqwest::Method;

use super::super::client::{Api, server_flags};
use super::super::go::{file, text};
use super::super::{Call, FAILED, FAILED_OTHERWISE, json, print_err, print_out, text as text_flag};
use crate::app::SystemClock;

/// What was found out.
enum Verdict {
    Holds(String),
    Fails(String),
}

pub(super) fn flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend([
        text_flag("taxonomy", "file", "A copy of /v1/anchor/taxonomy; the agent is asked unless said."),
        text_flag("root", "key", "The key of the root that is believed: ed25519:<hex>. Whatever the taxonomy names unless said."),
        text_flag("answer", "file", "The answer that an attestation speaks of, to the byte."),
    ]);
    flags
}

pub(super) fn run(call: &Call) -> u8 {
    match verify(call) {
        Ok(Verdict::Holds(told)) => {
            print_out(&told);
            0
        }
        Ok(Verdict::Fails(told)) => {
            print_err(&told);
            FAILED_OTHERWISE
        }
        Err(fault) => {
            print_err(&fault);
            FAILED
        }
    }
}

fn verify(call: &Call) -> Result<Verdict, String> {
    let path = match call.words()[..] {
        [path] => path,
        ref words => return Err(format!("Expected one file (got {} words)", words.len())),
    };
    let asked = file(path)?;
    let kind = json::read(&asked).map_err(|fault| format!("{path} is no envelope: {fault}"))?;
    let kind = text(&kind, "payloadType").to_owned();
    let root = call.said("root").map(str::parse::<Subject>).transpose();
    let root = root.map_err(|fault| format!("-root: {fault}"))?;
    let root = root.as_ref().map(|root| root.key().copied().ok_or("-root must be a key"));
    let root = root.transpose()?;
    let taxonomy = match call.said("taxonomy") {
        _ if kind == TAXONOMY_TYPE => asked.clone(),
        Some(path) => file(path)?,
        None => fetch(call)?,
    };
    let now = SystemClock.now();
    let taxonomy = match Taxonomy::read(&taxonomy, root, now) {
        Ok(taxonomy) => taxonomy,
        Err(fault) => return Ok(Verdict::Fails(format!("The taxonomy is not believed: {fault}"))),
    };
    if kind == TAXONOMY_TYPE {
        return Ok(Verdict::Holds(told_taxonomy(&taxonomy, now)));
    }
    if kind == ATTESTATION_TYPE {
        let answer = call.said("answer").map(file).transpose()?;
        return Ok(match taxonomy.attestation(&asked, answer.as_deref(), now) {
            Ok(of) => Verdict::Holds(format!(
                "The attestation holds: scope {} answered {} with {} by rule {}; {}",
                of.scope,
                of.query,
                of.outcome.as_str(),
                of.rule,
                of.answer
            )),
            Err(fault) => Verdict::Fails(format!("The attestation does not hold: {fault}")),
        });
    }
    Ok(match taxonomy.credential(&asked, now) {
        Ok(of) => Verdict::Holds(format!(
            "The credential {} holds: {} as {} of scope {}",
            of.id, of.subject, of.role, of.scope
        )),
        Err(fault) => Verdict::Fails(format!("The credential does not hold: {fault}")),
    })
}

fn fetch(call: &Call) -> Result<Vec<u8>, String> {
    let answer = Api::of(call)?.expect(Method::GET, "anchor/taxonomy", &[], Vec::new());
    answer.map(|answer| answer.body).map_err(|fault| format!("Error reading the taxonomy: {fault}"))
}

/// The roots are told, so that whoever did not name one sees whom they believed.
fn told_taxonomy(taxonomy: &Taxonomy, now: Time) -> String {
    let root = |known: &proconsul_anchors::credential::trust::Known| {
        let keyid = known.key().map(keyid).unwrap_or_default();
        format!("\n  root of {}: {} (keyid {keyid})", known.scope, known.subject)
    };
    let roots: String = taxonomy.roots(now).map(root).collect();
    let left = second_of(taxonomy.expires).saturating_sub(second_of(now));
    format!("The taxonomy of scope {} holds for {left} seconds more{roots}", taxonomy.scope)
}
