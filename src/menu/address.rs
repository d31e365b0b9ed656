//! Where a server is, as a person types it.
//!
//! It owns nothing, and must never ask the network: a mistake that can be seen is told before anybody is asked.

use std::net::Ipv6Addr;

/// The port to use if none is given.
const PORT: u16 = 12000;
/// The same for an encrypted connection.
const TLS_PORT: u16 = 12001;

/// The address of a server, with the default port if it has none.
///
/// # Errors
/// What is wrong with it, and what to type.
pub fn with_port(server: &str, is_tls: bool) -> Result<String, String> {
    let (host, port) = split(server)?;
    Ok(at_port(host, port.unwrap_or(if is_tls { TLS_PORT } else { PORT })))
}

/// The address of a host and a port.
pub fn at_port(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The number of a port.
///
/// # Errors
/// That it is none.
pub fn port(typed: &str) -> Result<u16, String> {
    let port = typed.parse().ok().filter(|&port| port > 0 && typed.bytes().all(|byte| byte.is_ascii_digit()));
    port.ok_or_else(|| format!("'{typed}' is no port: a port is a number from 1 to 65535; most servers use {PORT}"))
}

/// The host and the port of `HOST`, `HOST:PORT`, `::1`, `[::1]` or `[::1]:PORT`; the host of the last two without brackets.
///
/// # Errors
/// As for [`with_port`].
pub fn split(server: &str) -> Result<(&str, Option<u16>), String> {
    if let Some((scheme, rest)) = server.split_once("://") {
        let rest = rest.split('/').next().unwrap_or_default();
        return Err(format!("this is no web address: type it without {scheme}://, as {rest}"));
    }
    if let Some(rest) = server.strip_prefix('[') {
        let (host, after) = rest.split_once(']').filter(|(host, _)| is_ipv6(host)).ok_or_else(|| no_host(server))?;
        return match after.strip_prefix(':') {
            Some(typed) => Ok((host, Some(port(typed)?))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(no_host(server)),
        };
    }
    if is_ipv6(server) {
        return Ok((server, None));
    }
    let Some((host, typed)) = server.rsplit_once(':') else {
        return if is_host(server) { Ok((server, None)) } else { Err(no_host(server)) };
    };
    if host.contains(':') {
        let what = format!("'{server}' is no address");
        return Err(if is_ipv6(host) { format!("{what}: with a port it is written [{host}]:{typed}") } else { what });
    }
    if is_host(host) { Ok((host, Some(port(typed)?))) } else { Err(no_host(host)) }
}

fn no_host(typed: &str) -> String {
    format!("'{typed}' is no host: type a name or an address, such as localhost or 10.0.0.7, and :PORT if it is not {PORT}")
}

fn is_host(host: &str) -> bool {
    !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || "-._".contains(c))
}

/// Whether this is an address of version 6; which interface it is on may follow.
fn is_ipv6(host: &str) -> bool {
    host.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::{at_port, split, with_port};

    #[test]
    fn the_port_may_be_left_out() {
        let address = |server, is_tls| with_port(server, is_tls).unwrap();
        assert_eq!(address("10.0.0.7", false), "10.0.0.7:12000");
        assert_eq!(address("chat.example:99", false), "chat.example:99");
        assert_eq!(address("::1", false), "[::1]:12000");
        assert_eq!(address("[::1]", false), "[::1]:12000");
        assert_eq!(address("[::1]:99", false), "[::1]:99");
        assert_eq!(address("[fe80::1%2]:99", false), "[fe80::1%2]:99");
        assert_eq!(address("b\u{fc}ro", false), "b\u{fc}ro:12000");
        assert_eq!(address("chat.example", true), "chat.example:12001");
        assert_eq!(at_port("::1", 99), "[::1]:99");
        assert_eq!(at_port("[::1]", 99), "[::1]:99");
    }

    #[test]
    fn a_mistake_is_told_with_what_to_type() {
        let wrong = |server| split(server).unwrap_err();
        for (server, port) in [("localhost:99999", "99999"), ("localhost:abc", "abc"), ("a:", ""), ("a:0", "0"), ("a:+1", "+1")]
        {
            assert!(wrong(server).starts_with(&format!("'{port}' is no port: a port is a number from 1 to 65535")), "{server}");
        }
        assert!(wrong("[::1]:abc").starts_with("'abc' is no port"));
        assert_eq!(wrong("::1:21000"), "'::1:21000' is no address: with a port it is written [::1]:21000");
        assert_eq!(wrong("a:b:c"), "'a:b:c' is no address");
        assert_eq!(wrong("http://localhost:12000"), "this is no web address: type it without http://, as localhost:12000");
        for server in ["", ":12000", "a b", "nina@host", "[::1", "[host]:1", "[::1]1"] {
            assert!(wrong(server).contains(" is no host: type a name or an address"), "{server}: {}", wrong(server));
        }
    }
}
