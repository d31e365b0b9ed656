//! The command line: what may be typed after `linechat`, and what it means.
//!
//! It owns no state. It must never do what was asked for: `main` hands that on.

pub mod admin;
pub mod care;
pub mod configuration;
mod copy;
pub mod explain;
pub mod pages;
mod serve;
pub mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::bench;
use crate::config::{Cluster, Config, JournalKind};
use crate::limits::{Limits, NONE};
use crate::top;

pub use copy::Copy;
pub use serve::Serve;

/// A chat server everyone can already talk to: `nc server 12000` is a complete client.
#[derive(Debug, Parser)]
#[command(name = "linechat", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; to serve, when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve.
    #[command(flatten)]
    pub serve: Serve,
}

/// What linechat can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves (this is the default).
    Serve(Serve),
    /// Shows, checks or explains how a server is configured.
    #[command(subcommand)]
    Config(configuration::Configuration),
    /// Chats by a menu, for people who want one.
    Menu(Menu),
    /// Makes certificates.
    #[command(subcommand)]
    Tls(Certify),
    /// Copies a journal from a disk into the stream of a cluster, or back, and checks each entry.
    Copy(Copy),
    /// Asks or tells a running server what only its operator may.
    Admin(admin::Admin),
    /// Shows how servers are, again and again, at a terminal.
    Top(Top),
    /// Loads a running server, and checks and measures what it does.
    Bench(bench::Options),
    /// What there is to do for a journal.
    #[command(flatten)]
    Care(care::Care),
    /// Shows all commands of the protocol on one page.
    Cheat,
    /// Says what a code of an ERR, or a command, means, and what to do about it.
    Explain {
        /// Such as RATE_LIMITED, or MSG.
        word: String,
    },
    /// Lists every limit with its reason and the value that it has for a server here: by the environment, the file, and what is typed.
    Limits {
        /// Sets a limit; may be repeated.
        #[arg(long = "limit", value_name = "NAME=VALUE")]
        limits: Vec<String>,
    },
    /// Writes the script that lets a shell complete what is typed after linechat.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes the pages of the manual: one for linechat, and one for each of its commands.
    Man {
        /// Where to put them: a directory, which is made if there is none.
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

/// What there is to do about certificates.
#[derive(Debug, Subcommand)]
pub enum Certify {
    /// Makes cert.pem and key.pem, good for ten years, for a network where nobody signs certificates, and shows the fingerprint to compare.
    SelfSigned {
        /// A host name or address of the server; may be repeated [default: this machine's name, localhost, 127.0.0.1 and ::1].
        #[arg(long = "name", value_name = "HOST")]
        names: Vec<String>,
        /// Where to put the two files.
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
}

/// How to chat by the menu.
#[derive(Debug, Clone, Args)]
pub struct Menu {
    /// Speaks TLS; the port is then 12001 unless given. A server that nobody known here vouches for is trusted the first time.
    #[arg(long)]
    pub tls: bool,
    /// Trusts who is vouched for in this PEM file, and nobody else.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub tls_ca: Option<PathBuf>,
    /// The server, or several of a cluster, separated by commas: when one is gone, the next takes its place [asked for when absent;
    /// port 12000 unless given].
    #[arg(value_name = "HOST[:PORT],...")]
    pub server: Option<String>,
    /// The name to take [asked for when absent].
    #[arg(long, conflicts_with = "login")]
    pub name: Option<String>,
    /// The account to log in to; its password is asked for.
    #[arg(long, value_name = "NAME")]
    pub login: Option<String>,
    /// Shows each line that is sent and received.
    #[arg(long)]
    pub show_protocol: bool,
    /// Runs a command instead of the menu; may be repeated. Exit code 0: OK, 1: refused, 2: no connection.
    #[arg(short = 'c', value_name = "COMMAND")]
    pub commands: Vec<String>,
}

/// Which servers to look at.
#[derive(Debug, Clone, Args)]
pub struct Top {
    /// Where servers have their metrics (--metrics-listen), separated by commas: http://HOST:PORT/metrics, or HOST:PORT [default:
    /// the server on this machine is asked over its operator's socket].
    #[arg(value_name = "URL,...", value_delimiter = ',')]
    pub urls: Vec<String>,
    /// The data directory of the server on this machine [default: that of 'linechat serve'].
    #[arg(long, value_name = "DIR", conflicts_with = "urls")]
    pub data_dir: Option<PathBuf>,
    /// The socket of the server, if it was started with --admin-socket.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["data_dir", "urls"])]
    pub admin_socket: Option<PathBuf>,
    /// Prints one table of the second that follows, and ends: for scripts.
    #[arg(long)]
    pub once: bool,
}

impl Top {
    /// What is to be looked at.
    ///
    /// # Errors
    /// When it is not known where the server's socket is.
    pub fn options(self) -> Result<top::Options> {
        let socket = match self.urls.is_empty() {
            true => admin::find_socket(self.data_dir.as_deref(), self.admin_socket.as_deref())?,
            false => PathBuf::new(),
        };
        Ok(top::Options { urls: self.urls, socket, once: self.once })
    }
}

/// This machine's name; empty if it has none.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The default limits with these `NAME=VALUE` assignments applied.
///
/// # Errors
/// Says which assignment is the first wrong one, and what to give instead.
pub fn set_limits(assignments: &[String]) -> Result<Limits> {
    let mut limits = Limits::default();
    for assignment in assignments {
        limits.set(assignment)?;
    }
    Ok(limits)
}

fn check_stream(name: &str) -> Result<()> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        bail!("'{name}' cannot be the name of a stream; give --nats-stream NAME: letters, digits and '-'");
    }
    Ok(())
}

/// What `linechat limits` prints.
pub fn describe(limits: &Limits) -> String {
    let mut text = String::from("Limits that can be set (linechat serve --limit NAME=VALUE):\n");
    for row in limits.rows() {
        if row.range.is_none() && !text.contains("Fixed") {
            text.push_str("\nFixed limits, on which the protocol or a promise is built:\n");
        }
        let value = if row.value == NONE { "none".to_owned() } else { row.value.to_string() };
        let range = row.range.map(|(min, max)| format!("{min} to {max}{}", if row.may_be_none { " or none" } else { "" }));
        let range = range.map(|range| format!(" ({range})")).unwrap_or_default();
        text.push_str(&format!("  {} = {value} {}{range}\n      {}\n", row.name, row.unit, row.reason));
    }
    text
}

/// What the operator reads when the server has started.
pub fn greeting(
    config: &Config,
    addresses: &[SocketAddr],
    tls_addresses: &[SocketAddr],
    metrics: Option<SocketAddr>,
) -> String {
    let mut text = String::new();
    let version = env!("CARGO_PKG_VERSION");
    for address in addresses {
        text.push_str(&format!("linechat {version} listens on {address}\n"));
    }
    for address in tls_addresses {
        text.push_str(&format!("linechat {version} listens on {address} with TLS\n"));
    }
    if let Some(address) = metrics {
        text.push_str(&format!("its metrics are at http://{address}/metrics\n"));
    }
    text.push_str(&match config.journal {
        JournalKind::Disk => format!("it keeps its data in {}\n", config.data_dir.display()),
        JournalKind::Memory => "it keeps its data in memory only: everything is gone when it stops\n".to_owned(),
        JournalKind::Nats => match &config.cluster {
            Some(Cluster { stream, node, .. }) => {
                format!("it is the node {node} of the cluster {stream}, and keeps a copy in {}\n", config.data_dir.display())
            }
            None => String::new(),
        },
    });
    if let Some(address) = addresses.first() {
        let port = address.port();
        let host = if address.ip().is_unspecified() { "localhost".to_owned() } else { address.ip().to_string() };
        text.push_str(&format!("to chat, open another terminal and type: nc {host} {port}\nthen type HELP and press Enter\n"));
        if addresses.iter().chain(tls_addresses).all(|address| address.ip().is_loopback()) {
            text.push_str(&format!(
                "only this machine can connect; to let your network in, stop it and start it as before, with {}\n",
                to_all(addresses, tls_addresses)
            ));
        } else {
            match tls_addresses.first() {
                Some(address) => text
                    .push_str(&format!("from another machine: ncat --ssl, this machine's address, and {}\n", address.port())),
                None => text.push_str(&format!("from another machine: nc, this machine's address, and {port}\n")),
            }
        }
    }
    text
}

/// The options with which the same ports are open to every address of this machine: only that of TLS, where there is one.
fn to_all(addresses: &[SocketAddr], tls_addresses: &[SocketAddr]) -> String {
    match (addresses, tls_addresses) {
        (_, [first, ..]) => format!("--tls-listen 0.0.0.0:{}", first.port()),
        ([first, ..], []) => format!("--listen 0.0.0.0:{}", first.port()),
        ([], []) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{describe, set_limits};
    use crate::limits::{Limits, NONE};

    #[test]
    fn limits_are_listed_with_reasons() {
        let text = describe(&set_limits(&["inbox=none".to_owned()]).unwrap());
        assert!(text.contains("inbox = none messages (1 to 10000000 or none)\n      unread messages"));
        assert!(text.contains("line-length = 4096 bytes\n"));
    }

    #[test]
    fn each_settable_limit_can_be_set_and_none_only_where_it_makes_sense() {
        for row in Limits::default().rows() {
            let mut limits = Limits::default();
            let none = limits.set(&format!("{}=none", row.name));
            assert_eq!(none.is_ok(), row.may_be_none, "{}", row.name);
            if let Some((min, max)) = row.range {
                limits.set(&format!("{}={min}", row.name)).unwrap();
                assert_eq!(limits.rows().iter().find(|r| r.name == row.name).unwrap().value, min);
                assert!(limits.set(&format!("{}={}", row.name, max + 1)).is_err());
                assert!(
                    (min..=max).contains(&row.value) || row.may_be_none && row.value == NONE,
                    "the default of {} is in its own range",
                    row.name
                );
            }
        }
    }

    #[test]
    fn a_wrong_assignment_says_what_to_do() {
        let mut limits = Limits::default();
        let error = |text: &str, limits: &mut Limits| limits.set(text).unwrap_err().to_string();
        assert_eq!(error("inbox", &mut limits), "'inbox' is not of the form NAME=VALUE; 'linechat limits' lists the names");
        assert_eq!(error("inbx=3", &mut limits), "there is no limit 'inbx'; 'linechat limits' lists the names");
        assert_eq!(
            error("inbox=many", &mut limits),
            "'many' is not a value for the limit 'inbox': give 1 to 10000000 messages, or none"
        );
        assert!(error("line-length=9", &mut limits).contains("is fixed"));
        assert_eq!(limits, Limits::default(), "nothing changed");
    }
}
