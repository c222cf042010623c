//! The crate as a whole.

mod fixtures;
mod noise;
