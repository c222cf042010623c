//! What the tests share: an index made of lines, questions as lines, and replies shown as lines.

pub(crate) mod world;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rand::SeedableRng;
use rand::rngs::StdRng;

use self::world::World;
use crate::server::{Response, Service};
use crate::shape::Transport;

/// Answers messages from a world.
pub(crate) struct Server(Arc<Service<World>>);

impl Server {
    pub(crate) fn of(world: World) -> Self {
        let settings = Arc::new(ArcSwap::from_pointee(world.settings.clone()));
        Self(Service::new(world, settings))
    }

    /// Answers a message; the seed decides about order.
    pub(crate) fn exchange(
        &self,
        transport: Transport,
        query: &[u8],
        seed: u64,
    ) -> Option<Vec<u8>> {
        match self.0.respond(transport, None, query, &mut StdRng::seed_from_u64(seed)) {
            Response::Silence => None,
            Response::Now(reply) => Some(reply),
            Response::Later(_) => panic!("nobody else is to be asked"),
        }
    }
}
