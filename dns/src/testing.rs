//! What the tests share: an index made of lines, questions as lines, and replies shown as lines.

pub(crate) mod world;

use rand::SeedableRng;
use rand::rngs::StdRng;

use self::world::World;
use crate::server::respond;
use crate::shape::Transport;

/// Answers a message from a world; the seed decides about order.
pub(crate) fn exchange(
    world: &World,
    transport: Transport,
    query: &[u8],
    seed: u64,
) -> Option<Vec<u8>> {
    let mut chance = StdRng::seed_from_u64(seed);
    respond(world, &world.settings, transport, None, query, &mut chance)
}
