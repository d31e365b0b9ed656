//! What can be found out about a start without one, for `linechat config check`.
//!
//! It owns what it has bound or made, and lets go of it at once. It must never let anybody connect, open a journal, or leave anything
//! behind: a server may run meanwhile.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::Access;

use crate::clock::Clock;
use crate::config::{Config, JournalKind};
use crate::server::{StartError, sockets};
use crate::store::OpenError;
use crate::tls::Certificates;

/// Tries what a start would need: the certificate, the addresses and the data directory. Returns what an operator should know although a
/// server would start.
///
/// # Errors
/// [`StartError`]: what a start would end with.
pub fn rehearse(config: &Config) -> Result<Vec<String>, StartError> {
    let mut notes = Vec::new();
    if let Some(tls) = &config.tls {
        let certificates = Certificates::load(&tls.certificate, &tls.key)?;
        notes.extend(certificates.doubt(Clock::System.seconds()));
    }
    for address in config.listen.iter().chain(config.tls.iter().flat_map(|tls| &tls.listen)) {
        notes.extend(note(sockets::bind(*address).map(drop))?);
    }
    if let Some(address) = config.metrics_listen {
        notes.extend(note(sockets::bind_for_metrics(address).map(drop))?);
    }
    if config.journal != JournalKind::Memory {
        let cannot = |error| OpenError::NotWritable { path: config.data_dir.clone(), error };
        match find_room(&config.data_dir) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => notes.push(format!(
                "{} is not for the user who asks this; the user that the server runs as has to be allowed to write there",
                config.data_dir.display()
            )),
            found => found.map_err(cannot)?,
        }
    }
    Ok(notes)
}

/// What may be otherwise at the start is worth a word only: the server that uses the port may be this one, and the user that it runs as
/// may be allowed more.
fn note(bound: Result<(), StartError>) -> Result<Option<String>, StartError> {
    let in_use = |address: SocketAddr| Ok(Some(format!("{address} is in use, by this server if it runs already")));
    match bound {
        Ok(()) => Ok(None),
        Err(StartError::PortInUse(address)) => in_use(address),
        Err(StartError::Metrics { address, error }) if error.kind() == io::ErrorKind::AddrInUse => in_use(address),
        Err(StartError::Listen { address, error } | StartError::Metrics { address, error })
            if error.kind() == io::ErrorKind::PermissionDenied =>
        {
            Ok(Some(format!(
                "{address} is not for the user who asks this; the user that the server runs as has to be allowed to"
            )))
        }
        Err(error) => Err(error),
    }
}

/// Whether a directory can be written to, or be made.
fn find_room(directory: &Path) -> io::Result<()> {
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK)?),
        Ok(_) => Err(io::ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let whole = std::path::absolute(directory)?;
            // Only the first of those that are missing: what can be made can hold others.
            let first = whole.ancestors().take_while(|path| fs::symlink_metadata(path).is_err()).last();
            first.map_or(Err(error), |path| DirBuilder::new().mode(0o700).create(path).and_then(|()| fs::remove_dir(path)))
        }
        Err(error) => Err(error),
    }
}
