//! The credentials with which this server goes to the brokers. They are read again for each connection: what they allow may end before
//! the server does, and the file be another one by then. The key never leaves this file, only what it has signed.

use std::path::Path;

use async_nats::Auth;
use nkeys::KeyPair;

/// What the lines before each part have in them, as `nsc` writes it.
const JWT: &str = "BEGIN NATS USER JWT";
const SEED: &str = "BEGIN USER NKEY SEED";

/// Answers a broker's challenge by what is in the file: a user's JWT and the seed of its key as `nsc` writes them, or a seed alone as
/// `nk` does.
///
/// # Errors
/// When the file cannot be read, or has no seed of a user's key.
pub async fn answer(path: &Path, challenge: &[u8]) -> Result<Auth, String> {
    let text = tokio::fs::read_to_string(path).await.map_err(|error| error.to_string())?;
    let (jwt, seed) = (after(&text, JWT), after(&text, SEED).unwrap_or(text.trim()));
    let key = KeyPair::from_seed(seed).ok().filter(|key| key.public_key().starts_with('U'));
    let key = key.ok_or("there is no seed of a user's key in it")?;
    let mut auth = Auth::new();
    auth.signature = Some(key.sign(challenge).map_err(|error| error.to_string())?);
    // Whose key it is says the JWT; without one the broker has to know.
    auth.nkey = jwt.is_none().then(|| key.public_key());
    auth.jwt = jwt.map(str::to_owned);
    Ok(auth)
}

/// What stands below the line that has this in it.
fn after<'a>(text: &'a str, what: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.starts_with("---") && line.contains(what))?;
    lines.find(|line| !line.is_empty())
}
