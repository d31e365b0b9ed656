//! `linechat admin`: the operator's commands, as lines to the socket of a running server, and its answers as tables or JSON.
//!
//! It owns one connection for one command. It must never open the journal: what it says is decided by the server.

mod shown;

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};

use crate::cli::settings::{data_dir, path_of};
use crate::config::ADMIN_SOCKET;
use crate::top::unanswered;

/// How long the server may take for a line of its answer: an act is decided and stored, and a password hashed.
const PATIENCE: Duration = Duration::from_secs(45);

/// What to ask of which server.
#[derive(Debug, Clone, Args)]
pub struct Admin {
    /// The data directory of the server [default: that of 'linechat serve'].
    #[arg(long, value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// The socket of the server, if it was started with --admin-socket.
    #[arg(long, value_name = "PATH", global = true, conflicts_with = "data_dir")]
    pub admin_socket: Option<PathBuf>,
    /// Shows each row, the whole status, or what came of an act as one JSON object a line, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to ask or do. Exit code 0: done, 1: refused, 2: no connection.
    #[command(subcommand)]
    pub act: Act,
}

/// What an operator can ask or do.
#[derive(Debug, Clone, Subcommand)]
pub enum Act {
    /// Shows how the server is.
    Status,
    /// Shows what is counted and measured, in Prometheus's text format.
    Metrics,
    /// Lists who is connected.
    Connections {
        /// A name or an address, in which * and ? stand for others.
        pattern: Option<String>,
    },
    /// Ends a connection, or all of a user.
    Disconnect {
        /// The number of a connection, or a name, or name:id.
        who: String,
        /// Why; they are told.
        reason: Vec<String>,
    },
    /// Keeps an address, a network or an account out, and ends their connections.
    Ban {
        /// 192.0.2.7, 192.0.2.0/24, 2001:db8::/48, or the name of an account.
        who: String,
        /// For how long: 30s, 5m, 2h, 3d or 1w [default: for ever].
        #[arg(long = "for", value_name = "SPAN")]
        span: Option<String>,
        /// Why; they are told.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Ends a ban.
    Unban {
        /// As it was banned.
        who: String,
    },
    /// Lists who is banned, until when and why.
    Bans,
    /// Lists the accounts, gives one a new password, or removes one.
    #[command(subcommand)]
    Accounts(Accounts),
    /// Lists the channels, closes one, or gives it to another member.
    #[command(subcommand)]
    Channels(Channels),
    /// Tells everybody who is connected something.
    Notice {
        /// What.
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// Shows what operators have done.
    Log {
        /// How many of the newest acts.
        #[arg(short = 'n', default_value_t = 100)]
        count: u64,
    },
    /// Makes a code for REGISTER, for a server with --registration invite.
    Invite {
        /// For how long: 30s, 5m, 2h, 3d or 1w.
        #[arg(long = "for", value_name = "SPAN", default_value = "1w")]
        span: String,
        /// How many people may use it.
        #[arg(long, default_value_t = 1)]
        uses: u32,
    },
}

/// What there is to do about accounts.
#[derive(Debug, Clone, Subcommand)]
pub enum Accounts {
    /// Lists them.
    List {
        /// A name in which * and ? stand for others.
        pattern: Option<String>,
    },
    /// Gives an account a new password, which is shown; its connections and tokens end.
    Reset {
        /// Its name.
        name: String,
    },
    /// Removes an account with its inbox and tokens; what it said stays.
    Remove {
        /// Its name.
        name: String,
        /// Why; it is told.
        #[arg(long)]
        reason: Option<String>,
    },
}

/// What there is to do about channels.
#[derive(Debug, Clone, Subcommand)]
pub enum Channels {
    /// Lists them.
    List {
        /// A name in which * and ? stand for others.
        pattern: Option<String>,
    },
    /// Ends a channel.
    Close {
        /// With its #.
        channel: String,
        /// Why; for the log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Makes a member its owner.
    Give {
        /// With its #.
        channel: String,
        /// The member.
        user: String,
    },
}

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// What to print.
    Answered(String),
    /// Why it was not done.
    Refused(String),
}

/// What the server has answered.
struct Answer {
    rows: Vec<Vec<String>>,
    last: String,
}

impl Act {
    /// The line that asks for it.
    fn line(&self) -> String {
        let some = |word: &str, more: Option<&String>| more.map(|more| format!("{word}{more}")).unwrap_or_default();
        match self {
            Self::Status => "STATUS".to_owned(),
            Self::Metrics => "METRICS".to_owned(),
            Self::Connections { pattern } => format!("CONNECTIONS{}", some(" ", pattern.as_ref())),
            Self::Disconnect { who, reason } => format!("DISCONNECT {who} {}", reason.join(" ")),
            Self::Ban { who, span, reason } => {
                format!("BAN {who} for {}{}", span.as_deref().unwrap_or("ever"), some(" ", reason.as_ref()))
            }
            Self::Unban { who } => format!("UNBAN {who}"),
            Self::Bans => "BANS".to_owned(),
            Self::Accounts(Accounts::List { pattern }) => format!("ACCOUNTS{}", some(" ", pattern.as_ref())),
            Self::Accounts(Accounts::Reset { name }) => format!("RESET {name}"),
            Self::Accounts(Accounts::Remove { name, reason }) => format!("REMOVE {name}{}", some(" ", reason.as_ref())),
            Self::Channels(Channels::List { pattern }) => format!("CHANNELS{}", some(" ", pattern.as_ref())),
            Self::Channels(Channels::Close { channel, reason }) => format!("CLOSE {channel}{}", some(" ", reason.as_ref())),
            Self::Channels(Channels::Give { channel, user }) => format!("GIVE {channel} {user}"),
            Self::Notice { text } => format!("NOTICE {}", text.join(" ")),
            Self::Log { count } => format!("LOG {count}"),
            Self::Invite { span, uses } => format!("INVITE for {span} uses {uses}"),
        }
    }
}

impl Admin {
    /// Asks the server.
    ///
    /// # Errors
    /// When no server answers; says what to do.
    pub fn run(&self) -> Result<Done> {
        let Answer { rows, last } = self.ask(&self.act.line())?;
        let Some(fields) = last.strip_prefix("OK ") else {
            // `ERR CODE VERB text`
            let text = last.splitn(4, ' ').nth(3).unwrap_or(&last);
            return Ok(Done::Refused(text.to_owned()));
        };
        let fields = fields.split_once(' ').map_or("", |(_, fields)| fields);
        Ok(Done::Answered(if self.json { self.act.for_programs(&rows, fields) } else { self.act.for_people(&rows, fields) }))
    }

    fn ask(&self, line: &str) -> Result<Answer> {
        let path = find_socket(self.data_dir.as_deref(), self.admin_socket.as_deref())?;
        let no_server = |error: io::Error| anyhow!(unanswered(&path, &error));
        if line.contains('\n') {
            bail!("what is told to a server is one line");
        }
        let stream = UnixStream::connect(&path).map_err(no_server)?;
        stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE))).map_err(no_server)?;
        (&stream).write_all(format!("{line}\n").as_bytes()).map_err(no_server)?;
        let (mut rows, mut lines) = (Vec::new(), BufReader::new(&stream).lines());
        loop {
            let line = lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into())).map_err(no_server)?;
            match line.strip_prefix("- ") {
                Some(row) => rows.push(row.split('\t').skip(1).map(str::to_owned).collect()),
                None => return Ok(Answer { rows, last: line }),
            }
        }
    }
}

/// Where the operator's socket of a server is, whose data directory or socket may be given.
///
/// # Errors
/// When the file with settings cannot be read, or there is no place at all.
pub fn find_socket(directory: Option<&Path>, socket: Option<&Path>) -> Result<PathBuf> {
    if let Some(socket) = socket {
        return Ok(socket.to_owned());
    }
    if directory.is_none()
        && let Some(socket) = path_of("admin-socket")?
    {
        return Ok(socket);
    }
    Ok(data_dir(directory)?.join(ADMIN_SOCKET))
}
