//! An SSH tunnel, by a real sshd: what ends on the server's own machine may send passwords where TLS is asked of all others.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::clients::{installed, is_installed};
use support::server::{PATIENCE, data_dir};
use support::tls::TlsServer;
use support::wait::until;

/// Killed when it is dropped; its sshd goes with it.
struct Tunnel(Child);

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn key(file: &Path) {
    let mut command = Command::new("ssh-keygen");
    let status = command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).status().expect("ssh-keygen runs");
    assert!(status.success());
}

/// `ssh -L`, with an sshd of its own that has no port: the two speak through a pipe. The near end is a socket in `dir`.
fn tunnel(sshd: &Path, dir: &Path, port: u16) -> Tunnel {
    let (host, own) = (dir.join("host"), dir.join("own"));
    key(&host);
    key(&own);
    let config = dir.join("config");
    let text = format!(
        "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\n",
        host.display(),
        own.with_extension("pub").display()
    );
    fs::write(&config, text).expect("it can be written");
    // What Debian makes when it starts the service; only root's sshd asks for it.
    let _ = fs::create_dir_all("/run/sshd");
    let option = |name: &str, value: String| ["-o".to_owned(), format!("{name}={value}")];
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-N", "-i"]).arg(&own);
    command.args(option("BatchMode", "yes".into())).args(option("StrictHostKeyChecking", "accept-new".into()));
    command.args(option("UserKnownHostsFile", dir.join("known").display().to_string()));
    command.args(option("ProxyCommand", format!("{} -i -f {}", sshd.display(), config.display())));
    command.args(["-L", &format!("{}:localhost:{port}", dir.join("near").display()), "server"]);
    let log = fs::File::create(dir.join("log")).expect("a log can be written");
    Tunnel(command.stdin(Stdio::null()).stderr(log).spawn().expect("ssh runs"))
}

#[test]
fn a_password_may_come_through_an_ssh_tunnel_where_tls_is_asked_of_all_others() {
    let Some(sshd) = installed("sshd", "openssh-server").filter(|_| is_installed("ssh", "openssh-client")) else { return };
    let (server, dir) = (TlsServer::start(&[]), data_dir());
    let mut tunnel = tunnel(&sshd, dir.path(), server.plain.port());
    let stream = until("the tunnel stands", || {
        let log = || fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        assert!(tunnel.0.try_wait().expect("it can be waited for").is_none(), "ssh ended: {}", log());
        UnixStream::connect(dir.path().join("near")).ok()
    });
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    (&stream).write_all(b"REGISTER ana correct horse battery\nQUIT\n").expect("the tunnel takes it");
    let lines: Vec<_> = BufReader::new(&stream).lines().map(|line| line.expect("a line comes in time")).collect();
    assert!(lines[0].starts_with("* HELLO linechat/"), "{lines:?}");
    assert_eq!(lines[1..], ["OK REGISTER ana:1000", "OK QUIT bye"]);
}
