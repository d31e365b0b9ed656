//! Who is here: each node answers at a subject of its own for as long as its process is connected to the brokers. They know at once
//! when nobody does. It owns nothing, and is never more than a hint: a node that is not here has not ended before the order says so.

use async_nats::{RequestErrorKind, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::event::NodeId;
use crate::order::nats::{ANSWER, Nats, in_time};

/// What is known of a node's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    /// It answers.
    Answers,
    /// The brokers know nobody who answers for it.
    Nobody,
    /// No answer came, or the brokers cannot be asked.
    Unknown,
}

impl Nats {
    fn here(&self, node: NodeId) -> String {
        format!("{}.here.{}", self.name, node.0)
    }

    /// Begins to answer for this node; [`Nats::answer`] goes on with it.
    ///
    /// # Errors
    /// When the brokers cannot be told.
    pub async fn answer_for(&self, node: NodeId) -> Result<Subscriber, String> {
        in_time(self.client.subscribe(self.here(node))).await
    }

    /// Answers whoever asks, until the connection is closed for good. The future may be dropped, and this called again.
    pub async fn answer(&self, asked: &mut Subscriber) {
        while let Some(message) = asked.next().await {
            if let Some(reply) = message.reply {
                // Whoever asked asks again.
                let _ = self.client.publish(reply, Bytes::new()).await;
            }
        }
    }

    /// Asks whether anybody answers for this node. Returns in bounded time.
    pub async fn is_here(&self, node: NodeId) -> Here {
        match timeout(ANSWER, self.client.request(self.here(node), Bytes::new())).await {
            Ok(Ok(_)) => Here::Answers,
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Here::Nobody,
            _ => Here::Unknown,
        }
    }
}
