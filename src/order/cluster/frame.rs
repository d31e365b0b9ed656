//! Batches to frames and back: what one node sends and every node reads.
//!
//! A frame says who sent it, and what is proposed by which of the sender's connections. It never names a connection of another
//! node. Nothing that was decided is in it: each node decides for itself.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::event::{Act, Barred, Batch, NodeId, Origin, Proposal, Read, Recipient, Request, Scope, SessionId, Setting, Slot};
use crate::limits::{AWAY_BYTES, BATCH_PROPOSALS, IN_FLIGHT, LINE_BYTES, SCOPES};
use crate::names::{Name, is_channel, is_key, is_name};
use crate::order::cluster::broker::Stored;
use crate::order::cluster::features::Features;
use crate::wire::text;

#[derive(Debug, Serialize, Deserialize)]
struct Frame {
    /// The stream that it was sent to: a place or a number of another means nothing.
    stream: u64,
    /// The node; 0 when it enters.
    node: u64,
    number: u64,
    /// What its node had read of the stream when it sent it.
    seen: Read,
    proposals: Vec<Line>,
}

/// A proposal of the connection with this number.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    session: u64,
    tag: u64,
    request: Request,
}

/// Why a frame is no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A newer linechat has sent it (the first level): nobody who knows no more than the second can go on.
    #[error("it needs features of level {0}, and this linechat knows them up to level {1}")]
    Newer(u8, u8),
    /// It is none that a linechat would write.
    #[error("it is malformed")]
    Malformed,
}

/// The frame of a batch of this slot, in which the stream, the node, its number and what it has seen count. Its first byte is the
/// level of the features that it needs.
pub fn encode(slot: Slot, proposals: Vec<Proposal>, features: Features) -> Bytes {
    let Slot { stream, node, number, seen, .. } = slot;
    let level = level(proposals.iter().map(|proposal| &proposal.request), features);
    let line = |Proposal { origin, request }| Line { session: origin.session.number, tag: origin.tag, request };
    let frame = Frame { stream, node: node.0, number, seen, proposals: proposals.into_iter().map(line).collect() };
    let bytes = postcard::to_extend(&frame, vec![level]).expect("invariant: memory takes a frame");
    Bytes::from(bytes)
}

/// The batch of a frame; `print` is the checksum of the stream up to it.
///
/// # Errors
/// [`FrameError`]; whether it is malformed is the same for every node that knows its features.
pub fn decode(
    stream: u64,
    print: u32,
    Stored { place, time, frame }: &Stored,
    features: Features,
) -> Result<Batch, FrameError> {
    let (needed, rest) = frame.split_first().ok_or(FrameError::Malformed)?;
    if *needed > features.known {
        return Err(FrameError::Newer(*needed, features.known));
    }
    let Ok((Frame { stream: to, node, number, seen, proposals }, [])) = postcard::take_from_bytes::<Frame>(rest) else {
        return Err(FrameError::Malformed);
    };
    let is_entry = matches!(&proposals[..], [Line { session: 0, request: Request::Enter { .. }, .. }]);
    let enters = proposals.iter().any(|line| matches!(line.request, Request::Enter { .. }));
    let sound = if is_entry { (node, number) == (0, 0) } else { number > 0 && !enters };
    if to != stream {
        return Err(FrameError::Malformed);
    }
    if !sound
        || *needed != level(proposals.iter().map(|line| &line.request), features)
        || proposals.len() > BATCH_PROPOSALS + IN_FLIGHT
        || !proposals.iter().all(|line| is_sound(line.session, &line.request))
    {
        return Err(FrameError::Malformed);
    }
    let node = NodeId(if is_entry { *place } else { node });
    let proposal = |Line { session, tag, request }| {
        let session = SessionId { node, number: session };
        Proposal { origin: Origin { session, tag }, request }
    };
    let proposals = proposals.into_iter().map(proposal).collect();
    let slot = Slot { stream, place: *place, node, number, print, seen };
    Ok(Batch { time: *time, slot: Some(slot), proposals })
}

/// The level of the features that a frame with these requests needs.
fn level<'a>(requests: impl Iterator<Item = &'a Request>, features: Features) -> u8 {
    requests.map(features.needed).max().unwrap_or(1)
}

/// Whether a session of this number, or a node (0), may have proposed it. Sessions check what people type; this keeps what was
/// damaged from being stored, and shown to a terminal.
pub fn is_sound(session: u64, request: &Request) -> bool {
    let name = |name: &Name| is_name(name.as_str()) && is_text(name.as_str());
    let channel = |name: &Name| is_channel(name.as_str()) && is_text(name.as_str());
    let is_of_node = session == 0;
    match request {
        Request::Expire(..)
        | Request::Succeed(..)
        | Request::See(_)
        | Request::EndNode(..)
        | Request::Vouch { .. }
        | Request::Lapse
        | Request::Announce(_) => is_of_node,
        Request::Enter { name, .. } => is_of_node && is_name(name) && is_text(name),
        _ if is_of_node => false,
        Request::Come { .. } | Request::Go | Request::Ack(_) | Request::Retract { .. } | Request::Unsay { .. } => true,
        Request::Name(it) => name(it),
        Request::Register(it, hash, code) => name(it) && is_text(hash) && code.as_ref().is_none_or(|code| is_text(code)),
        Request::LogIn(it, hash) => name(it) && is_text(hash),
        Request::LogInToken(hash) | Request::Unregister(hash) => is_text(hash),
        Request::NewToken { label, hash, scopes, .. } => {
            let count = scopes.as_ref().map_or(0, Vec::len);
            let is_text_of = |scope: &Scope| is_text(&scope.to_string());
            label_is_sound(label) && is_text(hash) && count <= SCOPES && scopes.iter().flatten().all(is_text_of)
        }
        Request::DropToken(label) => label_is_sound(label),
        Request::SetPassword(old, new) => is_text(old) && is_text(new),
        Request::Operate { by, act, reason } => {
            is_text(by) && act_is_sound(act) && reason.as_ref().is_none_or(|reason| is_text(reason))
        }
        Request::Create(it, hash) => channel(it) && hash.as_ref().is_none_or(|hash| is_text(hash)),
        Request::Join(it, _) | Request::Leave(it) | Request::Close(it) | Request::AckIn(it, _) => channel(it),
        Request::Topic(it, text) => channel(it) && is_text(text),
        Request::Op(it, ..) | Request::Give(it, _) | Request::Invite(it, _) | Request::Unban(it, _) => channel(it),
        Request::Kick(it, _, reason) => channel(it) && reason.as_ref().is_none_or(|reason| is_text(reason)),
        Request::Ban { channel: it, reason, .. } => channel(it) && reason.as_ref().is_none_or(|reason| is_text(reason)),
        Request::Set(it, Setting::Key(hash)) => channel(it) && hash.as_ref().is_none_or(|hash| is_text(hash)),
        Request::Set(it, _) => channel(it),
        Request::Ignore(_) | Request::Unignore(_) => true,
        Request::Away(text) => text.as_ref().is_none_or(|text| text.len() <= AWAY_BYTES && is_text(text)),
        Request::Say { key, text, .. } => key.as_ref().is_none_or(|key| is_key(key)) && is_text(text),
    }
}

fn label_is_sound(label: &Name) -> bool {
    is_channel(label.as_str()) && is_text(label.as_str())
}

fn act_is_sound(act: &Act) -> bool {
    let channel = |name: &Name| is_channel(name.as_str()) && is_text(name.as_str());
    let user = |user: &Recipient| is_text(&user.to_string());
    match act {
        Act::DisconnectOne(_) | Act::Ban(Barred::Network(_), _) | Act::Unban(Barred::Network(_)) => true,
        Act::Disconnect(it) | Act::Ban(Barred::User(it), _) | Act::Unban(Barred::User(it)) | Act::Remove(it) => user(it),
        Act::Reset(it, hash) => user(it) && is_text(hash),
        Act::Close(it) => channel(it),
        Act::Give(it, to) => channel(it) && user(to),
        Act::Notice(text) => is_text(text),
        Act::Invite { hash, uses, .. } => is_text(hash) && *uses > 0,
    }
}

fn is_text(text: &str) -> bool {
    text.len() <= LINE_BYTES && text::check(text.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::{any, proptest};

    use super::FrameError;
    use crate::event::{Batch, NodeId, Origin, Proposal, Read, Recipient, Request, SessionId, Slot, Time};
    use crate::order::cluster::broker::Stored;
    use crate::order::cluster::features::Features;

    fn slot(stream: u64, node: NodeId, number: u64) -> Slot {
        Slot { stream, node, number, seen: Read { place: 11, print: 5 }, ..Slot::default() }
    }

    fn encode(stream: u64, node: NodeId, number: u64, proposals: Vec<Proposal>) -> Bytes {
        super::encode(slot(stream, node, number), proposals, Features::CURRENT)
    }

    fn decode(stream: u64, stored: &Stored) -> Result<Batch, FrameError> {
        super::decode(stream, 77, stored, Features::CURRENT)
    }

    fn say(number: u64, text: &str) -> Proposal {
        let request = Request::Say { to: Recipient::Name("bob".into()), key: Some("k".into()), text: text.into() };
        Proposal { origin: Origin { session: SessionId { node: NodeId(7), number }, tag: 3 }, request }
    }

    fn enter() -> Proposal {
        let request = Request::Enter { name: "ash".into(), incarnation: 1, token: 3, limits: 2, features: 1 };
        Proposal::of_node(NodeId(0), request)
    }

    fn stored(frame: Bytes) -> Stored {
        Stored { place: 12, time: Time(5), frame }
    }

    #[test]
    fn what_was_sent_is_read() {
        let batch = decode(1, &stored(encode(1, NodeId(7), 4, vec![say(9, "hi")]))).unwrap();
        assert_eq!(batch.slot, Some(Slot { place: 12, print: 77, ..slot(1, NodeId(7), 4) }));
        assert_eq!((batch.time, batch.proposals), (Time(5), vec![say(9, "hi")]));
    }

    #[test]
    fn whoever_enters_is_the_node_of_that_place() {
        let batch = decode(1, &stored(encode(1, NodeId(0), 0, vec![enter()]))).unwrap();
        assert_eq!(batch.slot.unwrap().node, NodeId(12));
        assert_eq!(batch.proposals[0].origin.session.node, NodeId(12));
    }

    #[test]
    fn what_no_linechat_would_send_is_malformed() {
        let node = |request| vec![Proposal { request, ..enter() }];
        let wrong = [
            encode(1, NodeId(7), 1, vec![enter()]),
            encode(1, NodeId(0), 0, vec![enter(), enter()]),
            encode(1, NodeId(7), 0, vec![say(9, "hi")]),
            encode(1, NodeId(7), 0, Vec::new()),
            encode(1, NodeId(7), 1, vec![say(9, "a\nb")]),
            encode(1, NodeId(7), 1, vec![say(0, "hi")]),
            encode(1, NodeId(7), 1, node(Request::Go)),
            encode(1, NodeId(7), 1, vec![Proposal { request: Request::EndNode(NodeId(3), 1), ..say(9, "") }]),
            encode(2, NodeId(7), 1, vec![say(9, "hi")]),
            Bytes::from_static(&[1]),
            Bytes::new(),
        ];
        for frame in wrong {
            assert_eq!(decode(1, &stored(frame.clone())), Err(FrameError::Malformed), "{frame:?}");
        }
        let mut longer = encode(1, NodeId(7), 1, vec![say(9, "hi")]).to_vec();
        longer.push(0);
        assert_eq!(decode(1, &stored(longer.into())), Err(FrameError::Malformed));
    }

    #[test]
    fn whoever_does_not_know_what_is_in_a_frame_knows_that() {
        let known = Features::CURRENT.known;
        let newer = Features { known: 9, needed: |request| if matches!(request, Request::Say { .. }) { 9 } else { 1 } };
        let frame = stored(super::encode(slot(1, NodeId(7), 4), vec![say(9, "hi")], newer));
        assert_eq!(decode(1, &frame), Err(FrameError::Newer(9, known)));
        assert!(super::decode(1, 77, &frame, newer).is_ok());
        let plain = stored(super::encode(slot(1, NodeId(7), 4), Vec::new(), newer));
        assert!(decode(1, &plain).is_ok(), "what needs nothing new is known to all");
        let understated = stored(encode(1, NodeId(7), 4, vec![say(9, "hi")]));
        assert_eq!(super::decode(1, 77, &understated, newer), Err(FrameError::Malformed));
    }

    proptest! {
        #[test]
        fn whatever_bytes_come_they_are_a_batch_or_malformed(bytes in any::<Vec<u8>>(), at in any::<usize>(), flip in any::<u8>()) {
            let _ = decode(1, &stored(bytes.into()));
            let mut frame = encode(1, NodeId(7), 4, vec![say(9, "hi"), say(10, "ho")]).to_vec();
            let length = frame.len();
            frame[at % length] ^= flip;
            let _ = decode(1, &stored(frame.into()));
        }
    }
}
