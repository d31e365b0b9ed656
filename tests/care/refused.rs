//! What cannot be done is said, with what to do, and nothing is touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::server::data_dir;
use crate::support::small::Small;
use crate::{command, done, ended, files, refused, run, text};

/// A directory with a journal, and a backup of it elsewhere.
fn journal() -> (tempfile::TempDir, tempfile::TempDir) {
    let (data, place) = (data_dir(), data_dir());
    crate::store::fill(data.path(), 100);
    done(&["backup", text(&place.path().join("backup")), "--data-dir", text(data.path())]);
    (data, place)
}

#[test]
fn what_is_there_is_not_overwritten() {
    let (data, place) = journal();
    let (backup, directory) = (place.path().join("backup"), text(data.path()));
    let before = fs::read(&backup).expect("it is there");
    for command in [&["backup"][..], &["export", "--jsonl"]] {
        let said = refused(&[command, &[text(&backup), "--data-dir", directory]].concat());
        assert!(said.contains("backup exists already; give another name, or --force to replace it"), "{said}");
        // Not even by force: a server may have it open.
        for own in ["journal.db", "journal.db-wal", "lock", "ids"] {
            let own = data.path().join(own);
            let said = refused(&[command, &[text(&own), "--force", "--data-dir", directory]].concat());
            assert!(said.contains(" is a file of a server's data; give a name in another directory"), "{said}");
        }
    }
    assert_eq!(fs::read(&backup).expect("it is there"), before);
    done(&["export", "--jsonl", text(&backup), "--force", "--data-dir", directory]);
    let said = refused(&["import", text(&backup), "--data-dir", directory]);
    assert!(said.contains(" already; give a --data-dir that is empty or does not exist"), "{said}");
    assert!(done(&["check", "--data-dir", directory]).contains(" is sound: "));
    assert_eq!(files(place.path()), ["backup"]);
}

/// A backup takes the place of a file, and of nothing that leads elsewhere: root has the right to replace /dev/null.
#[test]
fn what_is_no_file_is_not_replaced() {
    let (data, place) = journal();
    let [pipe, link, astray, folder] = ["pipe", "link", "astray", "folder"].map(|name| place.path().join(name));
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    symlink(place.path().join("backup"), &link).expect("a link");
    symlink(place.path().join("nothing"), &astray).expect("a link");
    fs::create_dir(&folder).expect("a directory");
    let before = fs::read(place.path().join("backup")).expect("it is there");
    for there in [&pipe, &link, &astray, &folder] {
        let kind = there.symlink_metadata().expect("it is there").file_type();
        for command in [&["backup"][..], &["export", "--jsonl"]] {
            for force in [&[][..], &["--force"]] {
                let said = refused(&[command, &[text(there), "--data-dir", text(data.path())], force].concat());
                let expected = format!("{} is no regular file; give the name of a file\n", there.display());
                assert!(said.ends_with(&expected) && !said.contains("--force"), "{said}");
                assert_eq!(there.symlink_metadata().expect("it is there").file_type(), kind);
            }
        }
    }
    // Nor where it is written first.
    assert!(Command::new("mkfifo").arg(place.path().join("new.part")).status().expect("it runs").success());
    let said = refused(&["backup", text(&place.path().join("new")), "--data-dir", text(data.path())]);
    assert!(said.contains("new.part is no regular file; "), "{said}");
    assert_eq!(files(place.path()), ["astray", "backup", "folder", "link", "new.part", "pipe"]);
    assert_eq!(fs::read(place.path().join("backup")).expect("it is there"), before);
}

#[test]
fn what_is_not_there_is_said() {
    let place = data_dir();
    let (nowhere, file) = (place.path().join("nowhere"), place.path().join("file"));
    for command in [&["backup", text(&file)][..], &["export", "--jsonl", text(&file)], &["compact"], &["check"]] {
        let (code, said) = run(&[command, &["--data-dir", text(place.path())]].concat());
        assert_eq!(code, Some(if command[0] == "check" { 2 } else { 1 }), "{said}");
        assert!(said.contains("there is no journal in ") && said.contains("; give the --data-dir of the server"), "{said}");
    }
    for command in [&["restore", text(&file)][..], &["import", text(&file)]] {
        let said = refused(&[command, &["--data-dir", text(&nowhere)]].concat());
        assert!(said.contains("file cannot be read: No such file"), "{said}");
    }
    let no_backup = format!("{} is no backup of linechat; give the file that 'linechat backup' made\n", file.display());
    for bytes in [&b"a diary, and nobody else's business"[..], b""] {
        fs::write(&file, bytes).expect("a file");
        let commands =
            [&["restore", text(&file), "--data-dir", text(&nowhere)][..], &["export", "--jsonl", "--from", text(&file)]];
        for command in commands {
            let said = refused(command);
            assert!(said.ends_with(&no_backup), "{said}");
        }
        let (code, said) = run(&["check", text(&file)]);
        assert!(code == Some(2) && said.ends_with(&no_backup), "{said}");
    }
    let said = refused(&["restore", text(place.path()), "--data-dir", text(&nowhere)]);
    assert!(said.contains(" is no backup of linechat; "), "{said}");
    assert!(!nowhere.exists(), "nothing was begun");
    let said = refused(&["import", text(&file), "--data-dir", text(&nowhere)]);
    assert!(said.contains("line 1 cannot be imported: ") && said.contains("; nothing was imported, export it anew"), "{said}");
    assert_eq!(files(&nowhere), ["lock"]);
}

/// A pipe takes an export: a backup is written here and there.
#[test]
fn a_backup_is_a_file() {
    let (data, _place) = journal();
    let here = data_dir();
    let mut command = command(&["backup", "-", "--data-dir", text(data.path())]);
    let (code, said) = ended(command.current_dir(here.path()).output().expect("it runs"));
    assert!(code == Some(1) && said.contains("a backup needs a file; give the name of one, or 'linechat export"), "{said}");
    assert_eq!(files(here.path()), [""; 0]);
}

/// Where each of them looks is where the server does.
#[test]
fn the_help_says_where_the_journal_is_found() {
    for name in ["backup", "restore", "check", "export", "import", "compact"] {
        let said = done(&[name, "--help"]).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("[default: that of 'linechat serve']") && !said.contains("STATE"), "{name}: {said}");
        assert!(name != "export" || said.contains("without a name, or with -, the standard output"), "{said}");
    }
    let (data, place) = journal();
    let settings = place.path().join("linechat.toml");
    fs::write(&settings, format!("data-dir = '{}'\n", data.path().display())).expect("a file");
    for (name, value) in [("LINECHAT_DATA_DIR", data.path()), ("LINECHAT_CONFIG", &settings)] {
        let (code, said) = ended(command(&["check"]).env(name, value).output().expect("it runs"));
        assert!(code == Some(0) && said.starts_with(text(data.path())), "{name}: {said}");
    }
}

/// Whoever has not written what was asked for has not succeeded.
#[test]
fn an_output_that_is_full_is_a_failure() {
    let (data, _place) = journal();
    for (arguments, expected) in [(&["check"][..], 2), (&["export", "--jsonl"], 1)] {
        let full = fs::File::options().write(true).open("/dev/full").expect("it is there");
        let mut command = command(&[arguments, &["--data-dir", text(data.path())]].concat());
        let (code, said) = ended(command.stdout(full).output().expect("it runs"));
        assert_eq!(code, Some(expected), "{arguments:?}: {said}");
    }
    let said = refused(&["backup", "/dev/full/backup", "--data-dir", text(data.path())]);
    assert!(said.contains("cannot be written: Not a directory"), "{said}");
}

/// A backup beside the journal takes none of the room that people need.
#[test]
fn a_backup_leaves_room() {
    let Some(small) = Small::mount() else { return };
    let (data, _place) = journal();
    let said = refused(&["backup", text(&small.path().join("backup")), "--data-dir", text(data.path())]);
    assert!(said.contains(" has room for 16") && said.contains("; make room, or give a name on another disk"), "{said}");
    assert_eq!(files(small.path()), [""; 0]);
}

/// What does not fit is said, once; and nothing is left of it that would take the room from others.
#[test]
fn an_import_that_does_not_fit_says_so_once() {
    let Some(small) = Small::mount() else { return };
    let (data, place) = (data_dir(), data_dir());
    crate::store::fill(data.path(), 50_000);
    let lines = place.path().join("lines");
    done(&["export", "--jsonl", text(&lines), "--data-dir", text(data.path())]);
    let to = small.path().join("data");
    let said = refused(&["import", text(&lines), "--data-dir", text(&to)]);
    assert!(said.matches("full").count() == 1 && said.matches("make ").count() == 1, "{said}");
    assert_eq!(files(&to), ["lock"]);
}

/// A store of the version before is restored, and brought to the current form on the way; the backup stays what it is.
#[test]
fn a_backup_of_an_older_linechat_is_restored() {
    let place = data_dir();
    let backup = place.path().join("backup");
    let file = rusqlite::Connection::open(&backup).expect("it opens");
    file.execute_batch(include_str!("../store/version-3.sql")).expect("it is SQL");
    file.execute_batch(&format!("PRAGMA application_id = {}; PRAGMA user_version = 3", 0x6c69_6e65)).expect("a store");
    drop(file);
    let before = fs::read(&backup).expect("it is there");
    let (code, said) = run(&["check", text(&backup)]);
    assert!(code == Some(2) && said.contains("has version 3, and only version 4 can be read without changing it"), "{said}");
    let to = place.path().join("restored");
    done(&["restore", text(&backup), "--data-dir", text(&to)]);
    assert!(done(&["check", "--data-dir", text(&to)]).contains(" is sound: "));
    assert_eq!(fs::read(&backup).expect("it is there"), before);
}
