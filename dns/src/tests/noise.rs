//! Whatever arrives, nothing breaks, and what comes back is a reply to it.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::shape::Transport;
use crate::testing::Server;
use crate::testing::world::World;

const WORLD: &str = "
    node n1 10.0.0.1 meta:a=b
    service n1 web web port=80 tags=v1
    service n1 alias alias addr=web.service.consul";

/// An EDNS query whose bytes are changed at random.
const QUERY: &[u8] = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x02v1\x03web\x07service\x06consul\x00\x00\x21\x00\x01\
    \x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x0b\x00\x08\x00\x07\x00\x01\x18\x00\x0a\x0b\x0c";

fn mutated(chance: &mut StdRng) -> Vec<u8> {
    let mut bytes = QUERY.to_vec();
    for _ in 0..chance.random_range(0..6) {
        let at = chance.random_range(0..bytes.len());
        match chance.random_range(0..4) {
            0 => bytes[at] = chance.random(),
            1 => bytes[at] ^= 1 << chance.random_range(0..8),
            2 => bytes.insert(at, chance.random()),
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

#[test]
fn noise_breaks_nothing() {
    let world = Server::of(World::read(WORLD));
    for seed in 0..20_000 {
        let mut chance = StdRng::seed_from_u64(seed);
        let query = mutated(&mut chance);
        let transport = if seed % 2 == 0 { Transport::Udp } else { Transport::Tcp };
        let Some(reply) = world.exchange(transport, &query, seed) else { continue };
        assert_eq!(reply[..2], query[..2], "seed {seed}");
        assert!(reply[2] & 0x80 != 0, "seed {seed}");
    }
}

#[test]
fn noise_is_answered_alike_by_every_way() {
    for seed in 0..5_000 {
        crate::fuzzing::message(&mutated(&mut StdRng::seed_from_u64(seed)));
    }
}
