//! The command line: what may be typed after `linechat`, and what it means.

pub mod admin;
pub mod care;
mod copy;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

use crate::bench;
use crate::config::{ADMIN_SOCKET, Cluster, Config, JournalKind, PORT, PlainPasswords, TLS_PORT, Tls, default_data_dir};
use crate::limits::{Limits, NONE, Registration};
use crate::names::is_name;

pub use copy::Copy;

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
    /// Chats by a menu, for people who want one.
    Menu(Menu),
    /// Makes certificates.
    #[command(subcommand)]
    Tls(Certify),
    /// Copies a journal from a disk into the stream of a cluster, or back, and checks each entry.
    Copy(Copy),
    /// Asks or tells a running server what only its operator may.
    Admin(admin::Admin),
    /// Loads a running server, and checks and measures what it does.
    Bench(bench::Options),
    /// What there is to do for a journal.
    #[command(flatten)]
    Care(care::Care),
    /// Lists every limit with its value and reason.
    Limits {
        /// Sets a limit; may be repeated.
        #[arg(long = "limit", value_name = "NAME=VALUE")]
        limits: Vec<String>,
    },
}

/// What there is to do about certificates.
#[derive(Debug, Subcommand)]
pub enum Certify {
    /// Makes cert.pem and key.pem for a network where nobody signs certificates, and shows the fingerprint to compare.
    SelfSigned {
        /// A host name or address of the server; may be repeated [default: this machine's name, localhost, 127.0.0.1 and ::1].
        #[arg(long = "name", value_name = "HOST")]
        names: Vec<String>,
        /// Where to put the two files.
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
}

/// How to serve.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Where to listen; may be repeated. 0.0.0.0:12000 lets the whole network in.
    #[arg(long, value_name = "ADDR:PORT", default_values_t = [format!("127.0.0.1:{PORT}")])]
    pub listen: Vec<String>,
    /// Where to speak TLS; may be repeated. 0.0.0.0:12001 lets the whole network in. Needs --tls-cert and --tls-key.
    #[arg(long, value_name = "ADDR:PORT")]
    pub tls_listen: Vec<String>,
    /// The PEM file of the certificate and those that vouch for it; read again at SIGHUP. 'linechat tls self-signed' makes one.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The PEM file of the certificate's key; read again at SIGHUP.
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Over which unencrypted connections a password is taken [default: allow; with --tls-listen: loopback].
    #[arg(long, value_enum)]
    pub plain_passwords: Option<PlainPasswords>,
    /// A proxy, or a network of them, whose PROXY headers (version 2) say where a connection comes from; may be repeated.
    #[arg(long, value_name = "ADDR[/BITS]", value_parser = network)]
    pub proxy_from: Vec<IpNet>,
    /// Where to keep the data [default: $STATE_DIRECTORY, or $XDG_STATE_HOME/linechat, or ~/.local/state/linechat].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where 'linechat admin' finds this server [default: admin.sock in the data directory, except with --journal memory].
    #[arg(long, value_name = "PATH")]
    pub admin_socket: Option<PathBuf>,
    /// Keeps no index of messages: SEARCH, and HISTORY by time or with a user, are not to be had; it spares half of what a message costs.
    #[arg(long)]
    pub no_search: bool,
    /// Who may register an account.
    #[arg(long, value_enum, default_value = "open")]
    pub registration: Registration,
    /// What keeps messages: the disk, synced before each OK; memory, gone with the server; or NATS JetStream, shared by many servers.
    #[arg(long, value_enum, default_value = "disk")]
    pub journal: JournalKind,
    /// With --journal nats: addresses of NATS servers, such as nats://a:4222, separated by commas. With three or more, a new stream
    /// is kept by three of them.
    #[arg(long, value_name = "URL,...", value_delimiter = ',')]
    pub nats: Vec<String>,
    /// The file with the credentials for the NATS servers.
    #[arg(long, value_name = "FILE", requires = "nats")]
    pub nats_creds: Option<PathBuf>,
    /// Speak TLS to the NATS servers, and trust the authorities in this PEM file.
    #[arg(long, value_name = "FILE", requires = "nats")]
    pub nats_tls_ca: Option<PathBuf>,
    /// The stream that is the order of the cluster; it is made if there is none.
    #[arg(long, value_name = "NAME", requires = "nats", default_value = "linechat")]
    pub nats_stream: String,
    /// This server's name in the cluster: its own, and always the same [default: this machine's name].
    #[arg(long, value_name = "NAME", requires = "nats")]
    pub node: Option<String>,
    /// How the log on stderr is written; RUST_LOG says what is logged.
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Sets a limit; may be repeated. 'linechat limits' lists them; 'none' switches one off.
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub limits: Vec<String>,
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

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

impl Serve {
    /// The configuration that these options ask for.
    ///
    /// # Errors
    /// Says which value was wrong, why, and what to give instead.
    pub fn config(&self) -> Result<Config> {
        let listen = self.listen.iter().map(|address| resolve(address)).collect::<Result<_>>()?;
        let default = || default_data_dir(|name| std::env::var(name).ok());
        let data_dir = self.data_dir.clone().or_else(default);
        let data_dir = data_dir.context("there is no home directory to keep data in; give --data-dir DIR")?;
        let tls = self.tls()?;
        let default = if tls.is_some() { PlainPasswords::Loopback } else { PlainPasswords::Allow };
        let plain_passwords = self.plain_passwords.unwrap_or(default);
        let (proxies, limits) = (self.proxy_from.clone(), set_limits(&self.limits)?);
        let limits = Limits { registration: self.registration, ..limits };
        let usual = || (self.journal != JournalKind::Memory).then(|| data_dir.join(ADMIN_SOCKET));
        let admin_socket = self.admin_socket.clone().or_else(usual);
        let cluster = self.cluster()?;
        let journal = self.journal;
        let search = !self.no_search;
        Ok(Config { listen, tls, plain_passwords, proxies, data_dir, admin_socket, search, journal, cluster, limits })
    }

    fn cluster(&self) -> Result<Option<Cluster>> {
        match (self.journal, self.nats.is_empty()) {
            (JournalKind::Nats, true) => {
                bail!("--journal nats needs to know where the NATS servers are; give --nats nats://HOST:4222")
            }
            (JournalKind::Nats, false) => {}
            (_, true) => return Ok(None),
            (_, false) => bail!("--nats is for a journal that is shared by many servers; give --journal nats too"),
        }
        let node = self.node.clone().unwrap_or_else(host_name);
        if !is_name(&node) {
            bail!("'{node}' cannot be the name of a node; give --node NAME: 1 to 32 letters, digits, '_', '-' or '.'");
        }
        check_stream(&self.nats_stream)?;
        Ok(Some(Cluster {
            servers: self.nats.clone(),
            credentials: self.nats_creds.clone(),
            authority: self.nats_tls_ca.clone(),
            stream: self.nats_stream.clone(),
            node,
        }))
    }

    fn tls(&self) -> Result<Option<Tls>> {
        match (&self.tls_cert, &self.tls_key) {
            (None, None) if self.tls_listen.is_empty() => Ok(None),
            (Some(certificate), Some(key)) if !self.tls_listen.is_empty() => {
                let listen = self.tls_listen.iter().map(|address| resolve(address)).collect::<Result<_>>()?;
                Ok(Some(Tls { listen, certificate: certificate.clone(), key: key.clone() }))
            }
            (Some(_), Some(_)) => {
                bail!("a certificate needs an address to show it on; give --tls-listen 0.0.0.0:{TLS_PORT} too")
            }
            _ => bail!(
                "TLS needs a certificate and its key; give --tls-listen ADDR:{TLS_PORT}, --tls-cert FILE and --tls-key FILE together \
                 ('linechat tls self-signed' makes the files)"
            ),
        }
    }
}

/// This machine's name; empty if it has none.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn network(text: &str) -> Result<IpNet> {
    let one = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    one.or_else(|_| text.parse()).with_context(|| format!("'{text}' is no address or network; give 10.0.0.7 or 10.0.0.0/24"))
}

fn resolve(address: &str) -> Result<SocketAddr> {
    let wrong = || format!("'{address}' is not an address to listen on; give ADDR:PORT, for example 0.0.0.0:{PORT}");
    address.to_socket_addrs().with_context(wrong)?.next().with_context(wrong)
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
pub fn greeting(config: &Config, addresses: &[SocketAddr], tls_addresses: &[SocketAddr]) -> String {
    let mut text = String::new();
    let version = env!("CARGO_PKG_VERSION");
    for address in addresses {
        text.push_str(&format!("linechat {version} listens on {address}\n"));
    }
    for address in tls_addresses {
        text.push_str(&format!("linechat {version} listens on {address} with TLS\n"));
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
                "only this machine can connect; to let your network in, stop it and type: linechat serve --listen 0.0.0.0:{port}\n"
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

#[cfg(test)]
mod tests {
    use super::{Cli, Command, Parser, PlainPasswords, describe, set_limits};
    use crate::limits::{Limits, NONE};

    #[test]
    fn serving_is_the_default_and_takes_the_same_options() {
        let bare = Cli::parse_from(["linechat", "--listen", "0.0.0.0:1", "--limit", "inbox=5"]);
        assert!(bare.command.is_none());
        let Some(Command::Serve(named)) = Cli::parse_from(["linechat", "serve", "--listen", "0.0.0.0:1"]).command else {
            panic!("serve is a command")
        };
        assert_eq!(named.listen, bare.serve.listen);
        assert_eq!(bare.serve.config().unwrap().limits.inbox, 5);
        assert_eq!(Cli::parse_from(["linechat"]).serve.config().unwrap().listen, ["127.0.0.1:12000".parse().unwrap()]);
    }

    #[test]
    fn a_wrong_value_is_named() {
        let error = |arguments: &[&str]| format!("{:#}", Cli::parse_from(arguments).serve.config().unwrap_err());
        assert!(error(&["linechat", "--listen", "12000"]).starts_with("'12000' is not an address to listen on"));
        assert!(error(&["linechat", "--limit", "inbox=0"]).starts_with("'0' is not a value for the limit 'inbox'"));
    }

    #[test]
    fn tls_needs_all_its_options_and_keeps_passwords_out_of_the_open() {
        let config = |more: &[&str]| Cli::parse_from([&["linechat"], more].concat()).serve.config();
        let pair = ["--tls-listen", "127.0.0.1:1", "--tls-cert", "c", "--tls-key", "k"];
        assert_eq!(config(&[]).unwrap().plain_passwords, PlainPasswords::Allow);
        assert_eq!(config(&pair).unwrap().plain_passwords, PlainPasswords::Loopback);
        let asked = config(&[&pair[..], &["--plain-passwords", "allow", "--tls-listen", "127.0.0.1:2"]].concat()).unwrap();
        assert_eq!((asked.plain_passwords, asked.tls.unwrap().listen.len()), (PlainPasswords::Allow, 2));
        for part in [&pair[..2], &pair[2..4], &pair[4..], &pair[..4], &[&pair[..2], &pair[4..]].concat()] {
            let error = config(part).unwrap_err().to_string();
            assert!(error.contains("--tls-cert FILE and --tls-key FILE together"), "{part:?}: {error}");
        }
        assert!(config(&pair[2..]).unwrap_err().to_string().contains("give --tls-listen 0.0.0.0:12001 too"));
    }

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
