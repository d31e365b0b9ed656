//! A server that speaks TLS, and people who speak it: over rustls, which says more than a program would when something is wrong.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio_rustls::rustls;

use super::server::{PATIENCE, data_dir};
use super::wait::until;

/// As openssl writes it.
fn fingerprint(certificate: &[u8]) -> String {
    let pairs: Vec<_> = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// The binary, run to its end.
pub fn linechat(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linechat")).args(arguments).output().expect("the binary runs")
}

/// Makes a pair of its own in `dir`.
pub fn certify(dir: &Path) {
    let output = linechat(&["tls", "self-signed", "--name", "localhost", "--out", dir.to_str().expect("its path is UTF-8")]);
    assert!(output.status.success(), "{output:?}");
}

/// Killed when it is dropped.
pub struct TlsServer {
    child: Child,
    /// Where it keeps its data, its certificate and its log.
    pub dir: TempDir,
    /// Where it speaks plain lines.
    pub plain: SocketAddr,
    /// Where it speaks TLS.
    pub address: SocketAddr,
}

impl TlsServer {
    /// Starts one with a certificate of its own, and with these options.
    pub fn start(options: &[&str]) -> Self {
        let dir = data_dir();
        certify(dir.path());
        let (child, plain, address) = spawn(dir.path(), options);
        Self { child, dir, plain, address }
    }

    /// Kills it and starts it again on the same data, at other ports.
    pub fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        (self.child, self.plain, self.address) = spawn(self.dir.path(), &[]);
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).expect("its log can be read")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `HUP`, `TERM` …
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Gives it another certificate, which it reads.
    pub fn change_certificate(&self) {
        let file = |name: &str| self.dir.path().join(name);
        for name in ["cert.pem", "key.pem"] {
            std::fs::rename(file(name), file(&format!("old-{name}"))).expect("it moves");
        }
        certify(self.dir.path());
        self.signal("HUP");
        until("the new certificate is read", || self.log().contains(&self.fingerprint()).then_some(()));
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        until("the server ends", || self.child.try_wait().expect("it can be waited for"))
    }

    /// A connection that trusts the certificate that lies there now, and has read its HELLO.
    pub fn connect(&self) -> TlsClient {
        let stream = TcpStream::connect(self.address).expect("the server accepts");
        TlsClient::over(stream, &self.dir.path().join("cert.pem")).expect("the certificate is the one in the file")
    }

    /// The fingerprint of the certificate in the file.
    pub fn fingerprint(&self) -> String {
        fingerprint(&CertificateDer::from_pem_file(self.dir.path().join("cert.pem")).expect("there is a certificate"))
    }
}

/// A server's process, and where it speaks plain lines and TLS.
fn spawn(dir: &Path, options: &[&str]) -> (Child, SocketAddr, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_linechat"))
        .current_dir(dir)
        .args(["serve", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--data-dir", "data"])
        .args(["--tls-cert", "cert.pem", "--tls-key", "key.pem"])
        .args(options)
        .stdout(Stdio::piped())
        .stderr(File::create(dir.join("log")).expect("a log can be written"))
        .spawn()
        .expect("the binary runs");
    let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut greeting = String::new();
    while !greeting.contains("type HELP") {
        assert!(output.read_line(&mut greeting).expect("it greets") > 0, "it starts: {greeting}");
    }
    let listens = |end: &str| {
        let line = greeting.lines().find_map(|line| line.strip_suffix(end)?.rsplit(" listens on ").next());
        line.and_then(|address| address.parse().ok()).expect("it says where")
    };
    (child, listens(""), listens(" with TLS"))
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One encrypted connection.
pub struct TlsClient(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl TlsClient {
    /// Shakes hands, trusting only this certificate, and reads the HELLO.
    pub fn over(stream: TcpStream, trusted: &Path) -> std::io::Result<Self> {
        let mut client = Self::silently_over(stream, trusted)?;
        let mut hello = String::new();
        client.0.read_line(&mut hello)?;
        assert!(hello.starts_with("* HELLO linechat/"), "{hello}");
        Ok(client)
    }

    /// The same, and reads nothing; the handshake comes with the first line.
    pub fn silently_over(stream: TcpStream, trusted: &Path) -> std::io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(trusted).expect("there is a certificate")).expect("it can be trusted");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
        let config = config.expect("the versions are known").with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("it is a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a client can be made");
        Ok(Self(BufReader::new(StreamOwned::new(connection, stream))))
    }

    /// The fingerprint of the server's certificate.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.0.get_ref().conn.peer_certificates().expect("the server has one")[0])
    }

    /// Sends a line.
    pub fn send(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).expect("the server takes what is sent");
    }

    /// Sends bytes as one record each.
    pub fn send_records(&mut self, records: &[&[u8]]) {
        records.iter().for_each(|record| self.0.get_mut().write_all(record).expect("the server takes what is sent"));
    }

    /// Says that nothing more will be sent, as TLS says it.
    pub fn end_input(&mut self) {
        let stream = self.0.get_mut();
        stream.conn.send_close_notify();
        stream.flush().expect("it can be sent");
    }

    /// The first line, if the connection did not end before it.
    pub fn first_line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).ok().filter(|length| *length > 0).map(|_| line)
    }

    /// The next line, without its ending; `None` at an end that was announced.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.0.read_line(&mut line).expect("a line comes in time, or a clean end");
        (length > 0).then(|| line.trim_end().to_owned())
    }

    /// The answer to a line, without data and events.
    pub fn ask(&mut self, line: &str) -> String {
        self.send(line);
        loop {
            let line = self.line().expect("an answer, and not the end");
            if line.starts_with("OK ") || line.starts_with("ERR ") {
                return line;
            }
        }
    }

    /// Sends a line that is answered with OK.
    pub fn ok(&mut self, line: &str) -> String {
        let answer = self.ask(line);
        assert!(answer.starts_with("OK "), "{line}: {answer}");
        answer
    }
}
