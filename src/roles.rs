//! What a process is for.

pub(crate) mod agent;
pub(crate) mod surveyor;
