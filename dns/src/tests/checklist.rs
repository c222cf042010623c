//! `docs/dns-checklist.md`: whatever it names is there.

use std::collections::BTreeSet;
use std::path::Path;

use proconsul_conformance::dns::fixture;

/// So many tests of DNS Consul has.
const CONSULS_TESTS: usize = 122;

/// The text of all sources below a folder.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    text
}

#[test]
fn the_checklist_names_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sources =
        [root.join("dns/src"), root.join("src/app")].map(|folder| sources(&folder)).concat();
    let text = std::fs::read_to_string(root.join("docs/dns-checklist.md")).unwrap();
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    let mut names = BTreeSet::new();
    for (name, here) in rows.filter(|(name, _)| !["Consul", "rule"].contains(name)) {
        assert!(names.insert(name), "{name} stands twice");
        let tests = here.split('`').skip(1).step_by(2);
        let missing: Vec<&str> =
            tests.filter(|test| !sources.contains(&format!("fn {test}()"))).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
        for file in here.split_whitespace().filter(|word| word.ends_with(".txt")) {
            assert!(fixture::folder().join(file).exists(), "{name}: {file}");
        }
        assert!(here.contains(['`', '.']) || here.starts_with("waits: "), "{name}");
    }
    let consuls = names.iter().filter(|name| !name.contains(' ')).count();
    assert_eq!(consuls, CONSULS_TESTS);
}
