//! A stream of NATS JetStream as the broker of a cluster.
//!
//! It owns the connection, and finds or makes the stream. It must never take an acknowledgement for more than it is: the frame is
//! stored, by as many brokers as the stream has replicas, and not synced by any of them before it is acknowledged (measured with
//! nats-server 2.9.10: 5,000 acknowledgements and no fsync).

mod snapshots;
mod turns;

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, push};
use async_nats::jetstream::context::{Context, CreateStreamErrorKind, GetStreamErrorKind, PublishError, PublishErrorKind};
use async_nats::jetstream::message::Message as StreamMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::time::{sleep, timeout};

use crate::event::Time;
use crate::order::cluster::Broker;
use crate::order::cluster::broker::{Ack, FollowError, Following, Heard, SendError, Stored};

pub use snapshots::Snapshots;

use turns::Turns;

/// How long a broker may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How often it says that it is there.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// How long it keeps a consumer that nobody listens to.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// How long to wait between two tries.
const RETRY: Duration = Duration::from_millis(500);
/// After so many tries whoever waits is told again.
const TOLD: u32 = 10;
/// Frames that may wait to be read; what comes when there are more is asked for again. A broker lets 32 MiB wait before it waits
/// itself: with room for 128 short ones a server that is behind asked so often that the others were faster.
const WAITING: usize = 16384;
/// By this a broker says in a heartbeat that it waits for an answer, and where it wants it (ADR-15 of NATS).
const STALLED: &str = "Nats-Consumer-Stalled";
/// What the description of a stream begins with, before its identity.
const DESCRIPTION: &str = "the order of a linechat cluster, ";

/// Where the brokers are, and which stream it is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Their addresses, such as `nats://a:4222`.
    pub servers: Vec<ServerAddr>,
    /// The file with the credentials, if they want some.
    pub credentials: Option<PathBuf>,
    /// A PEM file of who vouches for their certificates.
    pub authority: Option<PathBuf>,
    /// The name of the stream.
    pub stream: String,
    /// What this server calls itself.
    pub name: String,
}

/// Why the stream cannot be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The credentials or the certificate cannot be read.
    #[error("cannot use the file {}: {error}; give another --nats-creds or --nats-tls-ca", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: String,
    },
    /// The brokers let nobody in with these credentials.
    #[error("the NATS servers refuse this server: {0}; give --nats-creds FILE with credentials that they know")]
    Refused(String),
    /// There is no JetStream.
    #[error("the NATS servers have JetStream switched off; add 'jetstream {{}}' to their configuration and start them again")]
    Off,
    /// There is a stream of this name that is no linechat's.
    #[error("the stream {name} is not one that linechat can use: {what}; give another --nats-stream NAME")]
    Foreign {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// The brokers do not make the stream.
    #[error("the stream {name} cannot be made: {error}")]
    NotMade {
        /// Its name.
        name: String,
        /// Their error.
        error: String,
    },
}

/// A connection to the brokers, and the stream.
#[derive(Debug)]
pub struct Nats {
    client: Client,
    turns: Arc<Turns>,
    context: Context,
    name: String,
    subject: String,
    identity: u64,
    replicas: usize,
}

/// Connects and finds the stream, or makes it. Tries for as long as the brokers cannot be reached or have no leader.
///
/// # Errors
/// [`NatsError`] when trying again cannot help.
pub async fn connect(options: &Options) -> Result<Nats, NatsError> {
    let turns = Arc::new(Turns::new());
    let client = connect_client(options, Arc::clone(&turns)).await?;
    let mut context = async_nats::jetstream::new(client.clone());
    context.set_timeout(ANSWER);
    let (name, subject) = (options.stream.clone(), format!("{}.batches", options.stream));
    let mut tries = 0u32;
    loop {
        let why = match find(&context, &name, &subject).await {
            Found::Stream { identity, replicas, .. } => {
                return Ok(Nats { client, turns, context, name, subject, identity, replicas });
            }
            Found::Wrong(what) => return Err(NatsError::Foreign { name, what }),
            Found::Off => return Err(NatsError::Off),
            Found::None => match make(&context, options, &subject).await? {
                Some(why) => why,
                None => continue,
            },
            Found::Unknown(why) => why,
        };
        if tries.is_multiple_of(TOLD) {
            // It may be cut off from the others.
            turn(&client, &turns).await;
            tracing::warn!(stream = %name, %why, "the NATS servers do not give the stream yet; trying again and again");
        }
        tries += 1;
        sleep(RETRY).await;
    }
}

/// Connects to the next broker. Where that fails, the library connects to any.
async fn turn(client: &Client, turns: &Turns) {
    turns.ask();
    let _ = timeout(ANSWER, client.force_reconnect()).await;
}

async fn connect_client(options: &Options, turns: Arc<Turns>) -> Result<Client, NatsError> {
    let mut connect = ConnectOptions::new().name(format!("linechat {}", options.name)).subscription_capacity(WAITING);
    if let Some(path) = &options.credentials {
        let failed = |error: std::io::Error| NatsError::File { path: path.clone(), error: error.to_string() };
        connect = connect.credentials_file(path).await.map_err(failed)?;
    }
    if let Some(path) = &options.authority {
        std::fs::metadata(path).map_err(|error| NatsError::File { path: path.clone(), error: error.to_string() })?;
        connect = connect.add_root_certificates(path.clone()).require_tls(true);
    }
    let connect = connect.connection_timeout(ANSWER).ping_interval(ANSWER).request_timeout(Some(ANSWER));
    let connect = connect.reconnect_to_server_callback(move |brokers, _| {
        let choice = turns.choose(&brokers);
        async move { choice }
    });
    let mut tries = 0u32;
    loop {
        let error = match connect.clone().connect(&options.servers[..]).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        if matches!(error.kind(), ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation) {
            return Err(NatsError::Refused(error.to_string()));
        }
        if tries.is_multiple_of(TOLD) {
            tracing::warn!(%error, "no NATS server can be reached yet; trying again and again");
        }
        tries += 1;
        sleep(RETRY).await;
    }
}

/// What is known of a stream.
enum Found {
    Stream {
        identity: u64,
        replicas: usize,
        last: u64,
    },
    None,
    /// It cannot be used.
    Wrong(String),
    /// There are no streams at all.
    Off,
    /// Nobody answers, or not in a way that says anything.
    Unknown(String),
}

async fn find(context: &Context, name: &str, subject: &str) -> Found {
    let stream = match timeout(ANSWER, context.get_stream(name)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return match error.kind() {
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Found::None,
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                    Found::Off
                }
                _ => Found::Unknown(error.to_string()),
            };
        }
        Err(_) => return Found::Unknown("no answer".to_owned()),
    };
    let config = &stream.cached_info().config;
    let description = config.description.as_deref().unwrap_or_default();
    let identity = description.strip_prefix(DESCRIPTION).and_then(|identity| u64::from_str_radix(identity, 16).ok());
    let Some(identity) = identity else { return Found::Wrong(format!("its description is {description:?}")) };
    let wrong = [
        (config.subjects != [subject], "it has other subjects"),
        (config.storage != StorageType::File, "it is kept in memory"),
        (config.retention != RetentionPolicy::Limits, "its retention is not by limits"),
        (config.discard != DiscardPolicy::New, "it forgets old messages when it is full"),
        (!config.max_age.is_zero(), "it forgets messages by their age"),
        (config.max_messages > 0, "it forgets messages by their number"),
        (config.no_ack, "it acknowledges nothing"),
    ];
    match wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
        Some((_, what)) => Found::Wrong(what.to_owned()),
        None => Found::Stream { identity, replicas: config.num_replicas, last: stream.cached_info().state.last_sequence },
    }
}

/// Makes the stream; with three brokers or more each frame is kept by three. `None` if it is there now; otherwise why not yet.
async fn make(context: &Context, options: &Options, subject: &str) -> Result<Option<String>, NatsError> {
    // What RandomState draws from the system is random enough to tell two streams apart.
    let identity = RandomState::new().hash_one(subject);
    let config = Config {
        name: options.stream.clone(),
        subjects: vec![subject.to_owned()],
        description: Some(format!("{DESCRIPTION}{identity:016x}")),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        deny_delete: true,
        num_replicas: if options.servers.len() >= 3 { 3 } else { 1 },
        ..Config::default()
    };
    match timeout(ANSWER, context.create_stream(config)).await {
        Ok(Ok(_)) => Ok(None),
        Ok(Err(error)) => match error.kind() {
            // Another node was faster.
            CreateStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NAME_EXIST => Ok(None),
            CreateStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => {
                Err(NatsError::NotMade {
                    name: options.stream.clone(),
                    error: "these NATS servers are no cluster of three; make them one, or give --nats one address, and then only one broker keeps each message".to_owned(),
                })
            }
            _ => Ok(Some(error.to_string())),
        },
        Err(_) => Ok(Some("no answer".to_owned())),
    }
}

impl Nats {
    /// What an acknowledged frame survives: `replicated` (the death of a broker and its disk) or `process` (the death of its
    /// process). Whether the brokers sync is nothing that they tell.
    pub fn durability(&self) -> &'static str {
        if self.replicas >= 3 { "replicated" } else { "process" }
    }
}

fn not_sent(error: &PublishError) -> SendError {
    match error.kind() {
        PublishErrorKind::StreamNotFound | PublishErrorKind::MaxPayloadExceeded | PublishErrorKind::MaxAckPending => {
            SendError::NotStored(error.to_string())
        }
        // Of what a broker refuses others may have stored a copy already.
        _ => SendError::Unknown(error.to_string()),
    }
}

async fn in_time<T, E: Display>(answer: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match timeout(ANSWER, answer).await {
        Ok(answered) => answered.map_err(|error| error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

impl Broker for Nats {
    type Following = Consumer;

    fn stream(&self) -> u64 {
        self.identity
    }

    fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    fn send(&self, frame: Bytes) -> BoxFuture<'_, Result<Ack, SendError>> {
        Box::pin(async move {
            let sent = self.context.publish(self.subject.clone(), frame).await.map_err(|error| not_sent(&error))?;
            let ack: Ack = Box::pin(async move { sent.await.map(drop).map_err(|error| not_sent(&error)) });
            Ok(ack)
        })
    }

    fn follow(&self, after: u64) -> BoxFuture<'_, Result<Consumer, FollowError>> {
        Box::pin(async move {
            match find(&self.context, &self.name, &self.subject).await {
                Found::Stream { identity, last, .. } if identity == self.identity && last < after => {
                    return Err(FollowError::Short(last));
                }
                Found::Stream { identity, .. } if identity == self.identity => {}
                Found::Stream { .. } | Found::None => {
                    let name = &self.name;
                    return Err(FollowError::Never(format!(
                        "the stream {name} is gone, or another one has its name; start this server again, with an empty data directory if it \
                         is meant to be another one"
                    )));
                }
                Found::Wrong(why) | Found::Unknown(why) => return Err(FollowError::Later(why)),
                Found::Off => return Err(FollowError::Later("JetStream is switched off".to_owned())),
            }
            let subject = self.client.new_inbox();
            let messages = in_time(self.client.subscribe(subject.clone())).await.map_err(FollowError::Later)?;
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
            let made = in_time(self.context.create_consumer_on_stream(config, &self.name)).await;
            made.map_err(FollowError::Later)?;
            Ok(Consumer { messages, context: self.context.clone(), client: self.client.clone() })
        })
    }

    fn turn_to_another(&self) -> BoxFuture<'_, ()> {
        Box::pin(turn(&self.client, &self.turns))
    }

    fn oldest(&self) -> BoxFuture<'_, Result<u64, String>> {
        Box::pin(async move {
            let stream = in_time(self.context.get_stream(&self.name)).await?;
            Ok(stream.cached_info().state.first_sequence.max(1))
        })
    }
}

/// A consumer of the stream. The library's own ordered one waits five seconds for a heartbeat, and begins at the oldest frame
/// when its broker dies before the first.
#[derive(Debug)]
pub struct Consumer {
    messages: Subscriber,
    context: Context,
    client: Client,
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
        Some(Heard::Frame(Stored { place: info.stream_sequence, time, frame: message.message.payload.clone() }))
    }
}
