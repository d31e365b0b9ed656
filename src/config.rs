//! What the operator decided: where to listen and with which certificate, where passwords may come from, where to keep
//! data, on disk or in memory, and the limits.
//!
//! Values only: they are read once and never changed. It must never read a file or a variable.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use crate::limits::Limits;

/// The port that linechat is known by.
pub const PORT: u16 = 12000;
/// The port that linechat speaks TLS on.
pub const TLS_PORT: u16 = 12001;

/// Over which unencrypted connections a password is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PlainPasswords {
    /// Over all.
    Allow,
    /// Only from this machine, which is where an SSH tunnel ends too.
    Loopback,
    /// Over none.
    Refuse,
}

impl PlainPasswords {
    /// What holds where nothing was asked for: once there is TLS, passwords have a better way.
    pub const fn usual(speaks_tls: bool) -> Self {
        if speaks_tls { Self::Loopback } else { Self::Allow }
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Where TLS is spoken, and with what.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Where to listen; port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// The PEM file of the certificate and those that vouch for it.
    pub certificate: PathBuf,
    /// The PEM file of its key.
    pub key: PathBuf,
}

/// The cluster that a server belongs to.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Addresses of NATS servers, such as `nats://a:4222`.
    pub servers: Vec<String>,
    /// The file with the credentials for them.
    pub credentials: Option<PathBuf>,
    /// The PEM file of who vouches for their certificates.
    pub authority: Option<PathBuf>,
    /// The stream that is the cluster's order.
    pub stream: String,
    /// What this server is called among the others.
    pub node: String,
}

/// Where a journal is copied from, or to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The data directory of a server on its own.
    Disk(PathBuf),
    /// The stream of a cluster, at these NATS servers.
    Nats(Vec<String>),
}

/// A journal to copy.
#[derive(Debug, Clone)]
pub struct Copy {
    /// Where it is.
    pub from: Place,
    /// Where it shall be, too.
    pub to: Place,
    /// The file with the credentials for the NATS servers.
    pub credentials: Option<PathBuf>,
    /// The PEM file of who vouches for their certificates.
    pub authority: Option<PathBuf>,
    /// The stream.
    pub stream: String,
    /// The bounds of the servers.
    pub limits: Limits,
}

impl Copy {
    /// The cluster that it is copied to or from.
    pub fn cluster(&self) -> Cluster {
        let servers = [&self.from, &self.to].into_iter().find_map(|place| match place {
            Place::Nats(servers) => Some(servers.clone()),
            Place::Disk(_) => None,
        });
        Cluster {
            servers: servers.unwrap_or_default(),
            credentials: self.credentials.clone(),
            authority: self.authority.clone(),
            stream: self.stream.clone(),
            node: "copy".to_owned(),
        }
    }
}

/// Where entries are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum JournalKind {
    /// In SQLite in the data directory; OK means synced.
    Disk,
    /// In memory; nothing survives the process.
    Memory,
    /// In a stream of NATS JetStream, shared with other servers, with a copy in SQLite in the data directory.
    Nats,
}

/// A server's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// Where TLS is spoken, if it is.
    pub tls: Option<Tls>,
    /// What `--plain-passwords` says, if it says anything.
    pub plain_passwords: Option<PlainPasswords>,
    /// The proxies that say where a connection comes from.
    pub proxies: Vec<IpNet>,
    /// The directory of the store on disk; not used for one in memory.
    pub data_dir: PathBuf,
    /// Where the operator's socket is, if there is one.
    pub admin_socket: Option<PathBuf>,
    /// Where metrics are to be had over HTTP, if they are.
    pub metrics_listen: Option<SocketAddr>,
    /// Whether there is an index of messages.
    pub search: bool,
    /// Where entries are kept; what `--journal` says.
    pub journal: JournalKind,
    /// The cluster, for the journal that is shared.
    pub cluster: Option<Cluster>,
    /// Every bound.
    pub limits: Limits,
}

/// The operator's socket in a data directory.
pub const ADMIN_SOCKET: &str = "admin.sock";

/// Where data lives unless `--data-dir` is given: `$STATE_DIRECTORY` (set by systemd), else `$XDG_STATE_HOME/linechat`, else
/// `~/.local/state/linechat` (XDG Base Directory Specification). `None` when there is no home either. `variable` looks up an
/// environment variable.
pub fn default_data_dir(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    // systemd separates several directories by colons; the first is ours.
    let state = set("STATE_DIRECTORY").map(|list| PathBuf::from(list.split(':').next().unwrap_or_default()));
    let xdg = || set("XDG_STATE_HOME").map(|home| PathBuf::from(home).join("linechat"));
    let home = || set("HOME").map(|home| PathBuf::from(home).join(".local/state/linechat"));
    state.or_else(xdg).or_else(home)
}

#[cfg(test)]
mod tests {
    use super::default_data_dir;

    #[test]
    fn the_first_variable_that_is_set_says_where_data_lives() {
        let dir = |set: &[(&str, &str)]| {
            let find = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            default_data_dir(find).map(|dir| dir.to_str().unwrap().to_owned())
        };
        let all = [("STATE_DIRECTORY", "/var/lib/linechat:/x"), ("XDG_STATE_HOME", "/s"), ("HOME", "/home/ana")];
        assert_eq!(dir(&all).as_deref(), Some("/var/lib/linechat"));
        assert_eq!(dir(&all[1..]).as_deref(), Some("/s/linechat"));
        assert_eq!(dir(&all[2..]).as_deref(), Some("/home/ana/.local/state/linechat"));
        assert_eq!(dir(&[("XDG_STATE_HOME", ""), ("HOME", "/h")]).as_deref(), Some("/h/.local/state/linechat"));
        assert_eq!(dir(&[]), None);
    }
}
