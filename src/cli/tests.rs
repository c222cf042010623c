//! Lines of data: what Go's flag parser makes of words, as Consul 1.22.7 tells it.

use super::*;
use crate::config::sources_from;

fn rewritten(command: &str, line: &str) -> String {
    let entry = entries().find(|entry| entry.name() == command).unwrap();
    let words: Vec<String> =
        line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    argv::rewrite(&entry.command(), &words)
        .map_or_else(|fault| fault.to_string(), |words| words.join(" "))
}

#[test]
fn flags_are_rewritten_as_go_reads_them() {
    for (command, line, expected) in [
        ("agent", "-dev -node a", "--dev=true --node=a --"),
        ("agent", "--dev --node=a", "--dev=true --node=a --"),
        ("agent", "-dev=false -http-port -1", "--dev=false --http-port=-1 --"),
        ("agent", "-server=T -bind=", "--server=true --bind= --"),
        ("agent", "-node-meta a:b -node-meta c", "--node-meta=a:b --node-meta=c --"),
        ("agent", "-node -dev", "--node=-dev --"),
        ("kv put", "-cas -modify-index=0x10 k v -cas", "--cas=true --modify-index=16 -- k v -cas"),
        ("kv put", "k -", "-- k -"),
        ("kv put", "-- -k v", "-- -k v"),
        ("kv put", "- v", "-- - v"),
        ("agent", "-foo", "flag provided but not defined: -foo"),
        ("agent", "--foo=1", "flag provided but not defined: -foo"),
        ("agent", "-http-port", "flag needs an argument: -http-port"),
        ("agent", "---x", "bad flag syntax: ---x"),
        ("agent", "-=x", "bad flag syntax: -=x"),
        (
            "agent",
            "-http-port x",
            "invalid value \"x\" for flag -http-port: strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        (
            "agent",
            "-server=maybe",
            "invalid boolean value \"maybe\" for -server: strconv.ParseBool: parsing \"maybe\": invalid syntax",
        ),
        ("kv put", "-flags=-1 a", "invalid value \"-1\" for flag -flags: parse error"),
        (
            "catalog nodes",
            "-node-meta a",
            "invalid value \"a\" for flag -node-meta: Missing \"=\" value in argument: a",
        ),
    ] {
        assert_eq!(rewritten(command, line), expected, "{command} {line}");
    }
}

#[test]
fn files_and_folders_keep_their_order() {
    let command = entries().find(|entry| entry.name() == "agent").unwrap().command();
    let line = "-config-dir a -hcl x=1 -config-file b -dev -config-dir c -join j -retry-join k -node-meta p:q -http-port=-1";
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let words = argv::rewrite(&command, &words).unwrap();
    let sources = sources_from(&command.no_binary_name(true).get_matches_from(words)).unwrap();
    assert_eq!(sources.paths, ["a", "b", "c"].map(std::path::PathBuf::from));
    assert_eq!((sources.fragments.as_slice(), sources.dev), (["x=1".to_owned()].as_slice(), true));
}

#[test]
fn every_command_is_well_formed() {
    for entry in entries() {
        entry.command().debug_assert();
        let clash = LATER.contains(&entry.name().as_str());
        assert!(!clash, "{} is both there and not", entry.name());
    }
}

#[test]
fn tables_pad_all_but_the_last_column() {
    let rows = [["Node", "DC"], ["a", "dc1"]].map(|row| row.map(str::to_owned).to_vec());
    assert_eq!(table::columns(&rows), "Node  DC\na     dc1");
    let rows = [("a".to_owned(), "1".to_owned()), ("bcd".to_owned(), String::new())];
    assert_eq!(table::pairs(&rows, 2), "a    1\nbcd  ");
}

#[test]
fn tabs_widen_columns_of_consecutive_lines() {
    let lines = ["Datacenter|Count||", "dc1|10", "|", "Total|10"];
    let lines = lines.map(|line| line.split('|').map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(
        table::tabs(&lines, 0, 6),
        "Datacenter      Count            \ndc1             10\n                \nTotal           10"
    );
}

#[test]
fn the_version_is_consuls_first() {
    assert!(version::pretty().starts_with("Consul v1.22.7\nBuild Date "));
}
