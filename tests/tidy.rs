//! The invariants of ARCHITECTURE.md that can be read off the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// Where, which words must not stand there, and why.
const SILENCES: &[(&[&str], &[&str], &str)] = &[
    (
        PURE,
        &["tokio::", "axum::", "hickory", "redb::", "openraft", "std::net::TcpStream", "std::fs"],
        "the pure core does no I/O",
    ),
    (
        PURE,
        &["Instant::now", "SystemTime::now", "rand::rng", "thread_rng", "Uuid::new_v"],
        "the pure core is told time and chance",
    ),
    (
        &["ca/src"],
        &["tokio::", "proconsul_compat", "http::", "Instant::now", "SystemTime::now", "std::fs"],
        "the certificate authority is told all but new keys",
    ),
    (&["dns/src"], &["proconsul_compat", "axum::", "serde_json"], "DNS does not know HTTP"),
    (&["compat/src"], &["proconsul_dns", "hickory"], "HTTP does not know DNS"),
    (
        &["mesh/src"],
        &["proconsul_compat", "proconsul_dns", "proconsul_ca"],
        "the mesh's values know the core alone",
    ),
    (
        &["anchors/src"],
        &["proconsul_compat", "proconsul_dns"],
        "the core knows none of its servers",
    ),
    (
        &["conformance-tests/src", "conformance-tests/tests"],
        &["proconsul_anchors", "proconsul_compat", "proconsul_dns"],
        "conformance knows only the wire",
    ),
    (
        &["anchors/src", "compat/src", "dns/src"],
        &["std::env", "process::exit", "TcpListener::bind", "UdpSocket::bind"],
        "only src/ binds, reads the environment or exits",
    ),
];

/// The pure modules.
const PURE: &[&str] = &[
    "anchors/src/acl",
    "anchors/src/acl.rs",
    "anchors/src/caller.rs",
    "anchors/src/change.rs",
    "anchors/src/clock.rs",
    "anchors/src/coordinate",
    "anchors/src/coordinate.rs",
    "anchors/src/credential",
    "anchors/src/credential.rs",
    "anchors/src/duration.rs",
    "anchors/src/entry.rs",
    "anchors/src/error.rs",
    "anchors/src/index",
    "anchors/src/index.rs",
    "anchors/src/name.rs",
    "anchors/src/node",
    "anchors/src/node.rs",
    "anchors/src/outcome.rs",
    "anchors/src/pairs.rs",
    "anchors/src/pattern",
    "anchors/src/pattern.rs",
    "anchors/src/policy.rs",
    "anchors/src/prepared",
    "anchors/src/prepared.rs",
    "anchors/src/query.rs",
    "anchors/src/record.rs",
    "anchors/src/sealed.rs",
    "anchors/src/service",
    "anchors/src/service.rs",
    "anchors/src/traversal",
    "anchors/src/traversal.rs",
    "anchors/src/txn.rs",
    "dns/src/answer",
    "dns/src/answer.rs",
    "dns/src/bridge",
    "dns/src/bridge.rs",
    "dns/src/fallback.rs",
    "dns/src/question.rs",
    "dns/src/shape.rs",
    "mesh/src",
];

/// A file longer than this before its tests has outgrown one head.
const LINES_MAX: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All `.rs` files at or below a path.
fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() || path.extension().is_some_and(|ending| ending == "rs"))
        .flat_map(|path| sources(&path))
        .collect();
    found.sort();
    found
}

/// The lines of a file before its tests, numbered from 1; comments left out.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).expect("a listed source can be read");
    text.lines()
        .take_while(|line| line.trim() != "#[cfg(test)]" || path.ends_with("index.rs"))
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(at, line)| (at + 1, line.to_owned()))
        .collect()
}

fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|name| name == "tests" || name == "testing")
        || path.components().any(|part| part.as_os_str() == "tests")
        || is_declared_for_tests(path)
}

/// Whether the module above a file takes it in for tests alone.
fn is_declared_for_tests(path: &Path) -> bool {
    let (Some(folder), Some(name)) =
        (path.parent(), path.file_stem().and_then(|name| name.to_str()))
    else {
        return false;
    };
    let declaration = format!("#[cfg(test)]\nmod {name};");
    let above = [folder.with_extension("rs"), folder.join("lib.rs"), folder.join("main.rs")];
    above
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .any(|text| text.contains(&declaration))
}

#[test]
fn silences_are_kept() {
    let mut broken = Vec::new();
    for (places, words, reason) in SILENCES {
        for path in places
            .iter()
            .flat_map(|place| sources(&root().join(place)))
            .filter(|path| !is_test(path))
        {
            for (line, text) in code(&path) {
                for word in words.iter().filter(|word| text.contains(**word)) {
                    let shown = path.strip_prefix(root()).unwrap().display();
                    broken.push(format!("{shown}:{line}: says `{word}`; {reason}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_file_outgrows_one_head() {
    let folders = [
        "src",
        "anchors/src",
        "compat/src",
        "dns/src",
        "mesh/src",
        "conformance-tests/src",
        "bench/src",
    ];
    let long: Vec<String> = folders
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
        .filter(|path| !is_test(path))
        .map(|path| (code(&path).last().map_or(0, |(line, _)| *line), path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| {
            format!(
                "{}: {lines} lines before its tests",
                path.strip_prefix(root()).unwrap().display()
            )
        })
        .collect();
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}
