//! The state: users, names, connections, channels and members, as the entries so far have made them.
//!
//! [`mod@decide`] is the only place that decides proposals, and only [`State::apply`] changes the state. Both are pure: no
//! lock, no clock, no randomness, no I/O, and rows are only visited in the order of their keys. So every replica that takes the
//! same batches has the same state ([`State::digest`]). The state belongs to its [replica](crate::replica). Sessions only read
//! it, to answer queries and to spare proposals that would be refused anyway.

pub mod archive;
pub mod decide;
pub mod permissions;

mod apply;
mod barred;
mod government;
mod listing;
mod nodes;
mod oversight;
mod presence;
mod table;
mod tokens;
mod view;

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use crate::event::{Ban, Kept, NodeId, Outcast, SessionId, Time};
use crate::names::{Name, Seq, UserId, Who};

pub use archive::{Archive, Inbox, Sharer, Used};
pub use barred::{Invitation, ServerBan};
pub use decide::{Context, Decision, Storage, decide, not_yours, preview};
pub use decide::{no_such_token, not_for_a_token};
pub use listing::{ListedChannel, ListedUser, Part, Presence, Wanted, place_of};
pub use nodes::{Node, deciding};
pub use oversight::{ConnectionRow, Counts};
pub use presence::ListedIgnored;
pub use tokens::Token;

use barred::BarredOut;
use table::Table;
use tokens::Tokens;

/// The first id that is given out: ids of four digits are easy to type and easy to tell from text.
pub const FIRST_ID: UserId = UserId(1000);

/// Somebody who can be written to: a guest who is connected, or an account.
#[derive(Debug, Clone)]
struct User {
    name: Name,
    /// The PHC string of an account's password.
    password: Option<Arc<str>>,
}

/// A connection.
#[derive(Debug, Clone, Copy)]
struct Session {
    /// The id of the guest as whom it came, which identifies it.
    connection: UserId,
    /// Its user now.
    user: UserId,
    /// Since when.
    since: Time,
    /// The address to which it is counted.
    address: Option<IpAddr>,
}

#[derive(Debug, Clone)]
struct Channel {
    name: Name,
    /// The PHC string of the key needed to join.
    key: Option<Arc<str>>,
    founder: Who,
    owner: Option<UserId>,
    topic: Option<Arc<str>>,
    members: u64,
    /// The entry since which it has had neither owner nor members, if it is orphaned.
    orphaned: Option<Seq>,
    /// The address to which it is counted, if it was created in this run.
    address: Option<IpAddr>,
    options: Options,
    /// How many may join because they were invited.
    invited: u64,
}

/// What those in charge of a channel have set, beside its key.
#[derive(Debug, Clone, Copy)]
struct Options {
    is_invite_only: bool,
    /// Seconds from one message of a member to the next.
    slow: u32,
    operators_speak: bool,
    is_hidden: bool,
    keep: Kept,
    takes_guests: bool,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    since: Time,
    /// The entry by which they joined: the member with the lowest has been there longest.
    rank: Seq,
    /// Whether the membership outlives its connection.
    lasts: bool,
    /// Up to where they have read the channel: at first, up to where they joined.
    read: Seq,
    is_operator: bool,
    /// When they last spoke, in a channel where they must wait.
    spoke: Option<Time>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counters {
    /// The newest entry that was applied.
    seq: Seq,
    next_id: UserId,
    ids_below: UserId,
    accounts: u64,
    /// The stream that is the order, if many nodes share it, and the place in it of the newest batch.
    order: Option<(u64, u64)>,
    /// The checksum of everything in the stream up to there.
    print: u32,
    /// Up to which level the features of linechat are in use.
    features: u8,
    /// The time of that batch.
    time: Time,
}

/// Everything that a decision needs without looking into the store. Names are looked up by their folded form, and cannot be
/// taken while another name that looks like it is.
#[derive(Debug)]
pub struct State {
    users: Table<UserId, User>,
    names: Table<Box<str>, UserId>,
    /// Who has a name of this form. Stores of older servers may hold names that would not be given to both today.
    skeletons: Table<(Box<str>, UserId), ()>,
    sessions: Table<SessionId, Session>,
    connections: Table<(UserId, SessionId), ()>,
    channels: Table<Seq, Channel>,
    channel_names: Table<Box<str>, Seq>,
    channel_skeletons: Table<(Box<str>, Seq), ()>,
    /// How many channels are counted to an address.
    channel_counts: Table<IpAddr, u64>,
    members: Table<(Seq, UserId), Member>,
    memberships: Table<(UserId, Seq), ()>,
    bans: Table<(Seq, Outcast), Ban>,
    /// Who may join which channel because they were invited, and the same the other way round.
    invited: Table<(Seq, UserId), ()>,
    invitations: Table<(UserId, Seq), ()>,
    /// Who ignores whom: by the name that the other had then, since guests go and are still to be told apart; and since when.
    ignored: Table<(UserId, UserId), (Name, Time)>,
    /// Who is away, why, and since when.
    away: Table<UserId, (Arc<str>, Time)>,
    /// Who is away, and who was told so.
    told: Table<(UserId, UserId), ()>,
    /// When an account was last known to be here.
    seen: Table<UserId, Time>,
    /// The connections of accounts whose channels have yet to be told, and by which entry the account came.
    unannounced: Table<SessionId, Seq>,
    /// The servers that share the order.
    nodes: Table<NodeId, Node>,
    tokens: Tokens,
    barred: BarredOut,
    counters: Counters,
    /// How many users have a connection. It is no counter, because it is in no digest: it follows from `connections`.
    online: usize,
    /// The counters, and how many were online, as of the last [`State::commit`].
    committed: (Counters, usize),
}

impl Default for State {
    fn default() -> Self {
        let counters = Counters {
            seq: Seq(0),
            next_id: FIRST_ID,
            ids_below: FIRST_ID,
            accounts: 0,
            order: None,
            print: 0,
            features: 1,
            time: Time(i64::MIN),
        };
        Self {
            users: Table::default(),
            names: Table::default(),
            skeletons: Table::default(),
            sessions: Table::default(),
            connections: Table::default(),
            channels: Table::default(),
            channel_names: Table::default(),
            channel_skeletons: Table::default(),
            channel_counts: Table::default(),
            members: Table::default(),
            memberships: Table::default(),
            bans: Table::default(),
            invited: Table::default(),
            invitations: Table::default(),
            ignored: Table::default(),
            away: Table::default(),
            told: Table::default(),
            seen: Table::default(),
            unannounced: Table::default(),
            nodes: Table::default(),
            tokens: Tokens::default(),
            barred: BarredOut::default(),
            counters,
            online: 0,
            committed: (counters, 0),
        }
    }
}

/// Calls the same method of every table.
macro_rules! every_table {
    ($state:ident . $method:ident ()) => {{
        $state.users.$method();
        $state.names.$method();
        $state.skeletons.$method();
        $state.sessions.$method();
        $state.connections.$method();
        $state.channels.$method();
        $state.channel_names.$method();
        $state.channel_skeletons.$method();
        $state.channel_counts.$method();
        $state.members.$method();
        $state.memberships.$method();
        $state.bans.$method();
        $state.invited.$method();
        $state.invitations.$method();
        $state.ignored.$method();
        $state.away.$method();
        $state.told.$method();
        $state.seen.$method();
        $state.unannounced.$method();
        $state.nodes.$method();
        $state.tokens.$method();
        $state.barred.$method();
    }};
}

impl State {
    /// The newest entry that was applied.
    pub fn seq(&self) -> Seq {
        self.counters.seq
    }

    /// Makes everything applied since the last commit permanent.
    pub fn commit(&mut self) {
        every_table!(self.commit());
        self.committed = (self.counters, self.online);
    }

    /// Undoes everything applied since the last [`State::commit`].
    pub fn rollback(&mut self) {
        every_table!(self.rollback());
        (self.counters, self.online) = self.committed;
    }

    /// Call it after loading: goes on after `seq`, the newest entry that the store knows of. If the store forgets which ids
    /// were given out, any reserved id may have been, so new ids follow after the reserved ones.
    pub fn resume(&mut self, seq: Seq, forgets_ids: bool) {
        self.counters.seq = self.counters.seq.max(seq);
        if forgets_ids {
            self.counters.next_id = self.counters.ids_below;
        }
        self.commit();
    }

    /// Call it after loading and before [`State::resume`], and whenever the store has set ids aside: those below this one may be
    /// given out. It is no event, because a full disk has no room for one.
    pub fn ids_are_aside(&mut self, below: UserId) {
        self.counters.ids_below = self.counters.ids_below.max(below);
        self.committed.0.ids_below = self.counters.ids_below;
    }

    /// The id of the next newcomer.
    pub fn next_id(&self) -> UserId {
        self.counters.next_id
    }

    /// The id before which all ids must be reserved when so many newcomers are to be let in, if they are not yet.
    pub fn ids_short(&self, newcomers: u64) -> Option<UserId> {
        let upto = UserId(self.counters.next_id.0 + newcomers);
        (newcomers > 0 && upto > self.counters.ids_below).then_some(upto)
    }

    /// A hash of the whole state, 64 bits: replicas with the same state have the same, and others almost certainly do not.
    pub fn digest(&self) -> u64 {
        use blake2::{Blake2b512, Digest};
        struct Hashing(Blake2b512);
        impl Write for Hashing {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                self.0.update(text);
                Ok(())
            }
        }
        let mut hashing = Hashing(Blake2b512::new());
        macro_rules! hash {
            ($($table:ident)*) => { $(write!(hashing, "{:?} ", self.$table).expect("invariant: hashing succeeds");)* };
        }
        hash! {
            users names skeletons sessions connections channels channel_names channel_skeletons channel_counts members memberships
            bans invited invitations ignored away told seen nodes tokens barred counters
        }
        // Servers that do not know of it have the same state without.
        if self.uses(presence::ANNOUNCING) {
            hash! { unannounced }
        }
        u64::from_le_bytes(hashing.0.finalize()[..8].try_into().expect("invariant: a hash has 64 bytes"))
    }
}
