//! The limits that an operator may set, and how they are set and shown.
//!
//! It owns no state. It must never read the environment or decide anything: it only names numbers.

use crate::limits::{FIXED, NONE};

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

/// Who may register an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Registration {
    /// Everybody.
    #[default]
    Open,
    /// Whoever has a code that the operator has made with 'linechat admin invite'.
    Invite,
    /// Nobody.
    Closed,
}

impl Registration {
    /// The word for it, on the command line and in CAPS.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invite => "invite",
            Self::Closed => "closed",
        }
    }
}

macro_rules! limits {
    ($($field:ident $name:literal = $default:literal $unit:literal $min:literal ..= $max:literal $none:ident, $reason:literal;)*) => {
        /// The limits that an operator may set.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = $reason] pub $field: u64,)*
            /// Who may register; what `--registration` says. No number, but decided by like one.
            pub registration: Registration,
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: $default,)* registration: Registration::Open }
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
        "channels in all; each costs memory for as long as it exists";
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
    ignored "ignored" = 200 "users" 0..=10000 or_none,
        "users whom one user may ignore; each line of a channel is held against them, and they are told to each of the user's connections";
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
    follower_stalled_seconds "follower-stalled-seconds" = 3600 "seconds" 1..=86400 or_none,
        "the same for a connection that FOLLOWs: whoever pages through it, or has stopped a terminal, may go to lunch";
    commands_per_second "commands-per-second" = 5000 "commands" 1..=10000000 or_none,
        "commands a second of one connection, with one second's worth of burst; beyond it the server reads on later and refuses nothing";
    stored_per_address "stored-per-address" = 1073741824 "bytes" 4096..=4294967295 or_none,
        "bytes an hour stored for one address, texts and what each costs besides; a school fits, and filling a disk takes weeks, not hours";
    stored_per_account "stored-per-account" = 536870912 "bytes" 4096..=4294967295 or_none,
        "bytes an hour stored for one account from all addresses; a busy program fits, and leaves half of its address to others there";
    commands_per_address "commands-per-address" = 50000 "commands" 1..=100000000 or_none,
        "commands a second of all connections from one address together, also after they have gone; a school fits, and one address leaves the server to others";
    passwords_per_minute "passwords-per-minute" = 3 "passwords" 1..=1000000 or_none,
        "wrong passwords a minute for one name from one address, and no more at a time than may be wrong; a hash is dear on purpose and guessing must be slow";
    passwords_per_address "passwords-per-address" = 30 "passwords" 1..=1000000 or_none,
        "wrong passwords, REGISTERs and CREATEs with a key a minute from one address, whatever the names";
    passwords_per_account "passwords-per-account" = 30 "passwords" 1..=1000000 or_none,
        "wrong passwords a minute for one name from all addresses it has not logged in from lately; guessing from many addresses stays slow, and its owner gets in";
    channel_keys_per_minute "channel-keys-per-minute" = 60 "keys" 1..=1000000 or_none,
        "channel keys a minute tried for one channel from one address; a class behind one address can join, guessing stays slow";
    channel_keys_per_address "channel-keys-per-address" = 120 "keys" 1..=1000000 or_none,
        "channel keys a minute tried from one address, whatever the channels; each costs a hash";
    channel_keys_per_channel "channel-keys-per-channel" = 300 "keys" 1..=1000000 or_none,
        "channel keys a minute tried for one channel from all addresses where nobody had the right one lately; guessing from many stays slow, and a school can join";
    wrong_secrets_per_address "wrong-secrets-per-address" = 60 "secrets" 1..=1000000 or_none,
        "wrong tokens and invitation codes a minute from one address that are told so; nobody guesses one, and a script with an old one need not try faster";
    errors_in_a_row "errors-in-a-row" = 20 "lines" 1..=1000000 or_none,
        "lines in a row that were no command before the connection is closed; whatever speaks there is not speaking this protocol";
    announce_members "announce-members" = 100 "users" 0..=1000000 or_none,
        "the largest channel in which arrivals and departures are announced; in a larger one a thousand joins would cost a million lines";
    announce_after_seconds "announce-after-seconds" = 5 "seconds" 0..=3600 never_none,
        "how long an account must be here before its channels are told; a visit to say one thing is no other news";
    empty_channel_seconds "empty-channel-seconds" = 3600 "seconds" 1..=31536000 or_none,
        "how long a channel with no owner and no member lasts before it ends by itself";
    owner_away_days "owner-away-days" = 90 "days" 1..=36500 or_none,
        "how long the owner of a channel may be away, as an account, before an operator, else the longest member, owns it; nobody waits for ever for somebody who has moved on";
    shutdown_seconds "shutdown-seconds" = 5 "seconds" 0..=3600 never_none,
        "how long stopping takes at most: four fifths for connections to take their last lines, the rest for closing the store";
    tails_bytes "tails" = 67108864 "bytes" 65536..=17179869184 never_none,
        "memory for the recent lines of all channels and inboxes together; a reader who needs older ones is served from the journal";
    buffered_bytes "buffered" = 268435456 "bytes" 65536..=17179869184 or_none,
        "all that is buffered for people: unread input, answers and events that wait, recent lines; near it fewer recent lines are kept, then newcomers are turned away; beyond it connections that take nothing are closed; nothing that was answered OK is given up";
    memory_journal_bytes "memory-journal" = 268435456 "bytes" 65536..=1099511627776 never_none,
        "what --journal memory keeps, and SEARCH takes about as much again; beyond it the oldest messages go and readers are told GAP";
    stream_bytes "stream" = 2147483648 "bytes" 1048576..=1125899906842624 never_none,
        "with --journal nats: what the stream holds at most, once it is made; at half of that a snapshot is due, at nine tenths messages are refused";
    digest_batches "digest-batches" = 4096 "batches" 1..=1000000000 never_none,
        "with --journal nats: batches from one comparison of the servers' states to the next; each hashes the whole state";
    snapshot_batches "snapshot-batches" = 50000 "batches" 1..=1000000000000 or_none,
        "with --journal nats: batches from one snapshot to the next; the stream keeps what the last two do not cover, and a new server reads at most that";
}

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
