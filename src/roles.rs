//! What a process is for.

pub(crate) mod agent;
