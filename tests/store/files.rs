//! Who may use the files of a store: nobody else may read them, and none of them may be a link.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::{Arc, Mutex};

use linechat::limits::{BALLAST_BYTES, LOG_WARNED_BYTES};
use linechat::store::OpenError;
use tempfile::TempDir;

use crate::store::{Refused, Store, inbox, said};

const FILES: [&str; 6] = ["journal.db", "journal.db-wal", "journal.db-shm", "reserve", "ids", "lock"];

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it can be changed");
}

/// An open store that has all its files.
fn opened(directory: &Path) -> Store {
    let mut store = Store::disk(directory).expect("the store opens");
    store.commit(said(inbox(7), 2, "x"));
    store
}

#[test]
fn nobody_else_may_read_a_file() {
    let parent = TempDir::with_prefix("linechat-files-").expect("a directory");
    let new = parent.path().join("not there/yet");
    drop(opened(&new));
    assert_eq!(mode(&new), 0o700);
    let open = parent.path().join("open");
    fs::create_dir(&open).expect("a directory");
    set_mode(&open, 0o755);
    // A crash leaves all files behind.
    std::mem::forget(opened(&open));
    for name in FILES {
        assert_eq!(mode(&open.join(name)), 0o600, "{name}");
    }
    let copy = parent.path().join("copy");
    fs::create_dir(&copy).expect("a directory");
    for name in FILES {
        fs::copy(open.join(name), copy.join(name)).expect("a copy");
        set_mode(&copy.join(name), 0o644);
    }
    let store = opened(&copy);
    for name in FILES {
        assert_eq!(mode(&copy.join(name)), 0o600, "{name}");
    }
    assert_eq!(store.texts(inbox(7)).len(), 2);
    assert_eq!(mode(&copy), 0o755, "the directory is the operator's");
}

#[test]
fn a_link_is_refused_and_its_target_left_alone() {
    for name in FILES {
        let parent = TempDir::with_prefix("linechat-files-").expect("a directory");
        let target = parent.path().join("somebody else's");
        fs::write(&target, "a diary").expect("it can be written");
        set_mode(&target, 0o644);
        let directory = parent.path().join("data");
        fs::create_dir(&directory).expect("a directory");
        for target in [&target, &parent.path().join("nothing")] {
            symlink(target, directory.join(name)).expect("a link");
            let error = match Store::disk(&directory) {
                Err(Refused::Open(error @ OpenError::Link(_))) => error.to_string(),
                other => panic!("{name}: {:?}", other.err()),
            };
            let expected = format!("{name} is a symbolic link, and linechat does not follow one there; remove it");
            assert!(error.contains(&expected), "{error}");
            fs::remove_file(directory.join(name)).expect("it can be removed");
        }
        assert_eq!(fs::read_to_string(&target).expect("it is there"), "a diary");
        assert_eq!(mode(&target), 0o644);
        assert!(!parent.path().join("nothing").exists());
    }
}

/// The reserve is written anew while the server runs, and whoever has put a link there meanwhile gains nothing.
#[test]
fn the_reserve_overwrites_nothing_that_is_linked_there() {
    let parent = TempDir::with_prefix("linechat-files-").expect("a directory");
    let (directory, target) = (parent.path().join("data"), parent.path().join("diary"));
    fs::write(&target, "a diary").expect("a file");
    let mut store = opened(&directory);
    let reserve = directory.join("reserve");
    for link in [|target: &Path, link: &Path| symlink(target, link), |target: &Path, link: &Path| fs::hard_link(target, link)] {
        store.driven.give_reserve();
        link(&target, &reserve).expect("a link");
        assert!(store.driven.take_reserve());
        assert_eq!(fs::read_to_string(&target).expect("it is there"), "a diary");
        let taken = reserve.symlink_metadata().expect("it is there");
        assert!(taken.is_file() && taken.len() == BALLAST_BYTES && mode(&reserve) == 0o600, "{taken:?}");
    }
    // At a start, too.
    store.close();
    fs::remove_file(&reserve).expect("it can be removed");
    fs::hard_link(&target, &reserve).expect("a link");
    opened(&directory).close();
    assert_eq!(fs::read_to_string(&target).expect("it is there"), "a diary");
}

/// The directory itself may be a link: this is how operators move it.
#[test]
fn the_directory_may_be_a_link() {
    let parent = TempDir::with_prefix("linechat-files-").expect("a directory");
    let (real, link) = (parent.path().join("real"), parent.path().join("link"));
    fs::create_dir(&real).expect("a directory");
    symlink(&real, &link).expect("a link");
    opened(&link).close();
    assert_eq!(opened(&real).texts(inbox(7)).len(), 2);
}

/// Collects the log as text.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is logged while `what` runs.
fn logged(what: impl FnOnce()) -> String {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, what);
    let bytes = logged.0.lock().expect("nobody panics").clone();
    String::from_utf8(bytes).expect("text")
}

/// Another program keeps SQLite's log from being emptied; the operator should know before the disk is full.
#[test]
fn a_log_that_grows_is_told_at_each_doubling() {
    let parent = TempDir::with_prefix("linechat-files-").expect("a directory");
    let mut store = opened(parent.path());
    let foreign = rusqlite::Connection::open(parent.path().join("journal.db")).expect("the store");
    foreign.execute_batch("BEGIN; SELECT count(*) FROM entries").expect("it reads");
    let length = || parent.path().join("journal.db-wal").metadata().expect("the log").len();
    let long = "x".repeat(3500);
    for (most, told) in
        [(LOG_WARNED_BYTES - (2 << 20), 0), (LOG_WARNED_BYTES + (4 << 20), 1), (LOG_WARNED_BYTES + (8 << 20), 0)]
    {
        let logged = logged(|| {
            while length() < most {
                store.append((0..200).map(|_| said(inbox(7), 2, &long)).collect());
            }
        });
        assert_eq!(logged.lines().filter(|line| line.contains("end that program")).count(), told, "{most}: {logged}");
    }
}

#[test]
fn a_directory_that_others_may_enter_is_told_once() {
    let parent = TempDir::with_prefix("linechat-files-").expect("a directory");
    for (mode, told) in [(0o700, 0), (0o711, 1), (0o755, 1)] {
        let directory = parent.path().join(format!("{mode:o}"));
        fs::create_dir(&directory).expect("a directory");
        set_mode(&directory, mode);
        let logged = logged(|| drop(opened(&directory)));
        assert_eq!(logged.lines().filter(|line| line.contains("chmod 700")).count(), told, "{logged}");
    }
}
