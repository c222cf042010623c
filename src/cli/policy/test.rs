//! `policy test`: modules' own tests, and cases in JSON.

use std::path::Path;

use clap::Arg;
use proconsul_anchors::policy::{self, Case, Told};

use super::super::go::file;
use super::super::{Call, FAILED, boolean, print_err, print_out};

/// A policy and what is asked of it: `{"policy": "payments.rego", "cases": […]}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    /// The file of the policy, from where the cases are.
    policy: String,
    cases: Vec<Case>,
}

pub(super) fn flags() -> Vec<Arg> {
    vec![boolean("verbose", "Names also the tests that pass.")]
}

/// Fails when a test fails, and when there is none.
pub(super) fn run(call: &Call) -> u8 {
    match test(&call.words()) {
        Err(fault) => {
            print_err(&fault);
            FAILED
        }
        Ok(told) => summary(&told, call.flag("verbose")),
    }
}

fn summary(told: &[Told], verbose: bool) -> u8 {
    let mut lines = Vec::new();
    for one in told {
        match &one.failure {
            Some(failure) => lines.push(format!("FAIL  {}: {failure}", one.name)),
            None if verbose => lines.push(format!("ok    {}", one.name)),
            None => {}
        }
    }
    let failed = told.iter().filter(|one| one.failure.is_some()).count();
    lines.push(format!("{} passed, {failed} failed", told.len() - failed));
    print_out(&lines.join("\n"));
    if told.is_empty() {
        print_err("no tests: rules are tests whose names begin with test_");
    }
    u8::from(failed > 0 || told.is_empty()) * FAILED
}

fn test(paths: &[&str]) -> Result<Vec<Told>, String> {
    if paths.is_empty() {
        return Err("Expected files: modules (.rego), or cases (.json)".to_owned());
    }
    let (cases, modules): (Vec<&str>, Vec<&str>) =
        paths.iter().partition(|path| path.ends_with(".json"));
    let sources: Vec<(&str, String)> =
        modules.iter().map(|path| Ok((*path, read(path)?))).collect::<Result<_, String>>()?;
    let sources: Vec<(&str, &str)> =
        sources.iter().map(|(path, source)| (*path, source.as_str())).collect();
    let mut told = policy::run(&sources).map_err(|fault| fault.to_string())?;
    for path in cases {
        told.extend(judge(path)?);
    }
    Ok(told)
}

fn judge(path: &str) -> Result<Vec<Told>, String> {
    let cases: Cases =
        serde_json::from_str(&read(path)?).map_err(|fault| format!("{path}: {fault}"))?;
    let beside = Path::new(path).parent().unwrap_or(Path::new(""));
    let policy = beside.join(&cases.policy);
    let name = policy.display().to_string();
    let rego = read(&name)?;
    let judged = cases.cases.iter().map(|case| case.judge(&name, &rego));
    judged.collect::<Result<_, _>>().map_err(|fault| fault.to_string())
}

fn read(path: &str) -> Result<String, String> {
    let bytes = file(path).map_err(|fault| format!("{path}: {fault}"))?;
    String::from_utf8(bytes).map_err(|_| format!("{path} is no UTF-8"))
}
