//! Recognizes HTTP and TLS on a new connection: such a peer is told so once, and nothing that it sends is executed.
//!
//! A web page can make a browser POST any bytes to any port. The body must not be executed as commands (a cross-protocol
//! attack).

use crate::wire::{Code, HTTP_METHODS, Refusal};

/// The first byte of a TLS record that begins a handshake (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// The refusal that ends the connection, if its first bytes are TLS.
pub fn first_bytes(bytes: &[u8]) -> Option<Refusal> {
    let tls = bytes.first() == Some(&TLS_HANDSHAKE);
    tls.then(|| Refusal::new(Code::BadSyntax, "this port speaks plain lines, not TLS; connect without encryption"))
}

/// The refusal that ends the connection, if a line before the first command is an HTTP request or header.
pub fn first_line(line: &[u8]) -> Option<Refusal> {
    let word = line.split(|&byte| byte == b' ').next().unwrap_or_default();
    if HTTP_METHODS.iter().any(|method| word.eq_ignore_ascii_case(method.as_bytes())) {
        return Some(Refusal::new(
            Code::BadSyntax,
            "this is not a web server, so the connection is closed; connect with nc or telnet and type HELP",
        ));
    }
    let header = word
        .strip_suffix(b":")
        .is_some_and(|name| !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-'));
    header.then(|| {
        Refusal::new(
            Code::BadSyntax,
            "this looks like a header of another protocol, so the connection is closed; connect again and type HELP",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{first_bytes, first_line};

    #[test]
    fn only_other_protocols_are_turned_away() {
        for bad in ["GET / HTTP/1.1", "post /x", "Host: example.org", "X-Forwarded-For: 1", "PRI * HTTP/2.0", "Host:"] {
            assert!(first_line(bad.as_bytes()).is_some(), "{bad}");
        }
        for fine in ["LIST", "MSG nina:8763 hi", "PING Host: a", "GETTY", ":", "a.b: c"] {
            assert!(first_line(fine.as_bytes()).is_none(), "{fine}");
        }
        assert!(first_bytes(&[0x16, 3, 1]).is_some() && first_bytes(b"LIST").is_none() && first_bytes(b"").is_none());
    }
}
