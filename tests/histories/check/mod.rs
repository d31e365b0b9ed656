//! The checker: holds a recording against PROTOCOL.md, and knows nothing of the code. It must never report what the protocol
//! allows: where two things happened at the same time, either order is right.

mod channels;
mod counts;
mod hidden;
mod inbox;
mod messages;
mod read;
mod settings;
mod shown;
mod stays;

use crate::record::Record;

/// Everything in a recording that the protocol does not allow.
pub fn check(records: &[Record]) -> Vec<String> {
    let mut story = read::read(records);
    let mut wrong = std::mem::take(&mut story.wrong);
    let presence = stays::presence(&story);
    let messages = messages::gather(&story, &mut wrong);
    let spans = shown::spans(&story, &mut wrong);
    shown::complete(&story, &messages, &presence, &spans, &mut wrong);
    shown::one_order(&story, &spans, &mut wrong);
    hidden::hidden(&story, &messages, &presence, &mut wrong);
    hidden::marks(&story, &mut wrong);
    inbox::inboxes(&story, &messages, &presence, &mut wrong);
    inbox::histories(&story, &messages, &presence, &mut wrong);
    channels::channels(&story, &presence, &mut wrong);
    counts::members(&story, &presence, &mut wrong);
    counts::unread(&story, &messages, &mut wrong);
    wrong.into_iter().map(|text| text.chars().take(400).collect()).collect()
}
