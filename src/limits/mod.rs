//! Every bound of linechat, named, with its reason.
//!
//! Two kinds: those that an operator may set (`--limit NAME=VALUE`, the fields of [`Limits`], in `settable.rs`), and those that are
//! fixed because the protocol or a memory promise is built on them (the constants here). `linechat limits` prints both from their
//! tables. This file must never read the environment or decide anything: it only names numbers.

mod settable;

pub use settable::{LimitError, Limits, Registration, Row};

/// The value of a limit that is switched off.
pub const NONE: u64 = u64::MAX;

/// The longest command line in bytes, its ending included.
pub const LINE_BYTES: usize = 4096;
/// The longest name, and the longest channel name without its `#`, in characters.
pub const NAME_CHARS: usize = 32;
/// The longest `@key`, and the longest key of a channel, in characters.
pub const KEY_CHARS: usize = 64;
/// How many of an account's latest `@key`s are remembered.
pub const KEYS_REMEMBERED: usize = 4096;
/// How many of a guest's: there may be a thousand guests from one address, and each of their keys is a row of the store.
pub const KEYS_REMEMBERED_GUEST: usize = 256;
/// Which part of what an inbox may hold, in messages and in bytes, is nobody's share: the first tenth. Up to there a message
/// costs no counting.
pub const INBOX_UNSHARED: u64 = 10;
/// Bans of one channel; whoever joins is held against each.
pub const BANS: usize = 500;
/// Milliseconds of a day.
pub const DAY_MILLISECONDS: i64 = 24 * 60 * 60 * 1000;
/// Bytes of the scopes of a token, as they are typed: the line that lists them, or refuses something for them, must fit.
pub const SCOPES_BYTES: usize = 3600;
/// Days for which a ban, a token or an invite may last, if not for good: nobody remembers longer what it was for.
pub const BAN_DAYS: u64 = 3650;
/// Users who are invited to one channel and have not come: each is kept in memory.
pub const INVITED: u64 = 1000;
/// Seconds that a channel may make its members wait from one message to the next: a day.
pub const SLOW_SECONDS: u32 = 86_400;
/// Bits of an IPv6 address by which a guest is kept out of a channel: whoever has one has its whole /64.
pub const NEAR_IPV6_BITS: u8 = 64;
/// Bytes of an over-long line that are thrown away before the connection is closed.
pub const FLOOD_BYTES: usize = 64 * 1024;
/// Bytes of a telnet subnegotiation that are skipped before it counts as abandoned.
pub const SUBNEGOTIATION_BYTES: usize = 256;
/// Telnet refusals sent on one connection: one for each option that exists. Timing marks between two lines count, too.
pub const TELNET_ANSWERS: u16 = 256;
/// The shortest password in bytes.
pub const PASSWORD_BYTES: usize = 8;
/// Tokens that one account may have: one for each script and machine of a busy person, and few enough to list.
pub const TOKENS_EACH: usize = 50;
/// Scopes of one token: what needs more is for everything, or for two tokens.
pub const SCOPES: usize = 32;
/// Bytes of a reason or a notice of the operator: with what is said around it, a line holds it.
pub const REASON_BYTES: usize = 1000;
/// Networks that the operator may ban at a time; each connection is held against them, and a list by hand is shorter.
pub const SERVER_BANS: usize = 10_000;
/// Invitations that may be open at a time; each is kept in memory.
pub const INVITE_CODES: usize = 10_000;
/// Passwords and channel keys hashed at the same time.
pub const HASHES_AT_ONCE: usize = 2;
/// Passwords and channel keys that wait to be hashed; beyond it whoever has had the most hashes is refused, and not the newcomer.
pub const HASHES_WAITING: usize = 1024;
/// Of these from one address; as many as it may try at once, so that a class behind one address can log in together.
pub const HASHES_WAITING_EACH: usize = 32;
/// Addresses from which an account has logged in lately, or a channel was joined with its key, that are remembered, in memory
/// only.
pub const KNOWN_ADDRESSES: usize = 8;
/// Accounts, and channels, whose addresses are remembered; beyond it all are forgotten, and learned anew.
pub const KNOWN_NAMES: usize = 100_000;
/// Seconds a password or channel key waits for its turn to be hashed.
pub const HASH_WAIT_SECONDS: u64 = 10;
/// Seconds that WAIT waits when no number is given.
pub const WAIT_SECONDS: u64 = 60;
/// Seconds that WAIT may be asked to wait.
pub const WAIT_SECONDS_MAX: u64 = 3600;
/// Lines of INBOX or HISTORY when no number is asked for.
pub const PAGE_LINES: u64 = 100;
/// Lines of INBOX or HISTORY that may be asked for; and of LIST and CHANNELS, of which a page has as many if no number is asked for.
pub const PAGE_LINES_MAX: u64 = 1000;
/// The longest text of AWAY in bytes: it is shown with each of a thousand lines of LIST.
pub const AWAY_BYTES: usize = 200;
/// So many of those who write to somebody who is away are remembered as told; beyond it the others are told each time.
pub const AWAY_TOLD: usize = 1000;
/// After so long it is noted that an account is still here: that much a server that is killed may know too little.
pub const SEEN_MILLISECONDS: i64 = 24 * 3600 * 1000;
/// Entries read from the store at a time for one connection.
pub const READ_ENTRIES: usize = 32;
/// Retracted messages that one answer passes over before it ends with a GAP in their place, behind which its reader goes on: as many as
/// two of the largest pages, or whoever retracts much would make a HISTORY of one line cost the machine as much as they like.
pub const RETRACTED_PASSED: usize = 2 * PAGE_LINES_MAX as usize;
/// Reads from the store at the same time.
pub const READS_AT_ONCE: usize = 4;
/// Users or channels that LIST or CHANNELS looks at at a time: as long nobody else may change anything.
pub const LIST_LINES: usize = 256;
/// Proposals of one connection that wait for their completion.
pub const IN_FLIGHT: usize = 1024;
/// Notices that one connection may leave unread: what its proposals came to, and the rooms in which its reading begins or ends.
/// More than [`IN_FLIGHT`] and the most channels that one user may be in; beyond it the connection is closed.
pub const NOTICES: usize = 16 * 1024;
/// Rooms that one connection may have been left behind in: that it was to read to their ends, and has not yet. Only another
/// connection of its account can bring it there; beyond it the connection is closed.
pub const ENDING_ROOMS: usize = 256;
/// Bytes of text in these proposals, and of the answers that wait behind them.
pub const IN_FLIGHT_BYTES: usize = 64 * 1024;
/// Members who are told what was said for one token of [`Limits::commands_per_second`]; of other news a token pays for one. Talk
/// in a channel of fewer costs a token a line, and in the largest a line costs what it costs to write it to all.
pub const SAID_A_TOKEN: u64 = 256;
/// Received bytes that make no line, for one such token: a connection that sends nothing else is read at about 1.3 MB a second.
pub const BYTES_A_TOKEN: usize = 256;
/// Seconds that a connection waits at most for what it has cost the others.
pub const DEBT_SECONDS: i64 = 10;
/// About how many bytes an entry costs the disk besides its text: short messages fill a disk, too.
pub const ENTRY_BYTES: u32 = 128;
/// Bytes that a connection takes ahead from what its address or account may store, at most: a look at the shared count for every
/// eighteen of the longest messages.
pub const LEASE_BYTES: u32 = 64 * 1024;
/// Addresses whose pace is remembered, of those that have sent something lately; beyond it all are forgotten. In memory these
/// are about 5 MB.
pub const PACED_ADDRESSES: usize = 100_000;
/// Bytes read from a connection at a time, and the most that a paused connection keeps unread.
pub const READ_BYTES: usize = 16 * 1024;
/// Bytes of answers that may wait before the connection's next line is parsed.
pub const OUT_BYTES: usize = 64 * 1024;
/// Bytes of events copied for a connection at a time, and so the most that can wait to be sent.
pub const FOLLOW_BYTES: usize = 32 * 1024;
/// Sixteenths of [`Limits::buffered_bytes`]. Beyond this many fewer recent lines are kept: readers get them from the store.
pub const FEWER_TAILS_SIXTEENTHS: u64 = 12;
/// Beyond this many newcomers are turned away. Beyond all of them connections are closed whose peers take nothing.
pub const NO_NEWCOMERS_SIXTEENTHS: u64 = 14;
/// This many may always be recent lines, so that whoever keeps up is served from memory and misses nothing that is not stored.
pub const LEAST_TAILS_SIXTEENTHS: u64 = 1;
/// Bytes of recent lines that one room keeps.
pub const TAIL_BYTES: usize = 256 * 1024;
/// Bytes of a quiet tail that are kept while a session that was woken has not looked yet.
pub const AWAITED_BYTES: u64 = 8 * 1024;
/// Calls of `propose` that may wait to be ordered; with [`IN_FLIGHT_BYTES`] this bounds the queue's memory at 128 MiB of text.
/// With 256, sessions waiting for room were woken one by one, which cost 1,000 users in pairs a quarter of their messages.
pub const QUEUE_BATCHES: usize = 2048;
/// A batch with this many proposals takes no more.
pub const BATCH_PROPOSALS: usize = 4096;
/// A batch for the other nodes takes no more once it has this many bytes: a NATS server takes a MiB.
pub const BATCH_BYTES: usize = 512 * 1024;
/// Batches of one node on their way through the order. With one, a node of three sends two thirds of what it does with four.
pub const BATCHES_UNDER_WAY: usize = 4;
/// Frames that may wait to be read; what comes when there are more is asked for again. A broker lets 32 MiB wait before it waits
/// itself: with room for 128 short ones a server that is behind asked so often that the others were faster.
pub const FRAMES_WAITING: usize = 16384;
/// Nodes that share an order: what a batch says of each is stored with every batch.
pub const NODES: usize = 64;
/// Committed batches that wait for the hub; then the replica waits.
pub const FEED_BATCHES: usize = 8;
/// Chain heads that the store keeps in memory. Beyond that it forgets them all and reads the ones it needs again.
pub const CHAINS_IN_MEMORY: usize = 100_000;
/// About how many rows one step of tidying the store deletes: a message that arrives meanwhile waits a few milliseconds.
pub const TIDIED_AT_ONCE: usize = 256;
/// Rooms that one step looks at for messages that are no longer kept.
pub const TRIMMED_AT_ONCE: usize = 16;
/// Seconds until all rooms are looked at again for messages that are no longer kept.
pub const TRIM_SECONDS: u64 = 60;
/// Seconds that a search waits until the index of messages has caught up; then it is refused for now.
pub const SEARCH_SECONDS: u64 = 5;
/// Seconds that LOGIN waits for the index of messages to say which of the unread ones are one's own.
pub const UNREAD_SECONDS: u64 = 1;
/// Searches that wait for their turn; one takes a few milliseconds.
pub const SEARCHES_WAITING: usize = 256;
/// Messages that one search shows when no number is asked for.
pub const SEARCH_LINES: u64 = 20;
/// Messages that may be asked for.
pub const SEARCH_LINES_MAX: u64 = 100;
/// Words and phrases of one search: each is looked up in the whole index.
pub const SEARCH_WORDS: usize = 16;
/// Commands for which a search counts: it costs the machine more than any other line.
pub const SEARCH_TOKENS: u64 = 100;
/// Entries that the index of messages takes at a time: a few milliseconds' work, which a question waits for.
pub const INDEXED_AT_ONCE: usize = 512;
/// The index rests so many times as long as it has worked while nobody asks: of one core it has a fifth, and messages have the rest.
pub const INDEX_RESTS: u32 = 4;
/// Bytes that the index leaves free on the disk: what is left then is for the journal, and for its reserve.
pub const INDEX_LEAVES_BYTES: u64 = 4 * BALLAST_BYTES;
/// Bytes that a backup leaves free on its disk, which may be the journal's: no chat stops for a backup.
pub const BACKUP_LEAVES_BYTES: u64 = 4 * BALLAST_BYTES;
/// Seconds until the index looks again which rooms have ended, and what was given up of the others.
pub const INDEX_SWEEP_SECONDS: u64 = 15;
/// Rooms of which the index asks at a time whether they have ended.
pub const ROOMS_SWEPT_AT_ONCE: usize = 64;
/// How often a search goes on where the index has found messages that the store has given up since, and the index not yet.
pub const SEARCH_ROUNDS: usize = 4;
/// Seconds until it looks again whether something was said, if nobody asks.
pub const INDEX_LOOK_SECONDS: u64 = 1;
/// Seconds by which the clock may run ahead of the time that has passed; `keep-days` counts days.
pub const CLOCK_JUMP_SECONDS: u64 = 3600;
/// Seconds for which a clock that jumped ahead makes no message old, so that an operator can set it right.
pub const CLOCK_DOUBTED_SECONDS: u64 = 24 * 3600;
/// Bytes of the store's write-ahead log at which the operator is first told that somebody keeps it from shrinking; told again
/// at each doubling.
pub const LOG_WARNED_BYTES: u64 = 64 * 1024 * 1024;
/// Seconds until shrinking a write-ahead log that is in use is tried again: the first wait and the longest, doubling in
/// between.
pub const LOG_RETRY_SECONDS: (u64, u64) = (1, 60);
/// Lines of one kind about connections that the log is given a second, and at once: a flood of connections must not fill the disk
/// with them, and an operator can still read what happens in a quiet server.
pub const LOG_LINES: u32 = 2;
/// See [`LOG_LINES`].
pub const LOG_LINES_AT_ONCE: u32 = 10;
/// Lines about damage that the log is given a second: a reader of a damaged store must not fill the disk with them.
pub const DAMAGE_LINES: u32 = 3;
/// Damaged entries that are remembered as told, so that each is told once; beyond it they are all forgotten, and told again.
pub const DAMAGE_REMEMBERED: usize = 10_000;
/// How many seqs before a damaged entry its neighbour is looked for when its own links are damaged too.
pub const DAMAGE_SEARCHED: u64 = 1_000_000;
/// Damaged entries in a row whose own links are damaged too and that are passed over.
pub const DAMAGED_IN_A_ROW: usize = 32;
/// How many ids one durable entry reserves, or on a disk without room a small file beside them, so that no id is given out
/// twice, not even after a crash.
pub const IDS_RESERVED: u64 = 4096;
/// Bytes after the head of a PROXY header: two addresses, and what a proxy tells of a client's certificate.
pub const PROXY_HEADER_BYTES: usize = 2048;
/// Bytes that are encrypted at a time, and the most that an encrypted connection keeps of what its peer does not take; TLS has
/// no larger record.
pub const TLS_RECORD_BYTES: usize = 16 * 1024;
/// Seconds that the peer has to close its side after the last line, so that no reset overtakes the last answers.
pub const LINGER_SECONDS: u64 = 1;
/// Seconds that a connection which somebody has ended has to take what waits for it and the reason: no longer, because it must end
/// whatever its peer does.
pub const FAREWELL_SECONDS: u64 = 5;
/// Seconds that the messages of a closed channel, or of a guest who has gone, stay on the disk: a slow reader may still be
/// reading them. Later it is told of a gap.
pub const ENDED_ROOMS_SECONDS: u64 = 600;
/// Bytes kept free on the disk so that reading marks (ACK) can still be stored when it is full: more than the store's
/// write-ahead log, which has to fit into the database before it can be used again.
pub const BALLAST_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of the largest store of which every page is checked at the start. In a larger one only the tables of state are checked
/// then, and each message when it is read.
pub const CHECKED_AT_START_BYTES: u64 = 512 * 1024 * 1024;
/// Connections of operators at the same time: a person with a few terminals, and scripts.
pub const ADMIN_CONNECTIONS: usize = 8;
/// Connections for metrics at the same time: two Prometheus servers, a prober, and somebody with a browser; each needs milliseconds.
pub const WATCHING_CONNECTIONS: usize = 16;
/// Bytes of the header of a request for metrics; hyper takes no less.
pub const WATCHING_HEADER_BYTES: usize = 8 * 1024;
/// Bytes of a line of an export: that of an inbox to which thousands have a share is the longest, with some 30 bytes for each of them.
pub const FACT_BYTES: u64 = 16 * 1024 * 1024;

const FIXED: &[(&str, u64, &str, &str)] = &[
    (
        "line-length",
        LINE_BYTES as u64,
        "bytes",
        "the longest command line, its ending included; a client may use a buffer of this size for both directions",
    ),
    (
        "name-length",
        NAME_CHARS as u64,
        "characters",
        "the longest name, and the longest channel name without its #; part of the grammar",
    ),
    ("key-length", KEY_CHARS as u64, "characters", "the longest @key, and the longest key of a channel; part of the grammar"),
    (
        "keys-remembered",
        KEYS_REMEMBERED as u64,
        "keys",
        "how many @keys of an account make a retry safe; counted and not timed, part of the promise",
    ),
    (
        "keys-remembered-guest",
        KEYS_REMEMBERED_GUEST as u64,
        "keys",
        "the same of a guest: with connections-per-address, a bound on the keys that come from one address",
    ),
    ("password-length", PASSWORD_BYTES as u64, "bytes, at least", "a shorter password is guessed too soon"),
    ("away-length", AWAY_BYTES as u64, "bytes", "the longest text of AWAY; LIST shows it in each line of somebody who is away"),
    ("hashes-at-once", HASHES_AT_ONCE as u64, "hashes", "passwords hashed at the same time; each takes 19 MiB and a core"),
    ("page-lines", PAGE_LINES_MAX, "lines", "the most that INBOX, HISTORY, LIST and CHANNELS give at a time"),
    ("search-lines", SEARCH_LINES_MAX, "messages", "the most that SEARCH shows at a time"),
    ("search-words", SEARCH_WORDS as u64, "words", "words and phrases of one SEARCH; each is looked up in the whole index"),
    (
        "search-cost",
        SEARCH_TOKENS,
        "commands",
        "what a SEARCH, and a HISTORY of a user, count as; no other line costs the machine as much",
    ),
    (
        "wait-seconds",
        WAIT_SECONDS_MAX,
        "seconds",
        "the longest that WAIT waits; a script asks again, and so notices that the server is gone",
    ),
    (
        "in-flight",
        IN_FLIGHT as u64,
        "messages",
        "messages of one connection that wait for their commit before its next line is parsed",
    ),
    ("in-flight-bytes", IN_FLIGHT_BYTES as u64, "bytes", "the same in bytes of text"),
    ("unread-input", READ_BYTES as u64, "bytes", "what a paced connection keeps unparsed; TCP holds the rest back"),
    ("waiting-answers", OUT_BYTES as u64, "bytes", "answers that wait for a reader before its next line is parsed"),
    (
        "waiting-events",
        FOLLOW_BYTES as u64,
        "bytes",
        "events copied for a reader at a time; with the two above, what a reader who does not read can cost",
    ),
    ("room-tail", TAIL_BYTES as u64, "bytes", "recent lines one room keeps for readers that are nearly up to date"),
    ("flood", FLOOD_BYTES as u64, "bytes", "bytes of an over-long line thrown away before the connection is closed"),
];
