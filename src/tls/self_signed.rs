//! Makes a certificate that signs itself, for a network where nobody signs certificates: people compare its fingerprint.
//!
//! It owns nothing. It must never overwrite a file, and never make a key that others can read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};

use time::OffsetDateTime;

use super::fingerprint;

/// Why no certificate was made; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A name that no certificate can have.
    #[error("no certificate can be made for '{0}' ({1}); give --name a host name or an address")]
    Names(String, rcgen::Error),
    /// The clock shows a time that no certificate can have.
    #[error("the clock is wrong ({0}); set it right")]
    Clock(time::error::ComponentRange),
    /// A file is there already.
    #[error("{0} is there already and is not overwritten; move it away, or give another directory with --out DIR")]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("{0} cannot be written ({1}); give a directory that can be with --out DIR")]
    Write(PathBuf, io::Error),
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The file with the certificate.
    pub certificate: PathBuf,
    /// The file with its key, which only its owner can read.
    pub key: PathBuf,
    /// The certificate's fingerprint.
    pub fingerprint: String,
}

/// How long a certificate is valid. Whoever compares fingerprints does that again then, at the latest.
const DAYS: i64 = 3652;
/// How long it has been valid when it is made: clocks differ.
const DAYS_BEFORE: i64 = 1;
const DAY_SECONDS: i64 = 24 * 3600;

/// Makes `cert.pem` and `key.pem` in a directory, for these host names and addresses, valid from the day before `now` (in seconds since
/// 1970) for ten years.
///
/// # Errors
/// [`MakeError`]; no file was left that was not there before.
pub fn make(names: &[String], out: &Path, now: i64) -> Result<Made, MakeError> {
    let failed = |error| MakeError::Names(names.join(" "), error);
    let mut wanted = CertificateParams::new(names).map_err(failed)?;
    wanted.distinguished_name = rcgen::DistinguishedName::new();
    wanted.distinguished_name.push(DnType::CommonName, names.first().map_or("linechat", String::as_str));
    wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let day = |days: i64| OffsetDateTime::from_unix_timestamp(now.saturating_add(days * DAY_SECONDS));
    (wanted.not_before, wanted.not_after) =
        (day(-DAYS_BEFORE).map_err(MakeError::Clock)?, day(DAYS).map_err(MakeError::Clock)?);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = wanted.self_signed(&key).map_err(failed)?;

    fs::create_dir_all(out).map_err(|error| MakeError::Write(out.to_owned(), error))?;
    let made =
        Made { certificate: out.join("cert.pem"), key: out.join("key.pem"), fingerprint: fingerprint(certificate.der()) };
    let mut key_file = create(&made.key, 0o600)?;
    let written = create(&made.certificate, 0o644).and_then(|mut certificate_file| {
        fill(&mut key_file, &made.key, &key.serialize_pem())?;
        fill(&mut certificate_file, &made.certificate, &certificate.pem())
            .inspect_err(|_| drop(fs::remove_file(&made.certificate)))
    });
    written.inspect_err(|_| drop(fs::remove_file(&made.key)))?;
    Ok(made)
}

fn create(path: &Path, mode: u32) -> Result<File, MakeError> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => MakeError::Exists(path.to_owned()),
        _ => MakeError::Write(path.to_owned(), error),
    })
}

fn fill(file: &mut File, path: &Path, text: &str) -> Result<(), MakeError> {
    file.write_all(text.as_bytes()).map_err(|error| MakeError::Write(path.to_owned(), error))
}
