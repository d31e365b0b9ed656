//! A stream of NATS JetStream as the broker of a cluster.
//!
//! It owns the connection, and finds or makes the stream. It must never take an acknowledgement for more than it is: the frame is
//! stored, by as many brokers as the stream has replicas, and not synced by any of them before it is acknowledged (measured with
//! nats-server 2.9.10: 5,000 acknowledgements and no fsync).

mod consumer;
mod credentials;
mod here;
mod objects;
mod snapshots;
mod space;
mod stream;
mod turns;

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{Context, PublishError, PublishErrorKind};
use async_nats::{AuthError, Client, ConnectErrorKind, ConnectOptions, ServerAddr};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::{sleep, timeout};

use crate::limits::FRAMES_WAITING;
use crate::order::cluster::Broker;
use crate::order::cluster::broker::{Ack, FollowError, SendError};

pub use consumer::Consumer;
pub use here::Here;
pub use snapshots::Snapshots;
pub use space::Space;

use stream::{Found, find, make};
use turns::Turns;

/// How long a broker may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How long to wait between two tries.
const RETRY: Duration = Duration::from_millis(500);
/// After so many tries whoever waits is told again.
const TOLD: u32 = 10;

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
    /// The most bytes that it holds, if it is made here.
    pub stream_bytes: u64,
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
    space: Arc<Space>,
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
                return Ok(Nats { client, turns, context, name, subject, identity, replicas, space: Arc::default() });
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
    let mut connect = match options.credentials.clone() {
        Some(path) => {
            credentials::answer(&path, &[]).await?;
            ConnectOptions::with_auth_callback(move |challenge| {
                let path = path.clone();
                async move { credentials::answer(&path, &challenge).await.map_err(AuthError::new) }
            })
        }
        None => ConnectOptions::new(),
    };
    connect = connect.name(format!("linechat {}", options.name)).subscription_capacity(FRAMES_WAITING);
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
        // Where it is this server that could not answer, the file may be about to be replaced.
        if error.kind() == ConnectErrorKind::AuthorizationViolation {
            return Err(NatsError::Refused(error.to_string()));
        }
        if tries.is_multiple_of(TOLD) {
            tracing::warn!(%error, "no NATS server can be reached yet; trying again and again");
        }
        tries += 1;
        sleep(RETRY).await;
    }
}

impl Nats {
    /// What an acknowledged frame survives: `replicated` (the death of a broker and its disk) or `process` (the death of its
    /// process). Whether the brokers sync is nothing that they tell.
    pub fn durability(&self) -> &'static str {
        if self.replicas >= 3 { "replicated" } else { "process" }
    }

    /// The name of the stream.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The place of the newest frame; 0 when there never was one.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn last(&self) -> Result<u64, String> {
        Ok(in_time(self.context.get_stream(&self.name)).await?.cached_info().state.last_sequence)
    }

    /// Makes a stream that holds nothing begin later: returns the place before which nothing can be read any more, so that nobody
    /// begins without a snapshot that goes up to there. `None` if it holds something, or somebody else writes to it.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub async fn begin_after_nothing(&self) -> Result<Option<u64>, String> {
        let stream = in_time(self.context.get_stream(&self.name)).await?;
        let state = &stream.cached_info().state;
        if state.messages > 0 {
            return Ok(None);
        }
        // Nobody reads it: it is forgotten at once.
        let stored = in_time(in_time(self.context.publish(self.subject.clone(), Bytes::new())).await?.into_future()).await?;
        if stored.sequence != state.last_sequence + 1 {
            return Ok(None);
        }
        in_time(stream.purge().sequence(stored.sequence + 1).into_future()).await?;
        Ok(Some(stored.sequence))
    }

    /// Asks the brokers how full the stream is.
    ///
    /// # Errors
    /// When they do not answer.
    pub async fn measure(&self) -> Result<(), String> {
        let stream = in_time(self.context.get_stream(&self.name)).await?;
        let info = stream.cached_info();
        self.space.ends_at(info.state.last_sequence);
        self.space.is(info.state.bytes, u64::try_from(info.config.max_bytes).unwrap_or(0));
        Ok(())
    }

    /// How full the stream is, as far as is known.
    pub fn space(&self) -> &Space {
        &self.space
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

    fn is_nearly_full(&self) -> bool {
        self.space.is_nearly_full()
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
            Consumer::start(self, after).await.map_err(FollowError::Later)
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
