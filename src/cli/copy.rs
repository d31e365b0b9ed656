//! The command line of `linechat copy`. It must never ask the brokers or the disk anything.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::cli::{check_stream, set_limits};
use crate::config::{self, Place};

/// Which journal to copy where.
#[derive(Debug, Clone, Args)]
pub struct Copy {
    /// The journal: disk:DIR, the data directory of a server that does not run, or nats:URL,..., the stream of a cluster.
    #[arg(long, value_name = "PLACE", value_parser = place)]
    pub from: Place,
    /// Where to copy it: nats:URL,..., for a stream that is not used yet, or disk:DIR, for a directory without a journal.
    #[arg(long, value_name = "PLACE", value_parser = place)]
    pub to: Place,
    /// The file with the credentials for the NATS servers, from nsc or nk; it is read again at each connection.
    #[arg(long, value_name = "FILE")]
    pub nats_creds: Option<PathBuf>,
    /// Speak TLS to the NATS servers, and trust the authorities in this PEM file.
    #[arg(long, value_name = "FILE")]
    pub nats_tls_ca: Option<PathBuf>,
    /// The stream; it is made if there is none.
    #[arg(long, value_name = "NAME", default_value = "linechat")]
    pub nats_stream: String,
    /// Sets a limit; may be repeated. They must be those of the servers.
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub limits: Vec<String>,
}

fn place(text: &str) -> Result<Place> {
    match text.split_once(':') {
        Some(("disk", directory)) if !directory.is_empty() => Ok(Place::Disk(directory.into())),
        Some(("nats", servers)) if !servers.is_empty() => Ok(Place::Nats(servers.split(',').map(str::to_owned).collect())),
        _ => bail!("give disk:DIR, such as disk:/var/lib/linechat, or nats:URL,..., such as nats:nats://a:4222"),
    }
}

impl Copy {
    /// What to copy.
    ///
    /// # Errors
    /// When something cannot be understood; says what to give.
    pub fn config(&self) -> Result<config::Copy> {
        check_stream(&self.nats_stream)?;
        let Self { from, to, nats_creds, nats_tls_ca, nats_stream, limits } = self.clone();
        let (credentials, authority, stream) = (nats_creds, nats_tls_ca, nats_stream);
        Ok(config::Copy { from, to, credentials, authority, stream, limits: set_limits(&limits)? })
    }
}
