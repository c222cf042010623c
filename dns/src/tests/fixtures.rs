//! Exchanges recorded from the real Consul, replayed without a socket. `DNS_FIXTURES` names another folder of them.

use std::path::PathBuf;

use proconsul_conformance::dns::fixture::{self, Exchange, Fixture};
use proconsul_conformance::dns::shown::show;
use proconsul_conformance::dns::wire;
use proconsul_conformance::fixtures;

use crate::shape::Transport;
use crate::testing::Server;
use crate::testing::world::World;

/// Orders are random: one of so many of ours must be the recorded one, or be alike when that varied, too.
const SEEDS: u64 = 24;

#[test]
fn consul_would_have_said_the_same() {
    let folder = std::env::var_os("DNS_FIXTURES").map_or_else(fixture::folder, PathBuf::from);
    let (mut differences, mut all) = (0, 0);
    for file in fixtures::scripts(&folder).unwrap() {
        let fixture = Fixture::read(&file).unwrap();
        if fixture.needs_a_program() {
            continue;
        }
        let world = Server::of(World::read(&std::fs::read_to_string(&file).unwrap()));
        for recorded in fixture.exchanges {
            all += 1;
            if let Some(difference) = difference(&world, &recorded) {
                differences += 1;
                println!("{}: {}\n{difference}", file.display(), recorded.ask);
            }
        }
    }
    assert!(all > 0, "there are fixtures");
    assert_eq!(differences, 0, "of {all} answers differ");
}

fn difference(world: &Server, recorded: &Exchange) -> Option<String> {
    let transport = match recorded.transport() {
        wire::Transport::Udp => Transport::Udp,
        wire::Transport::Tcp => Transport::Tcp,
    };
    let answer = |seed| world.exchange(transport, &recorded.query, seed);
    if (0..SEEDS).any(|seed| recorded.is_like(answer(seed).as_deref())) {
        return None;
    }
    let (theirs, ours) = (show(recorded.reply.as_deref()), show(answer(0).as_deref()));
    Some(format!("  consul {theirs:#?}\n  ours   {ours:#?}"))
}
