//! The coming and going of the servers that share an order.
//!
//! Nothing here may ask a node: what it says is in the order.

use std::sync::Arc;

use crate::code::{Code, Refusal};
use crate::event::{Answer, Event, NodeId, Request, Time};
use crate::limits::NODES;
use crate::state::decide::{Deciding, refused};

/// A node of which nothing was heard for this long, by the brokers' clocks, is dead to whoever enters: four times its lease, in case
/// that two of these clocks differ.
const DEAD_MILLISECONDS: i64 = 60_000;

impl Deciding<'_> {
    /// A server becomes the node of this id. If it was one under its name before, that one ends: it has died and is back, or it
    /// was cut off. So do nodes that died long ago, when nobody was left to give them up.
    pub(super) fn enter_node(&mut self, node: NodeId, entry: &Request) -> Result<Answer, Refusal> {
        let Request::Enter { name, incarnation, token, limits, features } = entry else {
            unreachable!("invariant: this is asked of entries only");
        };
        let is_dead = |heard: Time| self.context.time.0.saturating_sub(heard.0) > DEAD_MILLISECONDS;
        let (earlier, others): (Vec<_>, Vec<_>) = self.state.nodes().partition(|(_, row)| row.name == *name);
        let (dead, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|(_, row)| is_dead(row.heard));
        if earlier.iter().any(|(_, row)| row.incarnation >= *incarnation) {
            return refused(Code::Unavailable, format!("a server named {name} has entered already, at the same time or later"));
        }
        if *features < self.state.features() {
            let text = format!(
                "this cluster uses features of linechat up to level {}, and {name} knows them up to level {features}; upgrade this \
                 server",
                self.state.features()
            );
            return refused(Code::NotAllowed, text);
        }
        if let Some((_, other)) = others.iter().find(|(_, other)| other.limits != *limits) {
            let other = &other.name;
            let text = format!(
                "{name} has other limits than {other}; give all servers of a cluster the same --limit options (one that has died is \
                 forgotten after a minute)"
            );
            return refused(Code::NotAllowed, text);
        }
        if others.len() >= NODES {
            let text = format!(
                "there are {NODES} servers in this cluster already, which is the most there may be; stop one of them first"
            );
            return refused(Code::Quota, text);
        }
        let ended: Vec<NodeId> = earlier.into_iter().chain(dead).map(|(node, _)| node).collect();
        ended.into_iter().for_each(|node| self.end_node(node));
        let (name, incarnation, token, limits, features) = (Arc::clone(name), *incarnation, *token, *limits, *features);
        self.happens(None, Event::Entered { node, name, incarnation, token, limits, features });
        Ok(Answer::Done)
    }

    /// Whoever thinks that a node is gone may be behind: its newer batch says that it is not.
    pub(super) fn end_node_at(&mut self, node: NodeId, number: u64) -> Result<Answer, Refusal> {
        let newest = self.state.node(node).map_or(0, |row| row.number);
        if newest != number {
            return refused(Code::Unavailable, format!("node {} has sent a batch since", node.0));
        }
        self.end_node(node);
        Ok(Answer::Done)
    }

    /// Ends all connections of a node. Channels of its guests pass on, as do those of guests from before the last restart.
    fn end_node(&mut self, node: NodeId) {
        let (gone, _) = self.go_together(&self.state.all_sessions_of(node).into_iter().collect());
        let channels: Vec<_> = self.state.channels.iter().map(|(channel, _)| *channel).collect();
        for channel in channels {
            self.succeed(channel, &gone);
        }
        self.happens(None, Event::NodeEnded { node, guests: gone });
    }
}

#[cfg(test)]
mod tests {
    use crate::code::Code;
    use crate::event::{Entry, Event, NodeId, Origin, Proposal, Request, RoomId, SessionId, Slot, Time};
    use crate::limits::{Limits, NODES};
    use crate::names::Seq;
    use crate::state::decide::Nothing;
    use crate::state::decide::nodes::DEAD_MILLISECONDS;
    use crate::state::{Context, Decision, State, Storage, decide};

    const STREAM: u64 = 9;

    fn take(state: &mut State, place: u64, node: u64, number: u64, request: Request) -> Option<Result<(), Code>> {
        take_at(state, 0, place, node, number, request)
    }

    /// Takes a batch with one request of the node itself, as a replica does, at this time; `None` if the batch does not count.
    fn take_at(state: &mut State, time: i64, place: u64, node: u64, number: u64, request: Request) -> Option<Result<(), Code>> {
        let slot = Slot { stream: STREAM, place, node: NodeId(node), number, ..Slot::default() };
        let apply = |state: &mut State, room: Option<RoomId>, event: Event| {
            state.apply(&Entry { seq: Seq(state.seq().0 + 1), time: Time(time), room, via: None, event });
        };
        let ordered = state.takes(slot, Time(time))?;
        apply(state, None, ordered);
        let origin = Origin { session: SessionId { node: NodeId(node), number: u64::from(request == Request::Go) }, tag: 0 };
        let limits = Limits::default();
        let context = Context { time: Time(time), limits: &limits, storage: Storage::Free };
        match decide(state, &Proposal { origin, request }, context, &mut Nothing) {
            Ok(Decision::Accepted(events, _)) => {
                events.into_iter().for_each(|(room, event)| apply(state, room, event));
                Some(Ok(()))
            }
            Ok(Decision::Refused(refusal)) => Some(Err(refusal.code)),
            Err(never) => match never {},
        }
    }

    fn enter(name: &str, incarnation: u64, limits: u64) -> Request {
        Request::Enter { name: name.into(), incarnation, token: 7, limits, features: 1 }
    }

    fn nodes(state: &State) -> Vec<(u64, u64)> {
        state.nodes().map(|(node, row)| (node.0, row.number)).collect()
    }

    #[test]
    fn batches_count_in_the_order_of_their_numbers_and_once() {
        let mut state = State::default();
        assert_eq!(take(&mut state, 1, 1, 1, Request::Go), None, "nobody has entered");
        assert_eq!(take(&mut state, 2, 2, 0, enter("ash", 1, 1)), Some(Ok(())));
        let mut go = |place, number| take(&mut state, place, 2, number, Request::Go).is_some();
        assert_eq!([go(3, 2), go(4, 1), go(5, 1), go(6, 3), go(7, 2)], [false, true, false, false, true]);
        assert!(!go(7, 3) && !go(6, 3), "places only rise");
        assert_eq!((nodes(&state), state.order()), (vec![(2, 2)], Some((STREAM, 7))));
        let other = Slot { stream: STREAM + 1, place: 8, node: NodeId(2), number: 3, ..Slot::default() };
        assert_eq!(state.takes(other, Time(0)), None, "another stream is another order");
    }

    #[test]
    fn whoever_enters_again_ends_what_they_were() {
        let mut state = State::default();
        assert_eq!(take(&mut state, 1, 1, 0, enter("ash", 5, 1)), Some(Ok(())));
        assert_eq!(take(&mut state, 2, 2, 0, enter("birch", 1, 1)), Some(Ok(())));
        assert_eq!(take(&mut state, 3, 3, 0, enter("ash", 5, 1)), Some(Err(Code::Unavailable)), "the same entry comes late");
        assert_eq!(take(&mut state, 4, 4, 0, enter("ash", 6, 1)), Some(Ok(())));
        assert_eq!(nodes(&state), [(2, 0), (4, 0)]);
        assert_eq!(take(&mut state, 5, 1, 1, Request::Go), None, "what the earlier one sends counts no more");
        assert_eq!(take(&mut state, 6, 6, 0, enter("cedar", 1, 2)), Some(Err(Code::NotAllowed)), "it would decide differently");
        assert_eq!(take(&mut state, 7, 7, 0, enter("birch", 2, 1)), Some(Ok(())));
    }

    #[test]
    fn whoever_thinks_that_a_node_is_gone_may_be_behind() {
        let mut state = State::default();
        take(&mut state, 1, 1, 0, enter("ash", 1, 1));
        take(&mut state, 2, 2, 0, enter("birch", 1, 1));
        take(&mut state, 3, 1, 1, Request::Go);
        take(&mut state, 4, 1, 2, Request::Go);
        assert_eq!(take(&mut state, 5, 2, 1, Request::EndNode(NodeId(1), 1)), Some(Err(Code::Unavailable)));
        assert_eq!(take(&mut state, 6, 2, 2, Request::EndNode(NodeId(1), 2)), Some(Ok(())));
        assert_eq!(nodes(&state), [(2, 2)]);
        assert_eq!(take(&mut state, 7, 2, 3, Request::EndNode(NodeId(2), 3)), Some(Ok(())), "it leaves with this batch");
        assert_eq!((nodes(&state), state.order()), (vec![], Some((STREAM, 7))));
    }

    /// When all servers have died at once, and are started again with other limits, nobody is left to give up the old ones.
    #[test]
    fn whoever_has_been_dead_for_a_minute_keeps_nobody_out() {
        let (mut state, late) = (State::default(), DEAD_MILLISECONDS + 5000);
        assert_eq!(take_at(&mut state, 0, 1, 1, 0, enter("ash", 1, 1)), Some(Ok(())));
        assert_eq!(take_at(&mut state, 0, 2, 2, 0, enter("birch", 1, 1)), Some(Ok(())));
        assert_eq!(take_at(&mut state, 5000, 3, 1, 1, Request::Go), Some(Ok(())));
        let mut enters = |time, place, name| take_at(&mut state, time, place, place, 0, enter(name, 2, 2));
        assert_eq!(enters(late - 1, 4, "birch"), Some(Err(Code::NotAllowed)), "ash was heard less than a minute ago");
        assert_eq!(enters(late, 5, "birch"), Some(Err(Code::NotAllowed)), "and may still be there");
        assert_eq!(enters(late + 1, 6, "cedar"), Some(Ok(())), "both are dead");
        assert_eq!(nodes(&state), [(6, 0)]);
        assert_eq!(take_at(&mut state, late + 2, 7, 1, 2, Request::Go), None, "whoever was taken for dead begins anew");
        assert_eq!(take_at(&mut state, late + 3, 8, 8, 0, enter("ash", 3, 1)), Some(Err(Code::NotAllowed)));
        assert_eq!(take_at(&mut state, late + 4, 9, 9, 0, enter("ash", 4, 2)), Some(Ok(())));
    }

    #[test]
    fn a_feature_is_used_once_all_know_it_and_stays_in_use() {
        let mut state = State::default();
        let enter = |name: &str, incarnation, features| Request::Enter {
            name: name.into(),
            incarnation,
            token: 7,
            limits: 1,
            features,
        };
        let mut used = Vec::new();
        let mut take = |place, node, number, request| {
            let taken = take(&mut state, place, node, number, request);
            used.push(state.features());
            taken
        };
        take(1, 1, 0, enter("ash", 1, 1));
        take(2, 2, 0, enter("birch", 1, 2));
        take(3, 2, 1, Request::Go);
        take(4, 4, 0, enter("ash", 2, 2));
        take(5, 4, 1, Request::Go);
        assert_eq!(take(6, 6, 0, enter("cedar", 1, 1)), Some(Err(Code::NotAllowed)));
        take(7, 2, 2, Request::EndNode(NodeId(2), 2));
        take(8, 4, 2, Request::EndNode(NodeId(4), 2));
        assert_eq!(take(9, 9, 0, enter("cedar", 1, 1)), Some(Err(Code::NotAllowed)), "although nobody is left");
        assert_eq!(take(10, 10, 0, enter("cedar", 1, 3)), Some(Ok(())));
        assert_eq!(used, [1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
    }

    #[test]
    fn there_are_so_many_nodes_and_no_more() {
        let mut state = State::default();
        for place in 1..=NODES as u64 {
            assert_eq!(take(&mut state, place, place, 0, enter(&format!("n{place}"), 1, 1)), Some(Ok(())));
        }
        let place = 1 + NODES as u64;
        assert_eq!(take(&mut state, place, place, 0, enter("late", 1, 1)), Some(Err(Code::Quota)));
        assert_eq!(take(&mut state, place + 1, place + 1, 0, enter("n1", 2, 1)), Some(Ok(())), "one of them may enter again");
    }
}
