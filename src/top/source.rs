//! Where a server's metrics are read: over HTTP, or over the operator's socket of one on this machine.
//!
//! It owns nothing between two looks. It must never wait longer than a look may take, nor read without end.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// How long a look may take.
const LOOK: Duration = Duration::from_secs(3);
/// What metrics may have; a server has some 20 KiB.
const MOST_BYTES: usize = 1 << 20;

/// Where to read.
#[derive(Debug, Clone)]
pub enum Source {
    /// From the operator's socket.
    Socket(PathBuf),
    /// Over HTTP.
    Http {
        /// The host, which may be an IPv6 address without its brackets.
        host: String,
        port: u16,
        path: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(_) => f.write_str("this server"),
            Self::Http { host, port, .. } => write!(f, "{}", authority(host, *port)),
        }
    }
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl Source {
    /// What is meant by `http://HOST:PORT/metrics`, of which all but host and port may be left out.
    pub fn at(url: &str) -> Result<Self> {
        let wrong = || format!("'{url}' is not where a server has its metrics; give http://HOST:PORT/metrics");
        let whole = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri = whole.parse().with_context(wrong)?;
        let (Some("http"), Some(host), Some(port)) = (uri.scheme_str(), uri.host(), uri.port_u16()) else { bail!(wrong()) };
        let path = if uri.path() == "/" { "/metrics" } else { uri.path() };
        Ok(Self::Http { host: host.trim_matches(['[', ']']).to_owned(), port, path: path.to_owned() })
    }

    /// The metrics as they are now.
    pub async fn read(&self) -> Result<String> {
        let read = async {
            match self {
                Self::Socket(path) => over_socket(path).await,
                Self::Http { host, port, path } => over_http(host, *port, path).await,
            }
        };
        let read = timeout(LOOK, read).await.unwrap_or_else(|_| Err(anyhow!("it does not answer")));
        read.map_err(|error| match (self, error.downcast_ref()) {
            (Self::Socket(path), Some(failed)) => anyhow!(unanswered(path, failed)),
            (Self::Socket(path), None) => error.context(format!("no server answers at {}", path.display())),
            (Self::Http { path, .. }, _) => error.context(format!(
                "no server has its metrics at http://{self}{path}; is it running, and is this its --metrics-listen?"
            )),
        })
    }
}

/// Why nothing came of asking a server at its operator's socket, and what to do.
pub fn unanswered(socket: &Path, error: &io::Error) -> String {
    let socket = socket.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{socket} may not be opened; run it as the user of the server (sudo -u linechat ...), or as root")
        }
        _ => format!("no server answers at {socket}; is it running, and is this its --data-dir or --admin-socket? ({error})"),
    }
}

async fn over_socket(path: &Path) -> Result<String> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(b"METRICS\n").await?;
    let mut text = String::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut answer = Vec::new();
    while !answer.ends_with(b"OK METRICS\n") {
        let length = stream.read(&mut buffer).await?;
        answer.extend_from_slice(&buffer[..length]);
        if length == 0 || answer.len() > MOST_BYTES || answer.starts_with(b"ERR ") {
            bail!("it answers {:?}", String::from_utf8_lossy(&answer[..answer.len().min(200)]));
        }
    }
    for line in String::from_utf8(answer)?.lines().filter_map(|line| line.strip_prefix("- METRIC\t")) {
        text.push_str(line);
        text.push('\n');
    }
    Ok(text)
}

async fn over_http(host: &str, port: u16, path: &str) -> Result<String> {
    let stream = TcpStream::connect((host, port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender, or with the look.
    let connection = tokio::spawn(connection);
    let request = Request::get(path).header(HOST, authority(host, port)).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        bail!("it answers {}", response.status());
    }
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.map_err(|error| anyhow!("{error}"))?;
    connection.abort();
    Ok(String::from_utf8(body.to_bytes().to_vec())?)
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn an_address_may_be_short() {
        let read = |url| match Source::at(url) {
            Ok(Source::Http { host, port, path }) => format!("{host} {port} {path}"),
            other => format!("{:#}", other.unwrap_err()),
        };
        for url in ["http://ash:9090/metrics", "http://ash:9090/", "http://ash:9090", "ash:9090"] {
            assert_eq!(read(url), "ash 9090 /metrics");
        }
        assert_eq!(read("[::1]:9090/x"), "::1 9090 /x");
        for url in ["ash", "https://ash:9090", "", "ash:99999", "http://"] {
            assert!(
                read(url).starts_with(&format!("'{url}' is not where a server has its metrics; give http://HOST:PORT")),
                "{url}"
            );
        }
    }
}
