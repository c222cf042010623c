//! To be written.
pub mod filter;
