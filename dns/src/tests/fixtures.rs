//! Exchanges recorded from the real Consul, replayed. `DNS_FIXTURES` names another folder of them.

use std::path::{Path, PathBuf};

use crate::shape::Transport;
use crate::testing::exchange;
use crate::testing::reply::{Shown, show};
use crate::testing::world::World;

/// Orders are random: one of so many of ours must be the recorded one, or have its outline when that varied, too.
const SEEDS: u64 = 24;

struct Recorded {
    title: String,
    transport: Transport,
    query: Vec<u8>,
    reply: Option<Vec<u8>>,
    /// The sizes that were seen, when the same question was answered differently.
    varies: Option<Vec<usize>>,
}

#[test]
fn consul_would_have_said_the_same() {
    let (mut differences, mut all) = (0, 0);
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let world = World::read(&text);
        for recorded in recorded(&text) {
            all += 1;
            if let Some(difference) = difference(&world, &recorded) {
                differences += 1;
                let file = file.file_name().unwrap().to_string_lossy().into_owned();
                println!("{file}: {}\n{difference}", recorded.title);
            }
        }
    }
    assert!(all > 0, "there are fixtures");
    assert_eq!(differences, 0, "of {all} answers differ");
}

fn files() -> Vec<PathBuf> {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/dns");
    let folder = std::env::var_os("DNS_FIXTURES").map_or_else(own, PathBuf::from);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files
}

fn recorded(text: &str) -> Vec<Recorded> {
    let mut all = Vec::new();
    for line in text.lines() {
        let (key, value) = line.trim().split_once(' ').unwrap_or_default();
        match (key, all.last_mut()) {
            ("ask", _) => all.push(Recorded {
                title: value.to_owned(),
                transport: if value.starts_with("tcp") { Transport::Tcp } else { Transport::Udp },
                query: Vec::new(),
                reply: None,
                varies: None,
            }),
            ("query", Some(last)) => last.query = bytes(value),
            ("reply", Some(last)) => {
                last.reply = Some(value).filter(|reply| *reply != "-").map(bytes)
            }
            ("varies", Some(last)) => {
                last.varies = Some(value.split(' ').map(|size| size.parse().unwrap()).collect())
            }
            _ => {}
        }
    }
    all
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn difference(world: &World, recorded: &Recorded) -> Option<String> {
    let theirs = show(recorded.reply.as_deref());
    let mut first: Option<Shown> = None;
    for seed in 0..SEEDS {
        let reply = exchange(world, recorded.transport, &recorded.query, seed);
        let ours = show(reply.as_deref());
        if ours == theirs || (recorded.varies.is_some() && alike(&ours, &theirs, recorded)) {
            return None;
        }
        first = first.or(Some(ours));
    }
    Some(format!("  consul {theirs:#?}\n  ours   {first:#?}"))
}

fn alike(ours: &Shown, theirs: &Shown, recorded: &Recorded) -> bool {
    let sizes = recorded.varies.as_deref().unwrap_or_default();
    let fits = sizes.iter().min() <= Some(&ours.bytes) && Some(&ours.bytes) <= sizes.iter().max();
    fits && ours.outline() == theirs.outline()
}
