//! What a decision must look up outside the state: old keys, how far an inbox has been read, and who is filling it.

use std::net::IpAddr;

use crate::event::{RoomId, Time};
use crate::names::{Seq, UserId};

/// What an inbox holds. All zeros when nothing was ever sent there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inbox {
    /// How many messages it has had.
    pub count: u64,
    /// The newest of them.
    pub newest: Seq,
    /// How many of them the owner has read.
    pub read_count: u64,
    /// The newest message that the owner has read.
    pub read: Seq,
    /// How many bytes of text the others have. Damaged messages count as far as they are known.
    pub unread_bytes: u64,
}

/// Who has a share of an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharer {
    /// One sender.
    User(UserId),
    /// All who send from one address, by its [`near`].
    Near(u16),
}

/// The message for which a key was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// The message's seq.
    pub seq: Seq,
    /// Its time.
    pub time: Time,
    /// Its [`content`].
    pub content: u64,
}

/// Looks up what is stored, including everything decided before this decision.
pub trait Archive {
    /// Why a lookup can fail.
    type Error;

    /// What the inbox of `owner` holds.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn inbox(&mut self, owner: UserId) -> Result<Inbox, Self::Error>;

    /// The newest message that was ever said in a channel; 0 when there is none.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn newest_in(&mut self, channel: Seq) -> Result<Seq, Self::Error>;

    /// The newest message of an inbox at or before `seq`; 0 when there is none.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn newest_until(&mut self, owner: UserId, seq: Seq) -> Result<Seq, Self::Error>;

    /// How many messages of an inbox were counted to this sharer since its owner last read some.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn share(&mut self, owner: UserId, sharer: Sharer) -> Result<u64, Self::Error>;

    /// The message for which the sender used the key, if it is among the last `window` keys that they used. When a guest becomes
    /// an account, what was forgotten stays forgotten.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn used(&mut self, sender: UserId, key: &str, window: usize) -> Result<Option<Used>, Self::Error>;
}

/// A hash of a message's room and text, by which a message that is sent again is recognized. Every build computes the same 64
/// bits.
pub fn content(room: RoomId, text: &str) -> u64 {
    use blake2::{Blake2b512, Digest};
    let (kind, number) = match room {
        RoomId::Inbox(UserId(id)) => (0, id),
        RoomId::Channel(Seq(seq)) => (1, seq),
    };
    let hash = Blake2b512::new().chain_update([kind]).chain_update(number.to_le_bytes()).chain_update(text).finalize();
    u64::from_le_bytes(hash[..8].try_into().expect("invariant: a hash has 64 bytes"))
}

/// An address as it is counted in an inbox, and stored: 16 bits of a checksum of both. That is enough to keep those who fill an
/// inbox apart from its owner's friends, and too little to tell from the disk who they were. Every build computes the same.
pub fn near(owner: UserId, address: IpAddr) -> u16 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&owner.0.to_le_bytes());
    match address {
        IpAddr::V4(address) => hasher.update(&address.octets()),
        IpAddr::V6(address) => hasher.update(&address.octets()),
    }
    let sum = hasher.finalize();
    (sum >> 16) as u16 ^ sum as u16
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use super::{UserId, near};

    /// Few share one by chance: a network of 65,536 addresses has 32,768 sums.
    #[test]
    fn addresses_are_told_apart_by_their_sums() {
        let sums: BTreeSet<_> =
            (0..=u16::MAX).map(|host| near(UserId(7), Ipv4Addr::from(0x0A00_0000 | u32::from(host)).into())).collect();
        assert!(sums.len() > 30_000, "{}", sums.len());
        let owners: BTreeSet<_> = (0..1000).map(|owner| near(UserId(owner), Ipv4Addr::LOCALHOST.into())).collect();
        assert!(owners.len() > 950, "to two owners one address is two: {}", owners.len());
    }
}
