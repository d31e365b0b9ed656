//! Outputs that are full or closed: every command that prints says so and fails, and none panics.

mod support;

use std::fs::File;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use support::server::Server;

/// Where the output of a command goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Full,
    /// A pipe that nobody reads any more.
    Closed,
}

impl To {
    fn open(self) -> Stdio {
        match self {
            Self::Full => File::options().write(true).open("/dev/full").expect("Linux has it").into(),
            Self::Closed => std::io::pipe().expect("a pipe is free").1.into(),
        }
    }
}

/// Runs the binary to its end, with what it prints going there.
fn run(arguments: &[&str], input: &str, out: Stdio, err: Stdio) -> Output {
    let mut command = Command::new("timeout");
    command.args(["60", env!("CARGO_BIN_EXE_linechat")]).args(arguments).stdin(Stdio::piped()).stdout(out).stderr(err);
    let mut child = command.spawn().expect("the binary runs");
    // It may have ended already.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

#[test]
fn what_could_not_be_printed_is_a_failure_that_is_told() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let data = server.dir().to_str().expect("its path is text");
    let certificates = support::server::data_dir();
    let out = certificates.path().to_str().expect("its path is text");
    let commands: &[(&[&str], &str)] = &[
        (&["limits"], ""),
        (&["completions", "bash"], ""),
        (&["man", out], ""),
        (&["--help"], ""),
        (&["--version"], ""),
        (&["menu", "--help"], ""),
        (&["menu", &address, "-c", "LIST"], ""),
        (&["menu", &address, "--name", "nina"], "1\n6\n"),
        (&["admin", "--data-dir", data, "status"], ""),
        (&["top", "--data-dir", data, "--once"], ""),
        (&["tls", "self-signed", "--out", out], ""),
        (&["bench", "idle", &address, "--connections", "2", "--seconds", "1", "--warm-up", "0"], ""),
    ];
    for (arguments, input) in commands {
        for to in [To::Full, To::Closed] {
            let output = run(arguments, input, to.open(), Stdio::piped());
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{arguments:?} {to:?}: {told}");
            // Whoever has read enough, as with | head, is not told.
            let expected =
                if to == To::Full { "linechat: the output could not be written: No space left on device" } else { "" };
            assert!(told.starts_with(expected) && !told.contains("Broken pipe"), "{arguments:?} {to:?}: {told}");
            assert!(!told.contains("panicked"), "{arguments:?} {to:?}: {told}");
            let _ = std::fs::remove_file(certificates.path().join("cert.pem"));
            let _ = std::fs::remove_file(certificates.path().join("key.pem"));
        }
    }
}

#[test]
fn a_closed_stderr_changes_no_exit_code() {
    let server = Server::start(&[]);
    let address = server.address().to_string();
    let nowhere =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free").local_addr().expect("it listens").to_string();
    let commands: &[(&[&str], i32)] = &[
        (&["menu", &nowhere, "-c", "LIST"], 2),
        (&["menu", "localhost:abc", "-c", "LIST"], 2),
        (&["menu", &address, "-c", "LIST", "-c", "QUIT", "-c", "LIST"], 2),
        (&["limits", "--limit", "inbox=0"], 1),
        (&["admin", "--data-dir", "/nowhere", "status"], 2),
        (&["serve", "--listen", "nonsense"], 2),
        (&["nonsense"], 2),
    ];
    for (arguments, code) in commands {
        for to in [To::Full, To::Closed] {
            let output = run(arguments, "", Stdio::null(), to.open());
            assert_eq!(output.status.code(), Some(*code), "{arguments:?} {to:?}");
        }
    }
    for to in [To::Full, To::Closed] {
        let output = run(&["menu", &address, "-c", "LIST"], "", to.open(), to.open());
        assert_eq!(output.status.code(), Some(1), "both at once, as with 2>&1 | head");
    }
}
