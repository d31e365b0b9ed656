//! Whatever root does for a server that runs as another user, that server can use: the files belong to whom the directory belongs to.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use crate::store::fill;
use crate::support::server::data_dir;
use crate::{done, text};

/// A user who owns nothing here: nobody's number on every Linux.
const OTHER: u32 = 65_534;

/// Everything in a data directory that is not that user's.
fn not_theirs(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).expect("it can be read").map(|file| file.expect("a file").path());
    let strange =
        files.filter(|file| file.metadata().map(|file| (file.uid(), file.gid())).expect("it is there") != (OTHER, OTHER));
    strange.map(|file| file.display().to_string()).collect()
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
