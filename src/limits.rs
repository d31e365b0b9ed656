//! Every bound of linechat, named, with its reason.
//!
//! Two kinds: those that an operator may set (`--limit NAME=VALUE`, the fields of [`Limits`]) and those that are fixed because
//! the protocol or a memory promise is built on them (the constants). `linechat limits` prints both from the tables here.
//! This file must never read the environment or decide anything: it only names numbers.

/// The value of a limit that is switched off.
pub const NONE: u64 = u64::MAX;

/// What `linechat limits` prints for one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its value now; [`NONE`] when it is switched off.
    pub value: u64,
    /// What the value counts.
    pub unit: &'static str,
    /// The smallest and largest value that may be set, or `None` when it is fixed.
    pub range: Option<(u64, u64)>,
    /// Whether `none` is accepted.
    pub may_be_none: bool,
    /// Why it exists and why it has this value.
    pub reason: &'static str,
}

/// Why `--limit NAME=VALUE` was not accepted; each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Not of the form `NAME=VALUE`.
    #[error("'{0}' is not of the form NAME=VALUE; 'linechat limits' lists the names")]
    Form(String),
    /// No such name.
    #[error("there is no limit '{0}'; 'linechat limits' lists the names")]
    Unknown(String),
    /// A limit on which the protocol is built.
    #[error("the limit '{0}' is fixed: the protocol or a memory promise is built on it")]
    Fixed(String),
    /// Not a number in range.
    #[error("'{value}' is not a value for the limit '{name}': give {allowed}")]
    Value {
        /// The limit.
        name: String,
        /// What was given.
        value: String,
        /// What would have been accepted.
        allowed: String,
    },
}

macro_rules! limits {
    ($($field:ident $name:literal = $default:literal $unit:literal $min:literal ..= $max:literal $none:ident, $reason:literal;)*) => {
        /// The limits that an operator may set.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = $reason] pub $field: u64,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Limits {
            fn settable(&self) -> Vec<Row> {
                vec![$(Row {
                    name: $name, value: self.$field, unit: $unit, range: Some(($min, $max)),
                    may_be_none: limits!(@ $none), reason: $reason,
                },)*]
            }

            fn field(&mut self, name: &str) -> Option<&mut u64> {
                match name {
                    $($name => Some(&mut self.$field),)*
                    _ => None,
                }
            }
        }
    };
    (@ or_none) => { true };
    (@ never_none) => { false };
}

limits! {
    text_bytes "text-length" = 3600 "bytes" 1..=3600 never_none,
        "the longest text of a message, topic or PING; 3,600 keeps every line that carries it within 4,096 bytes";
    channels "channels" = 10000 "channels" 0..=1000000 or_none,
        "channels in all; each costs memory for as long as it exists, and CHANNELS lists them all";
    channels_per_user "channels-per-user" = 50 "channels" 0..=10000 or_none,
        "channels one user may be in; a woken connection looks at each of its channels";
    channels_per_address "channels-per-address" = 200 "channels" 0..=1000000 or_none,
        "channels there are that were created from one address since the server started; nobody may take all the names that there are";
    members "members" = 20000 "users" 1..=1000000 or_none,
        "members of one channel; a message wakes each of them";
    inbox "inbox" = 10000 "messages" 1..=10000000 or_none,
        "unread messages one inbox holds before senders are told INBOX_FULL; an inbox nobody reads must not fill the disk";
    inbox_bytes "inbox-bytes" = 16777216 "bytes" 4096..=1099511627776 or_none,
        "the same in bytes of text: long messages fill a disk sooner than many";
    inbox_per_sender "inbox-per-sender" = 1000 "messages" 1..=10000000 or_none,
        "unread messages that one sender may leave in an inbox once a tenth of what it may hold is there, in messages or in bytes, until its owner reads; nobody fills it alone";
    inbox_per_address "inbox-per-address" = 2500 "messages" 1..=10000000 or_none,
        "the same for all senders from one address: a new guest is nobody new, and a family behind one address fits";
    keep_days "keep-days" = 18446744073709551615 "days" 1..=36500 or_none,
        "how long what was said in a channel is kept, and what was read in an inbox, by the server's clock; readers of older ones are told GAP";
    keep_messages "keep-messages" = 18446744073709551615 "messages" 1..=1000000000000 or_none,
        "how many messages of a channel are kept, and read ones of an inbox; readers of older ones are told GAP";
    accounts "accounts" = 100000 "accounts" 0..=10000000 or_none,
        "registered accounts; each is read at the start and kept in memory";
    connections "connections" = 16384 "connections" 1..=1000000 or_none,
        "connections at once; leaves descriptors and memory for the store";
    connections_per_address "connections-per-address" = 1024 "connections" 1..=1000000 or_none,
        "connections at once from one address; a school or an office behind one address fits, one flood does not take the server";
    connections_per_account "connections-per-account" = 64 "connections" 1..=1000000 or_none,
        "connections at once that are logged in to one account; each is told of what the others do";
    ipv6_prefix "ipv6-prefix" = 64 "bits" 1..=128 never_none,
        "how much of an IPv6 address is one address to all limits: whoever has one has its whole /64, and some have a /56 or a /48";
    tls_handshake_seconds "tls-handshake-seconds" = 10 "seconds" 1..=86400 never_none,
        "how long a TLS handshake may take before the connection is closed; it takes a few round trips, and holds a descriptor";
    tls_handshakes_per_address "tls-handshakes-per-address" = 600 "handshakes" 1..=1000000 or_none,
        "TLS handshakes a minute from one address, beyond which its connections are closed at once; each costs a signature";
    proxy_header_seconds "proxy-header-seconds" = 5 "seconds" 1..=86400 never_none,
        "how long a proxy may take to say where a connection comes from before the connection is closed; it sends that at once";
    half_line_seconds "half-line-seconds" = 30 "seconds" 1..=86400 or_none,
        "how long a line may stay half received before the connection is closed; a person at a terminal sends whole lines";
    stalled_seconds "stalled-seconds" = 30 "seconds" 1..=86400 or_none,
        "how long a connection may take none of the bytes that wait for it before it is closed";
    commands_per_second "commands-per-second" = 5000 "commands" 1..=10000000 or_none,
        "commands a second of one connection, with one second's worth of burst; beyond it the server reads on later and refuses nothing";
    stored_per_address "stored-per-address" = 1073741824 "bytes" 4096..=4294967295 or_none,
        "bytes an hour stored for one address, texts and what each costs besides; a school fits, and filling a disk takes weeks, not hours";
    stored_per_account "stored-per-account" = 536870912 "bytes" 4096..=4294967295 or_none,
        "bytes an hour stored for one account from all addresses; a busy program fits, and leaves half of its address to others there";
    commands_per_address "commands-per-address" = 50000 "commands" 1..=100000000 or_none,
        "commands a second of all connections from one address together, also after they have gone; a school fits, and one address leaves the server to others";
    passwords_per_minute "passwords-per-minute" = 3 "passwords" 1..=1000000 or_none,
        "LOGIN attempts a minute for one name from one address; a hash is dear on purpose and guessing must be slow";
    passwords_per_address "passwords-per-address" = 30 "passwords" 1..=1000000 or_none,
        "passwords a minute from one address, whatever the names: LOGIN, REGISTER, and CREATE with a key, refused ones too";
    passwords_per_account "passwords-per-account" = 30 "passwords" 1..=1000000 or_none,
        "LOGIN attempts a minute for one name from all addresses it has not logged in from lately; guessing from many addresses stays slow, and its owner gets in";
    channel_keys_per_minute "channel-keys-per-minute" = 60 "keys" 1..=1000000 or_none,
        "channel keys a minute tried for one channel from one address; a class behind one address can join, guessing stays slow";
    channel_keys_per_address "channel-keys-per-address" = 120 "keys" 1..=1000000 or_none,
        "channel keys a minute tried from one address, whatever the channels; each costs a hash";
    channel_keys_per_channel "channel-keys-per-channel" = 300 "keys" 1..=1000000 or_none,
        "channel keys a minute tried for one channel from all addresses where nobody had the right one lately; guessing from many stays slow, and a school can join";
    errors_in_a_row "errors-in-a-row" = 20 "lines" 1..=1000000 or_none,
        "lines in a row that were no command before the connection is closed; whatever speaks there is not speaking this protocol";
    announce_members "announce-members" = 100 "users" 0..=1000000 or_none,
        "the largest channel in which arrivals and departures are announced; in a larger one a thousand joins would cost a million lines";
    empty_channel_seconds "empty-channel-seconds" = 3600 "seconds" 1..=31536000 or_none,
        "how long a channel with no owner and no member lasts before it ends by itself";
    shutdown_seconds "shutdown-seconds" = 5 "seconds" 0..=3600 never_none,
        "how long stopping takes at most: four fifths for connections to take their last lines, the rest for closing the store";
    tails_bytes "tails" = 67108864 "bytes" 65536..=17179869184 never_none,
        "memory for the recent lines of all channels and inboxes together; a reader who needs older ones is served from the journal";
    buffered_bytes "buffered" = 268435456 "bytes" 65536..=17179869184 or_none,
        "all that is buffered for people: unread input, answers and events that wait, recent lines; near it fewer recent lines are kept, then newcomers are turned away; beyond it connections that take nothing are closed; nothing that was answered OK is given up";
    memory_journal_bytes "memory-journal" = 268435456 "bytes" 65536..=1099511627776 never_none,
        "what --journal memory keeps; beyond it the oldest messages go and readers are told GAP";
    stream_bytes "stream" = 2147483648 "bytes" 1048576..=1125899906842624 never_none,
        "with --journal nats: what the stream holds at most, once it is made; at half of that a snapshot is due, at nine tenths messages are refused";
    digest_batches "digest-batches" = 4096 "batches" 1..=1000000000 never_none,
        "with --journal nats: batches from one comparison of the servers' states to the next; each hashes the whole state";
    snapshot_batches "snapshot-batches" = 50000 "batches" 1..=1000000000000 or_none,
        "with --journal nats: batches from one snapshot to the next; the stream keeps what the last two do not cover, and a new server reads at most that";
}

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
/// Bytes of an over-long line that are thrown away before the connection is closed.
pub const FLOOD_BYTES: usize = 64 * 1024;
/// Bytes of a telnet subnegotiation that are skipped before it counts as abandoned.
pub const SUBNEGOTIATION_BYTES: usize = 256;
/// Telnet refusals sent on one connection: one for each option that exists. Timing marks between two lines count, too.
pub const TELNET_ANSWERS: u16 = 256;
/// The shortest password in bytes.
pub const PASSWORD_BYTES: usize = 8;
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
/// Lines of INBOX or HISTORY when no number is asked for.
pub const PAGE_LINES: u64 = 100;
/// Lines of INBOX or HISTORY that may be asked for.
pub const PAGE_LINES_MAX: u64 = 1000;
/// Entries read from the store at a time for one connection.
pub const READ_ENTRIES: usize = 32;
/// Reads from the store at the same time.
pub const READS_AT_ONCE: usize = 4;
/// Lines of LIST or CHANNELS made at a time.
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
/// Calls of `propose` that may wait to be ordered; with [`IN_FLIGHT_BYTES`] this bounds the queue's memory at 128 MiB of text.
/// With 256, sessions waiting for room were woken one by one, which cost 1,000 users in pairs a quarter of their messages.
pub const QUEUE_BATCHES: usize = 2048;
/// A batch with this many proposals takes no more.
pub const BATCH_PROPOSALS: usize = 4096;
/// A batch for the other nodes takes no more once it has this many bytes: a NATS server takes a MiB.
pub const BATCH_BYTES: usize = 512 * 1024;
/// Batches of one node on their way through the order. With one, a node of three sends two thirds of what it does with four.
pub const BATCHES_UNDER_WAY: usize = 4;
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
/// Seconds that the messages of a closed channel, or of a guest who has gone, stay on the disk: a slow reader may still be
/// reading them. Later it is told of a gap.
pub const ENDED_ROOMS_SECONDS: u64 = 600;
/// Bytes kept free on the disk so that reading marks (ACK) can still be stored when it is full: more than the store's
/// write-ahead log, which has to fit into the database before it can be used again.
pub const BALLAST_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of the largest store of which every page is checked at the start. In a larger one only the tables of state are checked
/// then, and each message when it is read.
pub const CHECKED_AT_START_BYTES: u64 = 512 * 1024 * 1024;

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
    ("hashes-at-once", HASHES_AT_ONCE as u64, "hashes", "passwords hashed at the same time; each takes 19 MiB and a core"),
    ("page-lines", PAGE_LINES_MAX, "lines", "the most that INBOX and HISTORY give at a time"),
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

impl Limits {
    /// All limits, the settable ones first, in the order in which a newcomer would look for them.
    pub fn rows(&self) -> Vec<Row> {
        let fixed =
            FIXED.iter().map(|&(name, value, unit, reason)| Row { name, value, unit, range: None, may_be_none: false, reason });
        self.settable().into_iter().chain(fixed).collect()
    }

    /// So many sixteenths of [`Limits::buffered_bytes`].
    pub fn buffered_sixteenths(&self, sixteenths: u64) -> u64 {
        self.buffered_bytes / 16 * sixteenths
    }

    /// Sets one limit from `NAME=VALUE`, as given to `--limit`; `none` switches it off where that is possible.
    ///
    /// # Errors
    /// A [`LimitError`] that says what would have been accepted.
    pub fn set(&mut self, assignment: &str) -> Result<(), LimitError> {
        let (name, value) = assignment.split_once('=').ok_or_else(|| LimitError::Form(assignment.to_owned()))?;
        let row = self.rows().into_iter().find(|row| row.name == name).ok_or_else(|| LimitError::Unknown(name.to_owned()))?;
        let (min, max) = row.range.ok_or_else(|| LimitError::Fixed(name.to_owned()))?;
        let number = match value {
            "none" if row.may_be_none => Some(NONE),
            _ => value.replace('_', "").parse().ok().filter(|n| (min..=max).contains(n)),
        };
        let or_none = if row.may_be_none { ", or none" } else { "" };
        let allowed = || format!("{min} to {max} {}{or_none}", row.unit);
        let number =
            number.ok_or_else(|| LimitError::Value { name: name.to_owned(), value: value.to_owned(), allowed: allowed() })?;
        *self.field(name).expect("every settable row has a field") = number;
        Ok(())
    }
}
