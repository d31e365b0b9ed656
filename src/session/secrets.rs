//! Secrets that the server makes for others: tokens, codes of invitations, and passwords that the operator gives out.
//!
//! They are random, long, and shown once; what is kept is a hash of them. It may be a fast one, because nobody can guess 80 bits or
//! more. It owns nothing, and must never write a secret down.

use std::fmt::Write;
use std::sync::Arc;

use blake2::{Blake2b256, Digest};
use tokio_rustls::rustls::crypto::aws_lc_rs;

use crate::wire::{Code, Refusal};

/// How a token begins, so that people and programs that look for leaked secrets know it.
pub const TOKEN: &str = "lct_";
/// Five bits a character, in digits and small letters that are not mistaken for each other (RFC 4648, section 6).
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Characters of a token: 160 bits.
const TOKEN_CHARS: usize = 32;
/// Characters of a code or a password that a person types once: 80 bits.
const CODE_CHARS: usize = 16;

/// A new token.
///
/// # Errors
/// `INTERNAL`: the system gives no random bytes.
pub fn token() -> Result<String, Refusal> {
    random(TOKEN_CHARS).map(|secret| format!("{TOKEN}{secret}"))
}

/// A new code of an invitation, or a password to be changed soon.
///
/// # Errors
/// `INTERNAL`: the system gives no random bytes.
pub fn code() -> Result<String, Refusal> {
    random(CODE_CHARS)
}

/// What is kept of a secret: BLAKE2b-256, in hexadecimal.
pub fn hash(secret: &str) -> Arc<str> {
    let hash = Blake2b256::digest(secret);
    let mut text = String::with_capacity(64);
    for byte in hash {
        write!(text, "{byte:02x}").expect("invariant: memory takes it");
    }
    text.into()
}

fn random(chars: usize) -> Result<String, Refusal> {
    let mut bytes = vec![0; chars];
    aws_lc_rs::default_provider().secure_random.fill(&mut bytes).map_err(|_| {
        tracing::error!("the system gives no random bytes");
        Refusal::new(Code::Internal, "no secret could be made; the server's log says why")
    })?;
    // Of each byte five bits: 256 is a multiple of 32, so that all characters are as likely.
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

#[cfg(test)]
mod tests {
    use super::{code, hash, token};
    use crate::wire::{Command, parse};

    #[test]
    fn a_token_is_what_login_takes_for_one() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_ne!(one, other);
        assert_eq!(parse(format!("LOGIN {one}").as_bytes()), Ok(Some(Command::LoginToken { token: &one })));
        assert_eq!(code().unwrap().len(), 16);
    }

    #[test]
    fn what_is_kept_is_a_hash_of_the_whole() {
        assert_eq!(&*hash(""), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
        assert_ne!(hash("lct_a"), hash("lct_b"));
    }
}
