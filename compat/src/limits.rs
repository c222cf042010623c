//! Every bound of the HTTP side, with its reason.

use std::time::Duration;

/// Arrays and objects in each other that a body may have. Go takes 10,000; no body of the API has ten. What is kept of a body
/// is JSON again, inside other objects, and its reader takes 128: what were kept deeper could not be read at the next start.
pub(crate) const JSON_DEPTH_MAX: usize = 64;

/// Names of services that are known from elsewhere at one time.
pub(crate) const FALLBACK_NAMES_MAX: u64 = 4096;

/// Instances of a service that are taken from elsewhere.
pub(crate) const FALLBACK_INSTANCES_MAX: usize = 4096;

/// A name that nobody asks for is forgotten after this.
pub(crate) const FALLBACK_IDLE_MAX: Duration = Duration::from_secs(3600);

/// How long it is kept that a name is unknown elsewhere too, or that nobody could be asked.
pub(crate) const FALLBACK_FAILURE_TTL: Duration = Duration::from_secs(5);

/// What is told from elsewhere is kept for so long at least: whoever waits for a change looks there as often.
pub(crate) const FALLBACK_TTL_MIN: Duration = Duration::from_secs(1);

/// While nobody can be asked, the last answer counts for so long.
pub(crate) const FALLBACK_STALE_MAX: Duration = Duration::from_secs(600);

/// A name in use is noted in the lineage so often.
pub(crate) const FALLBACK_NOTE_INTERVAL: Duration = Duration::from_secs(3600);

/// Notes a second, all names together: strangers must not fill the log.
pub(crate) const FALLBACK_NOTES_PER_SECOND: u32 = 10;

/// A JSON body of more bytes is refused: the largest registrations seen have some hundred KiB.
pub(crate) const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Operations of one transaction (Consul's own bound).
pub(crate) const TXN_OPS_MAX: usize = 128;

/// Bytes that an event carries (Consul's own bound).
pub(crate) const EVENT_BYTES_MAX: u64 = 300;

/// A body of fewer bytes is never compressed (Consul's own bound).
pub(crate) const GZIP_BYTES_MIN: usize = 1400;

/// How many compressed forms of shared bodies are kept: as many services change at one moment, and few more.
pub(crate) const GZIP_SHARED_MAX: usize = 32;

/// A larger body is compressed for each client anew, so that what is kept stays below some megabytes.
pub(crate) const GZIP_SHARED_BYTES_MAX: usize = 128 * 1024;

/// A blocking query gets up to this share of its wait on top, so that many of them do not end at once.
pub(crate) const WAIT_JITTER_FRACTION: u32 = 16;

/// How long a read or write waits for a leader before it is refused (Consul's `rpc_hold_timeout`).
pub(crate) const LEADER_WAIT_MAX: Duration = Duration::from_secs(7);

/// How often a request that waits for a leader looks again.
pub(crate) const LEADER_POLL: Duration = Duration::from_millis(50);

/// After the order to stop, replies that are on their way get this long to go out.
pub(crate) const DRAIN_MAX: Duration = Duration::from_millis(100);

/// Parameters of one query string (Go's own bound).
pub(crate) const PARAMS_MAX: usize = 10_000;

/// Pause after a failed accept (out of file descriptors), so that the loop does not spin.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Reads with `?cached` of which it is remembered that they were asked for; then all are forgotten.
pub(crate) const REMEMBERED_MAX: usize = 16_384;

/// Certificates of services that are kept, with their keys; the oldest goes when there are more.
pub(crate) const LEAVES_MAX: usize = 4096;

/// A root that does not sign any more is told for so many lives of a leaf: Consul's two.
pub(crate) const ROTATED_ROOT_LEAVES: i64 = 2;

/// A snapshot goes out in pieces of about this size …
pub(crate) const SNAPSHOT_PIECE_BYTES: usize = 64 * 1024;

/// … of which so many wait for the client, or for the disk when one comes in.
pub(crate) const SNAPSHOT_PIECES_AHEAD: usize = 8;

/// Snapshots that are sent at a time: each takes a thread and a file. Who comes later waits.
pub(crate) const SNAPSHOTS_AT_ONCE_MAX: usize = 16;

/// A snapshot that comes in is not larger: packed, that is more than a hundred million instances, and a disk has it.
pub(crate) const SNAPSHOT_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;

/// Exports of lineages that are sent at a time: each takes a thread. Who comes later waits.
pub(crate) const EXPORTS_AT_ONCE_MAX: usize = 8;

/// Heads may have so many bytes more than is said, as Go's server lets them.
pub(crate) const HEADER_SLOP: usize = 4096;
