//! The operator's socket: `linechat admin` speaks to the running server over it, in lines.
//!
//! It is a file in the data directory that only its owner may open. Each connection has a task; there are few, their lines are
//! short, and none is waited for long. What it changes it proposes, like everybody: it decides nothing.

mod asked;
mod lists;

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::clock;
use crate::code::{Code, Refusal};
use crate::event::{Act, Answer, Request};
use crate::limits::{ADMIN_CONNECTIONS, LINE_BYTES};
use crate::server::StartError;
use crate::server::decided::decided;
use crate::server::supervisor::Ended;
use crate::server::watching::Watched;
use crate::session::{Shared, secrets};

use asked::{Asked, Want};

/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(60);
/// How long the other side may take nothing.
const STALLED: Duration = Duration::from_secs(10);
/// How long an act may take to be decided and stored.
const DECIDED: Duration = Duration::from_secs(20);
/// How long the accept loop rests when the system refuses another connection.
const REST: Duration = Duration::from_millis(100);

/// The socket, which is gone when this is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens at this path. A socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// When another server listens there, or no socket can be made.
    pub fn bind(path: &Path) -> Result<Self, StartError> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(StartError::AdminInUse(path.to_owned()));
        }
        let cannot = |error| StartError::Admin { path: path.to_owned(), error };
        // Made beside it, so that it is closed to others before it can be found.
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        let bind = || {
            match std::fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&beside)?;
            std::fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
            std::fs::rename(&beside, path)?;
            Ok(listener)
        };
        let listener = bind().map_err(|error| {
            let _ = std::fs::remove_file(&beside);
            cannot(error)
        })?;
        Ok(Self { listener, path: path.to_owned() })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What all connections of the operator share.
struct Office {
    shared: Arc<Shared>,
    watched: Arc<Watched>,
    began: Instant,
}

/// Never ends: when the system refuses, it is asked again.
pub async fn accept(watched: Arc<Watched>, socket: Socket) -> Ended {
    let (shared, began) = (Arc::clone(&watched.shared), clock::now());
    let (office, places) = (Arc::new(Office { shared, watched, began }), Arc::new(Semaphore::new(ADMIN_CONNECTIONS)));
    loop {
        match socket.listener.accept().await {
            Ok((stream, _)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let office = Arc::clone(&office);
                    office.shared.tracker.clone().spawn(async move {
                        let stopping = office.shared.stopping.clone();
                        tokio::select! {
                            served = serve(&office, stream) => if let Err(error) = served {
                                tracing::debug!(%error, "a connection of the operator has ended");
                            },
                            () = stopping.cancelled() => {}
                        }
                        drop(place);
                    });
                }
                Err(_) => {
                    let text = format!(
                        "ERR QUOTA - there are {ADMIN_CONNECTIONS} connections of operators already; close one first\n"
                    );
                    let _ = stream.try_write(text.as_bytes());
                }
            },
            Err(error) => {
                tracing::debug!(%error, "the operator's socket takes nobody in");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Answers the lines of one connection until it ends, or is silent for too long.
async fn serve(office: &Office, stream: UnixStream) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    // Whoever came in before the socket was closed to others is still another.
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let by: Arc<str> = user(uid).into();
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut lines).take(LINE_BYTES as u64);
        if timeout(IDLE, limited.read_until(b'\n', &mut line)).await?? == 0 {
            return Ok(());
        }
        if line.pop() != Some(b'\n') {
            return say(&mut write, &refused("-", &too_long())).await;
        }
        let (verb, answered) = match Asked::parse(&line, office.shared.limits.ipv6_prefix) {
            Ok(Asked { verb, want }) => (verb, office.answer(&by, want, &mut write).await?),
            Err(refusal) => ("-", Err(refusal)),
        };
        let answer = match &answered {
            Ok(fields) if fields.is_empty() => format!("OK {verb}\n"),
            Ok(fields) => format!("OK {verb} {fields}\n"),
            Err(refusal) => refused(verb, refusal),
        };
        say(&mut write, &answer).await?;
    }
}

fn refused(verb: &str, refusal: &Refusal) -> String {
    format!("ERR {} {verb} {}\n", refusal.code, refusal.text)
}

fn too_long() -> Refusal {
    Refusal::new(Code::TooLong, format!("a line has at most {LINE_BYTES} bytes and ends in a line feed; nothing was done"))
}

async fn say(write: &mut OwnedWriteHalf, lines: &str) -> io::Result<()> {
    timeout(STALLED, write.write_all(lines.as_bytes())).await?
}

/// The user of this machine with this number, for the log.
fn user(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid) && name.bytes().all(|byte| byte.is_ascii_graphic())).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid-{uid}"))
}

impl Office {
    /// Does what was asked: shows data lines, and returns what the OK says after its verb, or why it was refused.
    async fn answer(&self, by: &Arc<str>, want: Want, write: &mut OwnedWriteHalf) -> io::Result<Result<String, Refusal>> {
        Ok(match want {
            Want::Status => self.status(write).await?,
            Want::Connections(pattern) => self.connections(&pattern, write).await?,
            Want::Bans => self.bans(write).await?,
            Want::Accounts(pattern) => self.accounts(&pattern, write).await?,
            Want::Channels(pattern) => self.channels(&pattern, write).await?,
            Want::Metrics => self.metrics(write).await?,
            Want::Log(count) => self.log(count, write).await?,
            Want::Act(act, reason) => self.act(by, act, reason).await,
            Want::Reset(user, reason) => match self.new_password().await {
                Ok((password, hash)) => {
                    let done = self.act(by, Act::Reset(user, hash), reason).await;
                    done.map(|who| format!("{who} {password}"))
                }
                Err(refusal) => Err(refusal),
            },
            Want::Invite { seconds, uses, reason } => match secrets::code() {
                Ok(code) => {
                    let act = Act::Invite { hash: secrets::hash(&code), seconds, uses };
                    self.act(by, act, reason).await.map(|more| format!("{code} {more}"))
                }
                Err(refusal) => Err(refusal),
            },
        })
    }

    async fn new_password(&self) -> Result<(String, Arc<str>), Refusal> {
        let password = secrets::code()?;
        let hash = self.shared.passwords.hash_for_operator(&password).await?;
        Ok((password, hash))
    }

    /// Proposes an act and waits until it is decided and stored.
    async fn act(&self, by: &Arc<str>, act: Act, reason: Option<Arc<str>>) -> Result<String, Refusal> {
        let request = Request::Operate { by: Arc::clone(by), act, reason };
        let completion = timeout(DECIDED, decided(&self.shared, request)).await;
        let Ok(Ok(completion)) = completion else { return Err(unsure()) };
        match completion.result? {
            Answer::Text(text) => Ok(text.to_string()),
            _ => Ok(String::new()),
        }
    }
}

fn unsure() -> Refusal {
    Refusal::new(Code::Unsure, "it is not known whether that was done; 'linechat admin log' shows it, if it was")
}
