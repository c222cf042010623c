//! The crate as a whole.

mod checklist;
mod fixtures;
mod noise;
