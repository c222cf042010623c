//! What a process is for.

pub(crate) mod agent;
pub(crate) mod bridge;
pub(crate) mod surveyor;
