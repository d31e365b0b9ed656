//! The credentials with which this server goes to the brokers. They are read again for each connection: what they allow may end before
//! the server does, and the file be another one by then. It must never let the key out, only what that has signed.

use std::path::Path;

use async_nats::Auth;
use nkeys::{KeyPair, KeyPairType};

use crate::order::nats::NatsError;

/// What every JWT begins with: `{"` in base64.
const JWT: &str = "eyJ";

/// Answers a broker's challenge by what is in the file: a user's JWT and the seed of its key as `nsc` writes them, or a seed without a
/// JWT as `nk` does.
///
/// # Errors
/// [`NatsError::File`] when it cannot be read, or not more than once, or has no seed of a user's key.
pub async fn answer(path: &Path, challenge: &[u8]) -> Result<Auth, NatsError> {
    let failed = |error: String| NatsError::File { path: path.to_owned(), error };
    let is_file = tokio::fs::metadata(path).await.map_err(|error| failed(error.to_string()))?.is_file();
    if !is_file {
        return Err(failed("it is read at each connection, and has to be a file for that".to_owned()));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|error| failed(error.to_string()))?;
    let (jwt, key) = parts(&text).ok_or_else(|| failed("there is no seed of a user's key in it".to_owned()))?;
    let mut auth = Auth::new();
    auth.signature = Some(key.sign(challenge).map_err(|error| failed(error.to_string()))?);
    // Whose key it is says the JWT; without one the broker has to know.
    auth.nkey = jwt.is_none().then(|| key.public_key());
    auth.jwt = jwt.map(str::to_owned);
    Ok(auth)
}

/// Whatever stands around them, as NATS' own clients have it.
fn parts(text: &str) -> Option<(Option<&str>, KeyPair)> {
    let mut lines = text.lines().map(str::trim);
    let jwt = lines.clone().find(|line| line.starts_with(JWT));
    let seed = lines.find_map(|line| KeyPair::from_seed(line).ok().filter(|key| key.key_pair_type() == KeyPairType::User));
    seed.map(|seed| (jwt, seed))
}

#[cfg(test)]
mod tests {
    use super::{KeyPair, parts};

    #[test]
    fn a_seed_is_found_whatever_stands_around_it() {
        let key = KeyPair::new_user();
        let (seed, public) = (key.seed().expect("a seed"), key.public_key());
        for text in [
            seed.clone(),
            format!("{seed}\r\n"),
            format!("{seed}\n{public}\n"),
            format!("# of linechat\n\n  {seed}\n"),
            format!("\u{feff}-----BEGIN USER NKEY SEED-----\r\n{seed}\r\n------END USER NKEY SEED------\r\n"),
        ] {
            let (jwt, found) = parts(&text).unwrap_or_else(|| panic!("{text:?}"));
            assert_eq!((jwt, found.public_key()), (None, public.clone()), "{text:?}");
        }
        let stars = "*".repeat(25);
        let text = format!(
            "-----BEGIN NATS USER JWT-----\r\neyJ0.eyJq.c2ln\r\n------END NATS USER JWT------\r\n\r\n{stars} IMPORTANT {stars}\r\n\
             -----BEGIN USER NKEY SEED-----\r\n{seed}\r\n------END USER NKEY SEED------\r\n\r\n{stars}{stars}\r\n"
        );
        let (jwt, found) = parts(&text).expect("it is there");
        assert_eq!((jwt, found.public_key()), (Some("eyJ0.eyJq.c2ln"), public));
    }

    #[test]
    fn without_the_seed_of_a_users_key_there_is_nothing() {
        let account = KeyPair::new_account().seed().expect("a seed");
        let public = KeyPair::new_user().public_key();
        for text in ["", "not a seed", "eyJ0.eyJq.c2ln", &account, &public] {
            assert!(parts(text).is_none(), "{text:?}");
        }
    }
}
