//! A consumer of the stream: its frames as they come, and the heartbeats between them. It must never skip a frame unsaid; whoever
//! reads looks at their places.
//!
//! The library's own ordered one waits five seconds for a heartbeat, and begins at the oldest frame when its broker dies before the
//! first.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, push};
use async_nats::jetstream::context::Context;
use async_nats::jetstream::message::Message as StreamMessage;
use async_nats::{Client, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;

use crate::event::Time;
use crate::order::cluster::broker::{Following, Heard, Stored};
use crate::order::nats::space::Space;
use crate::order::nats::{Nats, in_time};

/// How often its broker says that it is there.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// How long its broker keeps it when nobody listens to it.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// By this a broker says in a heartbeat that it waits for an answer, and where it wants it (ADR-15 of NATS).
const STALLED: &str = "Nats-Consumer-Stalled";

/// A consumer of the stream.
#[derive(Debug)]
pub struct Consumer {
    messages: Subscriber,
    context: Context,
    client: Client,
    space: Arc<Space>,
}

impl Consumer {
    /// One that reads the frame at this place again, and what is after it.
    pub(super) async fn start(nats: &Nats, after: u64) -> Result<Self, String> {
        let subject = nats.client.new_inbox();
        let messages = in_time(nats.client.subscribe(subject.clone())).await?;
        let config = push::Config {
            deliver_subject: subject,
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after.max(1) },
            ack_policy: AckPolicy::None,
            idle_heartbeat: HEARTBEAT,
            flow_control: true,
            inactive_threshold: FORGOTTEN,
            memory_storage: true,
            num_replicas: 1,
            ..push::Config::default()
        };
        in_time(nats.context.create_consumer_on_stream(config, &nats.name)).await?;
        let (context, client, space) = (nats.context.clone(), nats.client.clone(), Arc::clone(&nats.space));
        Ok(Self { messages, context, client, space })
    }
}

impl Following for Consumer {
    async fn next(&mut self) -> Option<Heard> {
        let message = self.messages.next().await?;
        match message.status {
            None => {}
            Some(StatusCode::IDLE_HEARTBEAT) => {
                // The broker asks how far we are, or whether it may go on, and sends no more until it hears.
                let stalled = message.headers.as_ref().and_then(|headers| headers.get(STALLED)).map(|it| it.as_str().into());
                if let Some(reply) = message.reply.or(stalled) {
                    let _ = self.client.publish(reply, Bytes::new()).await;
                }
                return Some(Heard::Nothing);
            }
            Some(_) => return None,
        }
        let message = StreamMessage { message, context: self.context.clone() };
        let info = message.info().ok()?;
        let time = Time(i64::try_from(info.published.unix_timestamp_nanos() / 1_000_000).ok()?);
        self.space.has_read(message.message.payload.len());
        Some(Heard::Frame(Stored { place: info.stream_sequence, time, frame: message.message.payload.clone() }))
    }
}
