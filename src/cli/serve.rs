//! The command line of `linechat serve`, and the configuration that it asks for.
//!
//! It owns no state. It must never read a file or the environment: `settings.rs` gathers what they say, in the words of this command
//! line.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use ipnet::IpNet;

use crate::cli::{check_stream, host_name, set_limits};
use crate::config::{
    ADMIN_SOCKET, Cluster, Config, JournalKind, LogFormat, PORT, PlainPasswords, TLS_PORT, Tls, default_data_dir,
};
use crate::limits::{Limits, Registration};
use crate::names::is_name;

/// How to serve.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// The file with settings, in TOML: each option here by its name, and limits in a table of their own. $LINECHAT_LISTEN and so on are
    /// stronger than the file, and options are stronger than both. 'linechat config default' writes one
    /// [default: /etc/linechat/linechat.toml if there is one].
    #[arg(long, value_name = "FILE")]
    pub config: Option<OsString>,
    /// Where to listen; may be repeated. 0.0.0.0:12000 lets the whole network in.
    #[arg(long, value_name = "ADDR:PORT", value_parser = to_listen, default_values_t = [SocketAddr::from(([127, 0, 0, 1], PORT))])]
    pub listen: Vec<SocketAddr>,
    /// Where to speak TLS; may be repeated. 0.0.0.0:12001 lets the whole network in. Needs --tls-cert and --tls-key.
    #[arg(long, value_name = "ADDR:PORT", value_parser = to_listen)]
    pub tls_listen: Vec<SocketAddr>,
    /// The PEM file of the certificate and those that vouch for it; read again at SIGHUP. 'linechat tls self-signed' makes one.
    #[arg(long, value_name = "FILE", value_parser = place())]
    pub tls_cert: Option<PathBuf>,
    /// The PEM file of the certificate's key; read again at SIGHUP.
    #[arg(long, value_name = "FILE", value_parser = place())]
    pub tls_key: Option<PathBuf>,
    /// Over which unencrypted connections a password is taken [default: allow; with --tls-listen: loopback].
    #[arg(long, value_enum)]
    pub plain_passwords: Option<PlainPasswords>,
    /// A proxy, or a network of them, whose PROXY headers (version 2) say where a connection comes from; may be repeated.
    #[arg(long, value_name = "ADDR[/BITS]", value_parser = network)]
    pub proxy_from: Vec<IpNet>,
    /// Where to keep the data [default: $STATE_DIRECTORY, or $XDG_STATE_HOME/linechat, or ~/.local/state/linechat].
    #[arg(long, value_name = "DIR", value_parser = place())]
    pub data_dir: Option<PathBuf>,
    /// Where 'linechat admin' finds this server [default: admin.sock in the data directory, except with --journal memory].
    #[arg(long, value_name = "PATH", value_parser = place())]
    pub admin_socket: Option<PathBuf>,
    /// Where to answer HTTP for Prometheus: /metrics, /healthz and /readyz; who can reach it reads how busy the server is, and no message.
    #[arg(long, value_name = "ADDR:PORT", value_parser = to_be_watched)]
    pub metrics_listen: Option<SocketAddr>,
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
    /// The file with the credentials for the NATS servers, from nsc or nk; it is read again at each connection.
    #[arg(long, value_name = "FILE", value_parser = place())]
    pub nats_creds: Option<PathBuf>,
    /// Speak TLS to the NATS servers, and trust the authorities in this PEM file.
    #[arg(long, value_name = "FILE", value_parser = place())]
    pub nats_tls_ca: Option<PathBuf>,
    /// The stream that is the order of the cluster; it is made if there is none.
    #[arg(long, value_name = "NAME", default_value = "linechat")]
    pub nats_stream: String,
    /// This server's name in the cluster: its own, and always the same [default: this machine's name].
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// What is logged on stderr: error, warn, info or debug, or a level for each part, as in
    /// info,async_nats=error; RUST_LOG is heard if this is not given; read again at SIGHUP [default: info].
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<String>,
    /// How the log is written.
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Sets a limit; may be repeated. 'linechat limits' lists them; 'none' switches one off.
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub limits: Vec<String>,
}

impl Serve {
    /// The configuration that these options ask for.
    ///
    /// # Errors
    /// Says which value was wrong, why, and what to give instead.
    pub fn configuration(&self) -> Result<Config> {
        let default = || default_data_dir(|name| std::env::var(name).ok());
        let data_dir = self.data_dir.clone().or_else(default);
        let data_dir = data_dir.context("there is no home directory to keep data in; give --data-dir DIR")?;
        let tls = self.tls()?;
        self.keep_apart()?;
        let (proxies, limits) = (self.proxy_from.clone(), set_limits(&self.limits)?);
        let limits = Limits { registration: self.registration, ..limits };
        let usual = || (self.journal != JournalKind::Memory).then(|| data_dir.join(ADMIN_SOCKET));
        let admin_socket = self.admin_socket.clone().or_else(usual);
        let cluster = self.cluster()?;
        Ok(Config {
            listen: self.listen.clone(),
            tls,
            plain_passwords: self.plain_passwords,
            proxies,
            data_dir,
            admin_socket,
            metrics_listen: self.metrics_listen,
            search: !self.no_search,
            journal: self.journal,
            cluster,
            limits,
        })
    }

    /// The system would refuse the second of two, and only once the journal has been read.
    fn keep_apart(&self) -> Result<()> {
        let of = |option, addresses: &[SocketAddr]| addresses.iter().map(move |it| (option, *it)).collect::<Vec<_>>();
        let all = [
            of("--listen", &self.listen),
            of("--tls-listen", &self.tls_listen),
            of("--metrics-listen", self.metrics_listen.as_slice()),
        ]
        .concat();
        for (number, (option, address)) in all.iter().enumerate() {
            if let Some((other_option, other)) = all[..number].iter().find(|(_, other)| are_one(*address, *other)) {
                bail!("{other_option} {other} and {option} {address} exclude each other; give each a port of its own");
            }
        }
        Ok(())
    }

    fn cluster(&self) -> Result<Option<Cluster>> {
        match (self.journal, self.nats.is_empty()) {
            (JournalKind::Nats, true) => {
                bail!("--journal nats needs to know where the NATS servers are; give --nats nats://HOST:4222")
            }
            (JournalKind::Nats, false) => {}
            (_, true) if self.nats_creds.is_none() && self.nats_tls_ca.is_none() && self.node.is_none() => return Ok(None),
            (_, true) => bail!("--nats-creds, --nats-tls-ca and --node are for --journal nats; give it, and --nats too"),
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
                let listen = self.tls_listen.clone();
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

fn network(text: &str) -> Result<IpNet> {
    let one = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    one.or_else(|_| text.parse()).with_context(|| format!("'{text}' is no address or network; give 10.0.0.7 or 10.0.0.0/24"))
}

fn to_listen(address: &str) -> Result<SocketAddr> {
    resolve(address, &format!("0.0.0.0:{PORT}"))
}

/// Metrics are for few, so that no example lets the whole network in.
fn to_be_watched(address: &str) -> Result<SocketAddr> {
    resolve(address, "127.0.0.1:9480")
}

fn resolve(address: &str, example: &str) -> Result<SocketAddr> {
    let wrong = |why| anyhow!("that is not an address to listen on ({why}); give ADDR:PORT, for example {example}");
    let mut found = address.to_socket_addrs().map_err(|error| wrong(error.to_string()))?;
    found.next().ok_or_else(|| wrong("it is nowhere".to_owned()))
}

/// Whether who listens on one of them listens on the other, too. A port 0 is another one each time.
fn are_one(one: SocketAddr, other: SocketAddr) -> bool {
    let is_wide = one.ip().is_unspecified() || other.ip().is_unspecified();
    // [::] takes IPv4, too.
    let is_all = |address: SocketAddr| address.is_ipv6() && address.ip().is_unspecified();
    let overlap = one.ip() == other.ip() || is_all(one) || is_all(other) || is_wide && one.is_ipv4() == other.is_ipv4();
    one.port() == other.port() && one.port() != 0 && overlap
}

/// Where a file or a directory is. What a shell would have put in place of `~` is not known here, and nobody wants a directory of
/// that name.
fn place() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.as_os_str().as_encoded_bytes().first() {
        Some(b'~') => Err("only a shell knows what ~ is; give the whole path, such as /home/ana/linechat"),
        _ => Ok(path),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Command};
    use crate::config::PlainPasswords;

    #[test]
    fn serving_is_the_default_and_takes_the_same_options() {
        let bare = Cli::parse_from(["linechat", "--listen", "0.0.0.0:1", "--limit", "inbox=5"]);
        assert!(bare.command.is_none());
        let Some(Command::Serve(named)) = Cli::parse_from(["linechat", "serve", "--listen", "0.0.0.0:1"]).command else {
            panic!("serve is a command")
        };
        assert_eq!(named.listen, bare.serve.listen);
        assert_eq!(bare.serve.configuration().unwrap().limits.inbox, 5);
        assert_eq!(Cli::parse_from(["linechat"]).serve.configuration().unwrap().listen, ["127.0.0.1:12000".parse().unwrap()]);
    }

    #[test]
    fn a_wrong_value_is_named() {
        let error = |arguments: &[&str]| format!("{:#}", Cli::parse_from(arguments).serve.configuration().unwrap_err());
        assert!(error(&["linechat", "--limit", "inbox=0"]).starts_with("'0' is not a value for the limit 'inbox'"));
        let unread = |arguments: &[&str]| Cli::try_parse_from(arguments).unwrap_err().to_string();
        for (option, example) in [("--listen", "0.0.0.0:12000"), ("--metrics-listen", "127.0.0.1:9480")] {
            let said = unread(&["linechat", option, "12000"]);
            assert!(
                said.contains(&format!("invalid value '12000' for '{option} <ADDR:PORT>': that is not an address")),
                "{said}"
            );
            assert!(said.contains(&format!("for example {example}")), "{said}");
        }
        assert!(unread(&["linechat", "--data-dir=~/chat"]).contains("only a shell knows what ~ is"));
    }

    #[test]
    fn nobody_listens_twice_on_one_port() {
        let all = |listen: &str, tls: &str, metrics: &str| {
            let arguments = ["linechat", "--listen", listen, "--tls-listen", tls, "--metrics-listen", metrics];
            let files = ["--tls-cert", "c", "--tls-key", "k"];
            Cli::parse_from([&arguments[..], &files].concat()).serve.configuration().map_err(|error| error.to_string())
        };
        for (listen, tls, metrics) in [
            ("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:3"),
            ("127.0.0.1:1", "127.0.0.1:2", "0.0.0.0:2"),
            ("[::]:1", "[::1]:2", "[::1]:1"),
        ] {
            let said = all(listen, tls, metrics).unwrap_err();
            assert!(said.contains("exclude each other; give each a port of its own"), "{said}");
        }
        for (listen, tls, metrics) in [
            ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"),
            ("127.0.0.1:1", "127.0.0.2:1", "127.0.0.1:3"),
            ("127.0.0.1:1", "[::1]:1", "[::]:3"),
        ] {
            all(listen, tls, metrics).unwrap();
        }
    }

    #[test]
    fn tls_needs_all_its_options_and_keeps_passwords_out_of_the_open() {
        let config = |more: &[&str]| Cli::parse_from([&["linechat"], more].concat()).serve.configuration();
        let pair = ["--tls-listen", "127.0.0.1:1", "--tls-cert", "c", "--tls-key", "k"];
        assert_eq!(config(&pair).unwrap().plain_passwords, None);
        let asked = config(&[&pair[..], &["--plain-passwords", "allow", "--tls-listen", "127.0.0.1:2"]].concat()).unwrap();
        assert_eq!((asked.plain_passwords, asked.tls.unwrap().listen.len()), (Some(PlainPasswords::Allow), 2));
        for part in [&pair[..2], &pair[2..4], &pair[4..], &pair[..4], &[&pair[..2], &pair[4..]].concat()] {
            let error = config(part).unwrap_err().to_string();
            assert!(error.contains("--tls-cert FILE and --tls-key FILE together"), "{part:?}: {error}");
        }
        assert!(config(&pair[2..]).unwrap_err().to_string().contains("give --tls-listen 0.0.0.0:12001 too"));
    }
}
