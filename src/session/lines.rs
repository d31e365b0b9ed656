//! What happened, as the line that everybody reads: the hub keeps it, the wire writes it.

use std::cell::Cell;

use crate::event::Time;
use crate::hub::{Happening, Place};
use crate::wire::reply::{self, Mark, Stamp, To};

thread_local! {
    static STAMP: Cell<Stamp> = Cell::new(Stamp::new(Time(0)));
}

/// The stamp of a time; messages come in batches of one time, so the last one is kept.
pub fn stamp(time: Time) -> Stamp {
    STAMP.with(|last| {
        let stamp = last.get().at(time);
        last.set(stamp);
        stamp
    })
}

/// Appends the line of what happened; a [`crate::hub::Render`].
pub fn render(line: &mut Vec<u8>, happening: Happening<'_>) {
    match happening {
        Happening::Said { seq, time, place, from, text } => {
            let to = match place {
                Place::Channel(name) => To::Channel(name),
                Place::Inbox(who) => To::User(who),
            };
            reply::message(line, Mark::Event, seq, &stamp(time), to, from, text);
        }
        Happening::Joined { channel, who, time } => reply::joined(line, channel, who, time),
        Happening::Left { channel, who, time, reason } => reply::left(line, channel, who, time, reason),
        Happening::Renamed { channel, old, new, time } => reply::renamed(line, channel, old, new, time),
        Happening::Owner { channel, who, time } => reply::owner(line, channel, who, time),
        Happening::Topic { channel, who, time, text } => reply::topic(line, channel, who, time, text),
    }
}
