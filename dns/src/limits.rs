//! Every bound of the DNS side, with its reason.

use std::time::Duration;

/// A name on the wire, its root included (RFC 1035 §2.3.4).
pub const NAME_BYTES_MAX: usize = 255;
/// A label (RFC 1035 §2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;
/// One character-string of a TXT record (RFC 1035 §3.3).
pub const TEXT_BYTES_MAX: usize = 255;
/// A compression pointer has fourteen bits (RFC 1035 §4.1.4).
pub const POINTER_OFFSET_MAX: usize = 1 << 14;
/// A question's name that is compressed may jump this often: Consul's library follows 126, loops end there too.
pub const POINTERS_FOLLOWED_MAX: usize = 126;

/// What a client without EDNS takes over UDP (RFC 1035 §4.2.1).
pub const PLAIN_UDP_BYTES: usize = 512;
/// The largest answer over UDP whatever the client says that it takes: Consul leaves 68 bytes of a datagram to the headers below.
pub const UDP_BYTES_MAX: usize = 65_535 - 68;
/// Consul compares with this much less over UDP, for the header of the datagram.
pub const UDP_RESERVE_BYTES: usize = 8;
/// The largest answer over TCP: Consul leaves 12 bytes of the 64 KiB to the header.
pub const TCP_BYTES_MAX: usize = 65_535 - 12;
/// What a datagram over IPv4 holds.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;
/// A message's length is sent in sixteen bits.
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// Answers over TCP, before they are measured.
pub const TCP_ANSWERS_MAX: usize = 4096;
/// SRV answers over TCP, before they are measured.
pub const TCP_SRV_ANSWERS_MAX: usize = 1024;
/// `udp_answer_limit` counts up to here and no further.
pub const PLAIN_UDP_ANSWERS_MAX: usize = 8;
/// A reply that is too long by more than this is cut by bisection, else answer by answer.
pub const TRIM_STEP_BYTES: usize = 100;
/// Bisection stops when so few bytes are left unused.
pub const TRIM_SLACK_BYTES: usize = 10;

/// How deep host names that point back into the zone are followed.
pub const CHASES_MAX: usize = 3;
/// So many records of a followed name are told to a client without EDNS.
pub const CHASED_RECORDS_MAX: usize = 5;
/// Name servers told for the zone.
pub const NAME_SERVERS_MAX: usize = 3;

/// Words of an extended error: what a small answer without them leaves of 512 bytes, with room to spare.
pub const EXTENDED_TEXT_BYTES_MAX: usize = 160;
/// Queries under way elsewhere at one time, all listeners together: each keeps a socket and some kilobytes.
pub const LATER_MAX: usize = 4096;
/// How long a query may be under way elsewhere, unless the recursors that are configured take longer in their turn.
pub const LATER_WAIT_MAX: Duration = Duration::from_secs(10);
/// A message of a transfer ends when its records have so many bytes uncompressed; the last of them may be long.
pub const TRANSFER_MESSAGE_BYTES: usize = 16 << 10;
/// Answers from elsewhere about names that are unknown here that are kept, for each upstream.
pub const FALLBACK_ANSWERS_MAX: u64 = 10_000;
/// What nobody could tell is not asked again for so long (RFC 9520 §3.2 wants a second at least).
pub const FALLBACK_FAILURE_TTL: Duration = Duration::from_secs(1);
/// The largest datagram that is taken from a fallback: none of it is lost on the way (DNS flag day 2020).
pub const FALLBACK_UDP_BYTES: u16 = 1232;
/// Hosts of one service that a zone is asked about.
pub const FALLBACK_HOSTS_MAX: usize = 64;
/// Rows that an explanation lists.
pub const EXPLAINED_ROWS_MAX: usize = 1000;
/// Host names of one answer that recursors are asked about; the others are told without addresses.
pub const NAMES_ASKED_MAX: usize = 64;
/// So many of them at the same time.
pub const NAMES_ASKED_AT_ONCE: usize = 8;

/// Records in a request beyond its question: one answer, one authority, two additional, as Consul accepts.
pub const REQUEST_ADDITIONAL_MAX: u16 = 2;
/// Consul reads requests over UDP whole.
pub const REQUEST_BYTES_MAX: usize = 65_535;

/// What the system is asked to keep of queries that wait: some thousands. The default holds fewer than 200 small ones.
pub const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Who asked so long ago has asked again or given up: the C library waits five seconds.
pub const QUERY_WAIT_MAX: Duration = Duration::from_secs(5);
/// Connections served at one time; one more waits for a place.
pub const TCP_CONNECTIONS_MAX: usize = 4096;
/// Queries answered on one connection.
pub const TCP_QUERIES_MAX: usize = 128;
/// How long the first query of a connection may take to arrive.
pub const TCP_FIRST_WAIT: Duration = Duration::from_secs(2);
/// How long the next ones may take.
pub const TCP_IDLE_WAIT: Duration = Duration::from_secs(8);
/// How long a client may take to accept a reply.
pub const TCP_WRITE_WAIT: Duration = Duration::from_secs(8);
/// Queries of one connection that are under way elsewhere; the next one is read when one of them is answered.
pub const IN_FLIGHT_MAX: usize = 32;
/// How long a client may take to agree on TLS.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(5);
/// Queries answered on one connection within TLS or QUIC: agreeing on it costs more than a hundred queries.
pub const SECURE_QUERIES_MAX: usize = 10_000;
/// What the head of an HTTPS request may hold: a whole query in its address, and room for what browsers add.
pub const HTTPS_HEAD_BYTES_MAX: usize = 96 << 10;
/// What a QUIC connection may have on its way in each direction.
pub const QUIC_WINDOW_BYTES: usize = 256 << 10;
/// From so many QUIC connections on, a client proves its address before anything is kept of it.
pub const QUIC_UNPROVEN_MAX: usize = 1024;
/// How long the listener rests when the system has no more descriptors.
pub const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Datagrams that are received, answered and sent at a time.
pub const DATAGRAMS_AT_ONCE: usize = 32;
/// No query is shorter: a header, the root's name, a type and a class.
pub const QUERY_BYTES_MIN: usize = 17;
/// Longer messages are not usual: their replies are not kept.
pub const KEPT_KEY_BYTES_MAX: usize = 300;
/// Messages whose replies a listener keeps; then it begins anew.
pub const KEPT_MESSAGES_MAX: usize = 2048;
/// Replies to a message that are kept: as many orders of its answers.
pub const KEPT_REPLIES_MAX: usize = 64;
/// So often kept replies about one instance are sent before one of them is made anew …
pub const KEPT_SERVINGS_MAX: usize = 192;
/// … and so often those about many.
pub const KEPT_SERVINGS_MIN: usize = 2;
/// A listener that nobody asks looks so often whether it is to stop.
pub const STOP_HEARD_MAX: Duration = Duration::from_millis(100);
