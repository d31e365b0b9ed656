//! `kill -9` at any moment of each of these: what was there is there, or what was to be there; never a part of it. And whoever does it again
//! is done.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::store::{Store, fill};
use crate::support::server::{Server, data_dir};
use crate::support::wait::until;
use crate::{command, done, files, run, text};

/// How often each is killed; KILLS asks for more.
fn kills() -> u32 {
    std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(5)
}

/// Entries of the journals: the old one, and the new one.
const OLD: u64 = 500;
const NEW: u64 = 1500;

/// Two journals, a backup and an export of the new one, and a place to work in.
struct Scene {
    old: TempDir,
    new: TempDir,
    place: TempDir,
    backup: PathBuf,
    lines: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let [old, new, place] = [(); 3].map(|()| data_dir());
        fill(old.path(), OLD);
        fill(new.path(), NEW);
        let (backup, lines) = (place.path().join("backup"), place.path().join("lines"));
        done(&["backup", text(&backup), "--data-dir", text(new.path())]);
        done(&["export", "--jsonl", text(&lines), "--data-dir", text(new.path())]);
        Self { old, new, place, backup, lines }
    }

    /// A copy of the old journal.
    fn old_copy(&self, name: &str) -> PathBuf {
        let to = self.place.path().join(name);
        fs::create_dir(&to).expect("a directory");
        fs::copy(self.old.path().join("journal.db"), to.join("journal.db")).expect("it is copied");
        to
    }
}

/// Kills this after a while, from at once to longer than it takes, and looks each time; then lets it end. `begin` makes what is there before.
fn killed(arguments: impl Fn(&Path) -> Vec<String>, begin: impl Fn(u32) -> PathBuf, look: impl Fn(&Path)) {
    let run = |place: &Path| {
        let arguments = arguments(place);
        // Not through `timeout`, which would be killed in its place.
        let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
        command.args(arguments).env_remove("RUST_LOG").stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("it runs")
    };
    let (began, first) = (Instant::now(), begin(0));
    let output = run(&first).wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (whole, kills) = (began.elapsed(), kills());
    look(&first);
    for number in 1..=kills {
        let place = begin(number);
        let mut child = run(&place);
        std::thread::sleep(whole * number / kills + Duration::from_micros(u64::from(number) * 37));
        child.kill().expect("it can be killed");
        child.wait().expect("it has ended");
        look(&place);
        let output = run(&place).wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // It may have been done already.
        assert!(output.status.success() || said.contains(" already"), "{said}");
        look(&place);
    }
}

/// How many messages a sound journal holds; `None` if there is none.
fn messages(directory: &Path) -> Option<u64> {
    if !directory.join("journal.db").exists() {
        return None;
    }
    let (code, said) = run(&["check", "--data-dir", text(directory)]);
    assert_eq!(code, Some(0), "{said}");
    let exported = command(&["export", "--jsonl", "--data-dir", text(directory)]).output().expect("it runs").stdout;
    Some(String::from_utf8_lossy(&exported).matches("\"said\":{").count() as u64)
}

fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_restore() {
    let scene = Scene::new();
    let look = |place: &Path| {
        let there = messages(place);
        assert!([Some(OLD), Some(NEW)].contains(&there), "{there:?}");
        // What was replaced is kept, and nothing else is.
        for name in files(place).iter().filter(|name| name.starts_with("replaced") && name.ends_with(".db")) {
            assert!(there == Some(OLD) || done(&["check", text(&place.join(name))]).contains(" is sound"), "{name}");
        }
    };
    let arguments = |place: &Path| words(&["restore", text(&scene.backup), "--force", "--data-dir", text(place)]);
    killed(arguments, |number| scene.old_copy(&format!("old-{number}")), look);
}

#[test]
fn an_import() {
    let scene = Scene::new();
    let look = |place: &Path| assert!([None, Some(NEW)].contains(&messages(place)), "{:?}", messages(place));
    let arguments = |place: &Path| words(&["import", text(&scene.lines), "--data-dir", text(place)]);
    killed(arguments, |number| scene.place.path().join(format!("new-{number}")), look);
}

#[test]
fn a_compaction() {
    let scene = Scene::new();
    let look = |place: &Path| assert_eq!(messages(place), Some(OLD));
    let arguments = |place: &Path| words(&["compact", "--data-dir", text(place)]);
    killed(arguments, |number| scene.old_copy(&format!("old-{number}")), look);
}

/// A server that was killed before it had a journal starts, and so does one that was killed a moment later.
#[test]
fn a_first_start() {
    let (place, kills) = (data_dir(), kills());
    let began = Instant::now();
    drop(Server::start_in(&place.path().join("whole"), &[]));
    let whole = began.elapsed();
    for number in 0..=kills {
        let directory = place.path().join(number.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", text(&directory)]).stdout(Stdio::null());
        let mut child = command.spawn().expect("it runs");
        std::thread::sleep(whole * number / kills / 2);
        child.kill().expect("it can be killed");
        child.wait().expect("it has ended");
        Server::start_in(&directory, &[]).connect().ok("CREATE #rust");
    }
    // What one leaves that was killed while it made a journal.
    let half = place.path().join("half");
    fs::create_dir(&half).expect("a directory");
    fs::write(half.join("copy"), [0; 4096]).expect("a file");
    Server::start_in(&half, &[]).connect().ok("CREATE #rust");
    assert!(!half.join("copy").exists());
}

/// Ctrl-C, and what a system that is shut down sends, leave nothing that is in the way of anybody.
#[test]
fn a_signal_leaves_nothing_behind() {
    let scene = Scene::new();
    let (to, backup) = (scene.place.path().join("to"), scene.place.path().join("ended"));
    let (part, copy) = (scene.place.path().join("ended.part"), scene.new.path().join("copy"));
    let signalled = |mut child: Child, name: &str, code: i32| {
        let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
        assert!(sent.expect("it runs").success());
        let ended = until("it ends", || child.try_wait().expect("it is a child"));
        ended.code() == Some(code)
    };
    let began = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs")
    };
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        // It waits for more.
        let import = began(&["import", "-", "--data-dir", text(&to)]);
        until("it has begun", || to.join("importing/journal.db").exists().then_some(()));
        assert!(signalled(import, name, code), "{name}");
        assert_eq!(files(&to), ["lock"], "{name}");
        // Whoever was done before has left what it should, and begins again until it was not.
        for arguments in [&["compact"][..], &["backup", "--force", text(&backup)]] {
            until("it was ended in the middle", || {
                let mut child = began(&[arguments, &["--data-dir", text(scene.new.path())]].concat());
                let is_done = until("it has begun", || {
                    let is_done = child.try_wait().expect("it is a child").is_some();
                    (is_done || part.exists() || copy.exists()).then_some(is_done)
                });
                let was_ended = !is_done && signalled(child, name, code);
                assert!(!part.exists() && !copy.exists(), "{name}: {arguments:?}");
                let strange = |file: &String| file.contains(".part") || file.contains("copy");
                let left: Vec<_> = [files(scene.place.path()), files(scene.new.path())].concat();
                assert!(!left.iter().any(strange), "{name}: {arguments:?} left {left:?}");
                was_ended.then_some(())
            });
        }
    }
    assert_eq!(messages(scene.new.path()), Some(NEW));
    done(&["import", text(&scene.lines), "--data-dir", text(&to)]);
}

#[test]
fn a_backup_and_an_export() {
    let scene = Scene::new();
    let whole = fs::read(&scene.lines).expect("it is there");
    let begin = |name: &str, old: &Path, number: u32| {
        let file = scene.place.path().join(format!("{name}-{number}"));
        // One that is there already is replaced as a whole.
        if number.is_multiple_of(2) {
            fs::copy(old, &file).expect("it is copied");
        }
        file
    };
    let old = scene.old.path().join("journal.db");
    let backup = |file: &Path| words(&["backup", text(file), "--force", "--data-dir", text(scene.new.path())]);
    killed(
        backup,
        |number| begin("backup", &old, number),
        |file| {
            if file.exists() {
                assert!(done(&["check", text(file)]).contains(" is sound: "));
            }
        },
    );
    let export = |file: &Path| words(&["export", "--jsonl", text(file), "--force", "--data-dir", text(scene.new.path())]);
    let before = scene.place.path().join("before");
    fs::write(&before, "what was there before").expect("a file");
    killed(
        export,
        |number| begin("lines", &before, number),
        |file| {
            let there = fs::read(file).unwrap_or_default();
            assert!(there.is_empty() || there == b"what was there before" || there == whole, "{} bytes", there.len());
        },
    );
    // Nothing of what was killed is left once it was done.
    assert!(!files(scene.place.path()).iter().any(|name| name.contains(".part")), "{:?}", files(scene.place.path()));
    assert!(Store::disk(scene.new.path()).is_ok());
}
