//! What people write for Consul: the first HashiCorp configuration language and JSON, read into values that remember their
//! lines.
//!
//! Configuration files, access control rules and configuration entries are written in it. Nothing here knows what the keys
//! mean.
#![warn(missing_docs)]

mod document;
mod json;
mod reader;

pub use crate::document::{Node, Value};
pub use crate::json::read as read_json;
pub use crate::reader::{read, read_once};
