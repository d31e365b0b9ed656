//! The operator of a server: `linechat admin`, as they type it.

use std::process::Command;

use super::server::Server;

/// What a command came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Came {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub out: String,
    /// What it complained of.
    pub err: String,
}

/// Runs `linechat admin` for a server.
pub fn admin(server: &Server, arguments: &[&str]) -> Came {
    admin_with(&["--data-dir", server.dir().to_str().expect("its path is text")], arguments)
}

/// Runs `linechat admin` with these options.
pub fn admin_with(options: &[&str], arguments: &[&str]) -> Came {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
    let output = command.arg("admin").args(options).args(arguments).output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Came { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// What it printed; it must have succeeded.
pub fn done(server: &Server, arguments: &[&str]) -> String {
    let came = admin(server, arguments);
    assert_eq!(came.code, 0, "{arguments:?}: {came:?}");
    came.out
}

/// What it complained of; it must have been refused.
pub fn refused(server: &Server, arguments: &[&str]) -> String {
    let came = admin(server, arguments);
    assert_eq!((came.code, came.out.as_str()), (1, ""), "{arguments:?}: {came:?}");
    came.err
}

/// The rows of a table without its head, each as its fields.
pub fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().skip(1).map(|line| line.split("  ").map(str::trim).filter(|field| !field.is_empty()).collect()).collect()
}
