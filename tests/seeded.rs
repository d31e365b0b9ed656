//! The bugs in `tests/seeded`, which `scripts/seeded-bugs` puts into the sources to see whether the tests notice: each still applies
//! and says what it breaks. The script takes minutes, and this takes none; it must never change a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn bugs() -> Vec<PathBuf> {
    let folder = fs::read_dir(root().join("tests/seeded")).expect("there are bugs");
    let files = folder.map(|file| file.expect("a file").path());
    let mut bugs: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "patch")).collect();
    bugs.sort();
    bugs
}

#[test]
fn every_bug_says_what_it_breaks_and_which_test_notices() {
    let bugs = bugs();
    assert_eq!(bugs.len(), 18);
    for (number, path) in (1..).zip(&bugs) {
        let name = path.file_stem().expect("a name").to_string_lossy();
        assert!(name.starts_with(&format!("{number:02}-")), "{name} is not number {number}");
        let text = fs::read_to_string(path).expect("a patch is text");
        let mut lines = text.lines();
        let says = lines.next().unwrap_or_default();
        assert!(says.ends_with('.') && says.len() > 40, "{name} does not say what it breaks: {says}");
        let caught = lines.next().and_then(|line| line.strip_prefix("Caught-by: ")).expect("a patch says what notices it");
        let (folder, test) = match *caught.split(' ').collect::<Vec<_>>() {
            ["--lib", test] => ("src", test),
            ["--test", file, test] if root().join(format!("tests/{file}.rs")).is_file() => ("tests", test),
            _ => panic!("{name}: {caught} is not --lib or --test FILE, and the name of a test"),
        };
        assert!(is_a_test(&root().join(folder), test), "{name}: there is no test {test}");
        let changed: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("+++ b/")).collect();
        assert!(!changed.is_empty() && changed.iter().all(|file| file.starts_with("src/")), "{name} changes {changed:?}");
    }
}

/// Whether a source in this folder has a function with this in its name, which is what the runner looks for.
fn is_a_test(folder: &Path, part: &str) -> bool {
    let mut files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    files.any(|path| {
        let has_it = |text: String| text.lines().any(|line| line.contains("fn ") && line.contains(part));
        if path.is_dir() { is_a_test(&path, part) } else { fs::read_to_string(&path).is_ok_and(has_it) }
    })
}

#[test]
fn every_bug_can_be_put_in() {
    if !root().join(".git").exists() {
        eprintln!("\n*** SKIPPED: whether the bugs in tests/seeded apply. This takes a git checkout\n");
        return;
    }
    for path in bugs() {
        let output = Command::new("git").args(["apply", "--check"]).arg(&path).current_dir(root()).output().expect("git runs");
        assert!(output.status.success(), "make it anew: {}", String::from_utf8_lossy(&output.stderr));
    }
}
