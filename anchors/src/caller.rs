//! Who asks.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Whoever stands behind a request.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The secret that came with the request. Never printed.
    pub token: Option<Secret>,
    /// The address that it came from.
    pub address: Option<IpAddr>,
    /// The listener by which it came, as the configuration names it.
    pub listener: Option<Arc<str>>,
    /// Whether it is the program itself: no rule binds it.
    pub own: bool,
}

/// By which way a caller came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Way {
    /// See [`Caller::address`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// See [`Caller::listener`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<Arc<str>>,
}

/// A text that is never shown, neither in logs nor in errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

// === impl Caller ===

impl Caller {
    /// The program itself: its own timers and its own node.
    pub fn own() -> Self {
        Self { own: true, ..Self::default() }
    }

    /// By which way it came.
    pub fn way(&self) -> Way {
        Way { address: self.address, listener: self.listener.clone() }
    }
}

// === impl Way ===

impl Way {
    /// Whether nothing is known of it.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

// === impl Secret ===

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, for whoever compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}
