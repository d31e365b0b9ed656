//! Whatever root does for a server that runs as another user, that server can use: the files belong to whom the directory belongs to.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::store::fill;
use crate::support::server::{PATIENCE, Server, data_dir};
use crate::{done, ended, files, text};

/// A user who owns nothing here: nobody's number on every Linux.
const OTHER: u32 = 65_534;

/// Everything in a data directory that is not that user's.
fn not_theirs(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).expect("it can be read").map(|file| file.expect("a file").path());
    let strange =
        files.filter(|file| file.metadata().map(|file| (file.uid(), file.gid())).expect("it is there") != (OTHER, OTHER));
    strange.map(|file| file.display().to_string()).collect()
}

/// `linechat` with these arguments as the user who owns nothing here: its exit code, and what it says.
fn as_other(arguments: &[&str]) -> (Option<i32>, String) {
    let number = OTHER.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &number, "--regid", &number, "--clear-groups", "timeout", &PATIENCE.as_secs().to_string()]);
    ended(command.arg(env!("CARGO_BIN_EXE_linechat")).args(arguments).env_remove("RUST_LOG").output().expect("it runs"))
}

/// Where everybody may make files.
fn common() -> TempDir {
    let place = data_dir();
    fs::set_permissions(place.path(), Permissions::from_mode(0o777)).expect("it is ours");
    place
}

/// An operator who has forgotten to be the server's user or root is told so, and not that nothing is there.
#[test]
fn who_may_not_look_is_told_so() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can be somebody else");
    }
    let (server, place) = (Server::start(&[]), common());
    let (backup, lines) = (place.path().join("backup"), place.path().join("lines"));
    done(&["backup", text(&backup), "--data-dir", text(server.dir())]);
    let (directory, other) = (text(server.dir()), place.path().join("other"));
    let advice = " may not be read; run it as the user of the server (sudo -u linechat ...), or as root\n";
    // Nobody else may enter the directory; or may enter it and see that a journal is there.
    for mode in [0o700, 0o755] {
        fs::set_permissions(server.dir(), Permissions::from_mode(mode)).expect("it is ours");
        for command in [&["check"][..], &["backup", text(&other)], &["export", "--jsonl", text(&lines)], &["export", "--jsonl"]]
        {
            let (code, said) = as_other(&[command, &["--data-dir", directory]].concat());
            assert!(code != Some(0) && said.ends_with(&format!("/journal.db{advice}")), "{command:?}: {said}");
        }
        for command in [&["restore", "--force", text(&backup)][..], &["compact"]] {
            let (code, said) = as_other(&[command, &["--data-dir", directory]].concat());
            assert!(code == Some(1) && said.contains("; run it as the user "), "{command:?}: {said}");
        }
        for command in [["admin", "status"], ["top", "--once"]] {
            let (code, said) = as_other(&[&command[..], &["--data-dir", directory]].concat());
            let expected =
                "/admin.sock may not be opened; run it as the user of the server (sudo -u linechat ...), or as root\n";
            assert!(code != Some(0) && said.ends_with(expected), "{command:?}: {said}");
        }
    }
    fs::set_permissions(server.dir(), Permissions::from_mode(0o700)).expect("it is ours");
    let (code, said) = as_other(&["copy", "--from", &format!("disk:{directory}"), "--to", "nats:nats://127.0.0.1:1"]);
    assert!(code == Some(1) && said.ends_with(&format!("/journal.db{advice}")), "{said}");
    let (code, said) = as_other(&["check", text(&backup)]);
    assert!(code == Some(2) && said.ends_with(&format!("/backup{advice}")), "{said}");
    assert_eq!(files(place.path()), ["backup"]);
}

/// What a server cannot open is named: its directory may be its own, and the journal somebody else's.
#[test]
fn a_journal_of_somebody_else_is_named() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can be somebody else");
    }
    let place = data_dir();
    fill(place.path(), 10);
    chown(place.path(), Some(OTHER), Some(OTHER)).expect("root may");
    fs::remove_file(place.path().join("lock")).expect("it is there");
    let (code, said) = as_other(&["serve", "--listen", "127.0.0.1:0", "--data-dir", text(place.path())]);
    let journal = place.path().join("journal.db");
    let expected =
        format!("{} cannot be opened to be written (Permission denied (os error 13)); give it to ", journal.display());
    assert!(code == Some(1) && said.contains(&expected), "{said}");
}

#[test]
fn what_root_restores_belongs_to_the_server() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can give files to others");
    }
    let (old, place) = (data_dir(), data_dir());
    fill(old.path(), 100);
    let (backup, lines) = (place.path().join("backup"), place.path().join("lines"));
    done(&["backup", text(&backup), "--data-dir", text(old.path())]);
    done(&["export", "--jsonl", text(&lines), "--data-dir", text(old.path())]);
    let [restored, imported] = [["restore", text(&backup)], ["import", text(&lines)]].map(|command| {
        let directory = data_dir();
        chown(directory.path(), Some(OTHER), Some(OTHER)).expect("root may");
        done(&[&command[..], &["--data-dir", text(directory.path())]].concat());
        assert_eq!(not_theirs(directory.path()), [""; 0], "{command:?}");
        directory
    });
    for directory in [restored.path(), imported.path()] {
        done(&["compact", "--data-dir", text(directory)]);
        done(&["restore", text(&backup), "--force", "--data-dir", text(directory)]);
        done(&["check", "--data-dir", text(directory)]);
        done(&["backup", text(&backup), "--force", "--data-dir", text(directory)]);
        assert_eq!(not_theirs(directory), [""; 0]);
    }
    assert_eq!(fs::metadata(&backup).expect("it is there").uid(), 0, "a backup is whose it was made by");
}
