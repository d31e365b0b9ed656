//! The netcats and telnets that people have, what to type for each, and what each does: the table that README shows.

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// What Ctrl-C does at a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtrlC {
    Leaves,
    DropsTheLine,
    OpensAMenu,
}

/// One client. Commands are what a person types, with `localhost 12000`.
#[derive(Debug)]
pub struct Client {
    /// As commands call it.
    pub name: &'static str,
    /// Debian's package.
    pub package: &'static str,
    /// The program that has to be there; it is what `name` begins with.
    pub program: &'static str,
    pub person: &'static str,
    /// What commands are piped into.
    pub pipe: &'static str,
    /// It leaves at the end of its input before the answers: that has to be kept open.
    pub hurries: bool,
    /// It ends when the server has closed the connection, without being told.
    pub ends_after_quit: bool,
    pub ctrl_c: CtrlC,
    pub ctrl_d_leaves: bool,
}

const fn plain(name: &'static str, package: &'static str, person: &'static str, pipe: &'static str) -> Client {
    let (program, ctrl_c) = (name, CtrlC::Leaves);
    Client { name, package, program, person, pipe, hurries: false, ends_after_quit: true, ctrl_c, ctrl_d_leaves: true }
}

/// All of them, in the order of README's table.
pub const CLIENTS: &[Client] = &[
    Client {
        program: "nc.openbsd",
        ends_after_quit: false,
        ctrl_d_leaves: false,
        ..plain("nc", "netcat-openbsd", "nc localhost 12000", "nc -N localhost 12000")
    },
    Client {
        program: "nc.traditional",
        ctrl_d_leaves: false,
        ..plain("nc", "netcat-traditional", "nc localhost 12000", "nc localhost 12000")
    },
    Client { ends_after_quit: false, ..plain("ncat", "ncat", "ncat localhost 12000", "ncat localhost 12000") },
    Client { program: "busybox", ..plain("busybox nc", "busybox", "busybox nc localhost 12000", "busybox nc localhost 12000") },
    Client {
        program: "busybox",
        hurries: true,
        ctrl_c: CtrlC::OpensAMenu,
        ..plain("busybox telnet", "busybox", "busybox telnet localhost 12000", "busybox telnet localhost 12000")
    },
    Client {
        program: "inetutils-telnet",
        hurries: true,
        ctrl_c: CtrlC::DropsTheLine,
        ..plain("telnet", "inetutils-telnet", "telnet localhost 12000", "telnet localhost 12000")
    },
    Client {
        program: "plink",
        ends_after_quit: false,
        ..plain("plink -raw", "putty-tools", "plink -raw -P 12000 localhost", "plink -raw -P 12000 localhost")
    },
    Client {
        program: "plink",
        ..plain("plink -telnet", "putty-tools", "plink -telnet -P 12000 localhost", "plink -telnet -P 12000 localhost")
    },
    plain("socat", "socat", "socat - TCP:localhost:12000", "socat -t5 - TCP:localhost:12000"),
];

/// bash without any client, for a person and instead of a pipe.
pub const BASH_PERSON: &str = "exec 3<>/dev/tcp/localhost/12000; cat <&3 & cat >&3";
pub const BASH_PIPE: &str = r"exec 3<>/dev/tcp/localhost/12000; printf 'LIST\nQUIT\n' >&3; cat <&3";

/// A client that speaks TLS. Commands are what a person types, and what commands are piped into, with `localhost` and 12001.
#[derive(Debug)]
pub struct TlsClient {
    /// Its program, and Debian's package.
    pub program: &'static str,
    /// It speaks to whoever answers.
    pub trusting: &'static str,
    /// It speaks only to who has the certificate in `cert.pem`.
    pub checking: &'static str,
}

/// All of them, in README's order.
pub const TLS_CLIENTS: &[TlsClient] = &[
    TlsClient {
        program: "ncat",
        trusting: "ncat --ssl localhost 12001",
        checking: "ncat --ssl-verify --ssl-trustfile cert.pem localhost 12001",
    },
    TlsClient {
        program: "openssl",
        trusting: "openssl s_client -quiet -connect localhost:12001",
        checking: "openssl s_client -quiet -verify_return_error -verify_hostname localhost -CAfile cert.pem -connect localhost:12001",
    },
    TlsClient {
        program: "socat",
        trusting: "socat -t5 - OPENSSL:localhost:12001,verify=0",
        checking: "socat -t5 - OPENSSL:localhost:12001,cafile=cert.pem",
    },
];

impl Client {
    /// Whether it is there; see [`is_installed`].
    pub fn is_installed(&self) -> bool {
        is_installed(self.program, self.package)
    }

    /// What a person types for one `LIST` through a pipe.
    pub fn piped(&self) -> String {
        match self.hurries {
            false => format!(r"printf 'LIST\nQUIT\n' | {}", self.pipe),
            true => format!(r"(printf 'LIST\nQUIT\n'; sleep 1) | {}", self.pipe),
        }
    }
}

/// A folder that comes first in PATH: names that several clients share mean one of them there.
pub struct Names {
    folder: TempDir,
}

impl Names {
    /// `nc` and `telnet` mean this client. `sleep` is longer: a busy machine gets more time than a person gives.
    pub fn of(client: &Client) -> Self {
        let folder = TempDir::with_prefix("linechat-names-").expect("a temporary directory");
        let name = client.name.split(' ').next().expect("a name has a word");
        if let Some(program) = find(client.program).filter(|_| name != client.program) {
            symlink(program, folder.path().join(name)).expect("a link can be made");
        }
        let sleep = folder.path().join("sleep");
        std::fs::write(&sleep, "#!/bin/sh\nexec /bin/sleep 4\n").expect("a script can be written");
        std::fs::set_permissions(&sleep, Permissions::from_mode(0o755)).expect("it can be made executable");
        Self { folder }
    }

    /// PATH with this folder first.
    pub fn path(&self) -> OsString {
        let others = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folder.path().to_owned()).chain(std::env::split_paths(&others));
        std::env::join_paths(folders).expect("no colon is in a temporary name")
    }

    /// A shell that runs a person's command against a server's port.
    pub fn shell(&self, command: &str, port: u16) -> Command {
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(at(command, port)).env("PATH", self.path());
        shell
    }
}

/// A person's command for the server that a test has started.
pub fn at(command: &str, port: u16) -> String {
    command.replace("12000", &port.to_string())
}

/// Whether a program is there. Where `CI=true` it has to be; elsewhere the test that needs it is left out, which is said.
pub fn is_installed(program: &str, package: &str) -> bool {
    installed(program, package).is_some()
}

/// Where a program is. Where it is missing, that is said, and in CI it is a failure.
pub fn installed(program: &str, package: &str) -> Option<PathBuf> {
    let there = find(program);
    assert!(there.is_some() || std::env::var("CI").as_deref() != Ok("true"), "{program} is missing: apt-get install {package}");
    if there.is_none() {
        eprintln!("SKIPPED: {program} is missing; to run this test: apt-get install {package}");
    }
    there
}

/// Where a program is.
pub fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers where a user's PATH does not look.
    let folders = std::env::split_paths(&folders).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}
