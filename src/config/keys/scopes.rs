//! The keys of scopes and their policies: these are not Consul's.

use super::Kind::{Block, Blocks, Text, Texts, Uint32, Uint64};
use super::{Key, live};

pub(in crate::config) const SCOPE: &[Key] = &[
    live("owner", Text),
    live("services", Texts),
    live("keys", Texts),
    live("callers", Blocks(CALLER)).or("caller"),
    live("policy", Text),
    live("inherit", Text),
    live("budget", Block(BUDGET)),
    live("on_partition", Text),
    live("max_stale", Text),
    live("retention", Text),
    live("depth", Uint32),
];

const CALLER: &[Key] = &[
    live("accessor", Text),
    live("policy", Text),
    live("role", Text),
    live("auth_method", Text),
    live("listener", Text),
    live("source", Text),
];

const BUDGET: &[Key] = &[
    live("services", Uint64),
    live("instances", Uint64),
    live("writes_per_second", Uint64),
    live("kv_bytes", Uint64),
];

pub(in crate::config) const POLICY: &[Key] =
    &[live("file", Text), live("rego", Text), live("scope", Text)];
