//! Finding the stream, or making it. It owns nothing, and must never change a stream that is there.

use std::hash::{BuildHasher, RandomState};

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{Context, CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use tokio::time::timeout;

use crate::order::nats::{ANSWER, NatsError, Options};

/// What the description of a stream begins with, before its identity.
const DESCRIPTION: &str = "the order of a linechat cluster, ";

/// What is known of a stream.
pub enum Found {
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

/// Looks for the stream of this name, and whether it can be used.
pub async fn find(context: &Context, name: &str, subject: &str) -> Found {
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

/// Whether it is for want of room. Three brokers together say it in words only.
fn lacks_room(error: &async_nats::jetstream::Error) -> bool {
    error.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED || error.to_string().contains("insufficient storage")
}

/// Makes the stream; with three brokers or more each frame is kept by three. `None` if it is there now; otherwise why not yet.
pub async fn make(context: &Context, options: &Options, subject: &str) -> Result<Option<String>, NatsError> {
    // What RandomState draws from the system is random enough to tell two streams apart.
    let identity = RandomState::new().hash_one(subject);
    let config = Config {
        name: options.stream.clone(),
        subjects: vec![subject.to_owned()],
        description: Some(format!("{DESCRIPTION}{identity:016x}")),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        max_bytes: i64::try_from(options.stream_bytes).unwrap_or(i64::MAX),
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
            CreateStreamErrorKind::JetStream(error) if lacks_room(&error) => {
                let bytes = options.stream_bytes;
                Err(NatsError::NotMade {
                    name: options.stream.clone(),
                    error: format!("the NATS servers have no room for {bytes} bytes; give --limit stream=BYTES with fewer, or them a larger disk"),
                })
            }
            _ => Ok(Some(error.to_string())),
        },
        Err(_) => Ok(Some("no answer".to_owned())),
    }
}
