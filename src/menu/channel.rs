//! The channel that the person is in, and how far it was shown. It decides what is shown twice and what is missed: never
//! anything.

/// The channel that the person is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Without its `#`.
    pub name: String,
    /// The key that was given for it, or nothing.
    pub key: String,
    /// How far it was shown.
    pub shown: Shown,
    /// How far an account's mark in it is moved.
    pub read: u64,
}

/// How far a channel or an inbox was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown {
    /// The seq of the newest message that was shown, or that was there before the person came.
    pub seen: u64,
    /// The seq of the newest message that was shown as missed: it may arrive again, live.
    resumed: u64,
}

impl Shown {
    /// Takes note of a message that arrives live; whether it is to be shown.
    pub fn takes(&mut self, seq: u64) -> bool {
        self.seen = self.seen.max(seq);
        seq > self.resumed
    }

    /// All up to this message was shown as missed.
    pub fn resumes(&mut self, seq: u64) {
        (self.seen, self.resumed) = (self.seen.max(seq), self.resumed.max(seq));
    }
}

/// Whether a channel, with or without its `#`, is the one of this name.
pub fn is_named(channel: &str, name: &str) -> bool {
    channel.strip_prefix('#').unwrap_or(channel).to_lowercase() == name.to_lowercase()
}
