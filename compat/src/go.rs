//! What Go's standard library reads and prints: Consul's clients rely on it to the letter.

pub(crate) mod base64;
pub(crate) mod json;
pub(crate) mod print;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod uuid;
