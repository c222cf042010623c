//! Every bound of the core, named, with its reason.

use std::time::Duration;

/// Writes that wait for their batch. Beyond it a write is refused at once: whoever retries later is served sooner than a
/// queue that nobody waits for any more.
pub const WRITES_WAITING_MAX: usize = 8_192;

/// Bytes of writes that wait for their batch: what the queue may cost in memory when each write is large.
pub const WRITES_WAITING_BYTES_MAX: usize = 64 << 20;

/// Writes in one batch: bounds how long a lone write waits behind a crowd.
pub const BATCH_WRITES_MAX: usize = 512;

/// Bytes of changes in one batch, unless a single one is larger: bounds a raft entry.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// Batches that the raft log keeps before a snapshot lets them go: with [`BATCH_BYTES_MAX`] its bound in bytes.
pub const RAFT_ENTRIES_MAX: u64 = 256;

/// Batches that may be applied and not written. Far below [`RAFT_ENTRIES_MAX`], so that the log still has them all; also
/// what a start after a crash has to apply again. In this crate's tests few, so that short histories meet the bound.
pub const BACKLOG_BATCHES_MAX: u64 = if cfg!(test) { 3 } else { 128 };

/// Bytes of lineage that may be applied and not written: what they cost in memory.
pub const BACKLOG_BYTES_MAX: usize = 4 << 20;

/// Rows that may wait to be written. Each is a name; a deleted tree of keys has many, and no other bound meets it.
pub const BACKLOG_ROWS_MAX: usize = 32_768;

/// When no write came for so long, what was applied is written.
pub const BACKLOG_REST: Duration = Duration::from_millis(250);

/// The latest batches that are kept in memory between their append and their application.
pub const RAFT_ENTRIES_CACHED_MAX: usize = 4;

/// The page cache of a store on disk. Reads are answered from the index, so the cache serves writes only: the pages
/// between two syncs and the inner pages of the trees.
pub const STORE_CACHE_BYTES: usize = 2 << 20;

/// The page cache of a store in memory, whose pages are in memory already.
pub const STORE_IN_MEMORY_CACHE_BYTES: usize = 2 << 20;

/// A store file up to this size is verified to the last page before it is used; `replay --check` verifies any. Larger
/// ones would delay the start by more than a tenth of a second.
pub const VERIFY_AT_START_BYTES_MAX: u64 = 64 << 20;

/// Under steady writes, the lineage is signed at most this often. Whoever asks gets a signature at once.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// After an attempt to take the disk into use again failed, the next one waits this long: it may have to walk the file.
pub const REOPEN_PAUSE: Duration = Duration::from_millis(250);

/// How long a start waits for its own election and for what the log still holds to be applied.
pub const START_WAIT_MAX: Duration = Duration::from_secs(60);

/// Differences that a replay lists before it only counts them.
pub const REPLAY_DIFFERENCES_MAX: usize = 10;

/// Authorities that are kept looked up; one more, and they are looked up again as they are asked for.
pub const AUTHORITIES_MAX: usize = 4096;

/// Labels that may lie under a datacenter's where its own scope says nothing of it.
pub const SCOPE_LABELS: u32 = 16;

/// Scopes of a datacenter. All of them are looked at when one is written.
pub const SCOPES_MAX: usize = 4_096;

/// Refusals of one scope that are written down in a second: whoever is refused asks again and again.
pub const REFUSALS_TOLD_PER_SECOND: u64 = 4;

/// Names, key prefixes and caller rules of one scope.
pub const SCOPE_NAMES_MAX: usize = 1_024;

/// Bytes of a text in a scope's record: a name, a prefix of keys, the owner.
pub const SCOPE_TEXT_BYTES_MAX: usize = 512;
