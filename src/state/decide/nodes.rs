//! The coming and going of the servers that share an order.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::code::{Code, Refusal};
use crate::event::{Answer, Event, NodeId};
use crate::limits::NODES;
use crate::state::decide::{Deciding, refused};

impl Deciding<'_> {
    /// A server becomes the node of this id. If it was one under its name before, that one ends: it has died and is back, or it
    /// was cut off.
    pub(super) fn enter_node(
        &mut self,
        node: NodeId,
        name: &Arc<str>,
        incarnation: u64,
        limits: u64,
    ) -> Result<Answer, Refusal> {
        let (earlier, others): (Vec<_>, Vec<_>) = self.state.nodes().partition(|(_, row)| row.name == *name);
        if earlier.iter().any(|(_, row)| row.incarnation >= incarnation) {
            return refused(Code::Unavailable, format!("a server named {name} has entered already, at the same time or later"));
        }
        if let Some((_, other)) = others.iter().find(|(_, other)| other.limits != limits) {
            let other = &other.name;
            let text = format!("{name} has other limits than {other}; give all servers of a cluster the same --limit options");
            return refused(Code::NotAllowed, text);
        }
        if others.len() >= NODES {
            return refused(Code::Quota, format!("there are {NODES} servers already (limit nodes)"));
        }
        let earlier: Vec<NodeId> = earlier.into_iter().map(|(node, _)| node).collect();
        earlier.into_iter().for_each(|node| self.end_node(node));
        self.happens(None, Event::Entered { node, name: Arc::clone(name), incarnation, limits });
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
        let users: BTreeSet<_> =
            self.state.all_sessions_of(node).iter().filter_map(|session| self.state.user_of(*session)).collect();
        let (gone, offline): (Vec<_>, Vec<_>) = users
            .into_iter()
            .filter(|user| self.state.sessions_of_user(*user).all(|session| session.node == node))
            .partition(|user| !self.state.is_account(*user));
        for user in &offline {
            let Some(who) = self.state.user(*user) else { continue };
            for channel in self.small_channels_of(*user, None) {
                self.happens_in(channel, Event::Offline { who: who.clone() });
            }
        }
        for guest in &gone {
            let Some(who) = self.state.user(*guest) else { continue };
            for channel in self.state.channels_of(*guest) {
                self.departs(channel, &who, Some("disconnected"));
            }
        }
        let channels: Vec<_> = self.state.channels.iter().map(|(channel, _)| *channel).collect();
        for channel in channels {
            self.succeed(channel, &gone);
        }
        self.happens(None, Event::NodeEnded { node, guests: gone });
    }
}
