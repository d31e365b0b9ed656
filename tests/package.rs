//! What is given away with the binary: what shells complete, the manual, the unit that runs it, and what it was built from.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::CommandFactory;
use linechat::cli::Cli;
use serde_json::Value;
use support::clients::is_installed;
use tempfile::TempDir;

/// What cargo-auditable puts into a binary: here of a program that needs one crate, and another to be built.
const LIST: &str = r#"{"packages":[
    {"name":"cc","version":"1.2.3","source":"crates.io","kind":"build"},
    {"name":"linechat","version":"0.1.0","source":"local","dependencies":[0,2],"root":true},
    {"name":"tokio","version":"1.54.0","source":"crates.io"}]}"#;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/package").join(name)
}

fn linechat(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linechat")).args(arguments).output().expect("the binary runs")
}

fn completions(shell: &str) -> String {
    let output = linechat(&["completions", shell]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("it is text")
}

#[test]
fn an_option_without_its_value_is_told_how_it_is_typed() {
    let output = Command::new(file("deb")).arg("--version").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("scripts/package/deb [--version VERSION]"), "{said}");
}

#[test]
fn shells_complete_commands_and_options() {
    for shell in ["zsh", "fish"] {
        let script = completions(shell);
        for command in Cli::command().get_subcommands() {
            assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
        }
    }
    let folder = TempDir::new().expect("a temporary directory");
    let script = folder.path().join("linechat");
    fs::write(&script, completions("bash")).expect("it can be written");
    // What bash offers after these words, as it asks for it when Tab is pressed.
    let offered = |words: &str| {
        let press = format!(
            "source \"$1\"; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _linechat linechat \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["-c", &press, "bash"]).arg(&script).output().expect("bash runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{words}: {output:?}");
        String::from_utf8(output.stdout).expect("it is text").trim_end().to_owned()
    };
    assert_eq!(offered("linechat me"), "menu");
    assert_eq!(offered("linechat serve --tls-c"), "--tls-cert");
    assert_eq!(offered("linechat serve --journal d"), "disk");
    assert_eq!(offered("linechat config ch"), "check");
}

#[test]
fn the_manual_has_a_page_for_each_command_and_each_option_in_it() {
    fn check(command: &clap::Command, folder: &Path, pages: &mut usize) {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let page = fs::read_to_string(folder.join(format!("{name}.1"))).expect("there is a page");
        *pages += 1;
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(page.contains(&format!("\\-\\-{}", option.replace('-', "\\-"))), "{name}: --{option}");
        }
        command.get_subcommands().for_each(|command| check(command, folder, pages));
    }
    let folder = TempDir::new().expect("a temporary directory");
    // It is made.
    let folder = folder.path().join("man1");
    let shown = folder.to_str().expect("its path is text");
    let output = linechat(&["man", shown]);
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = 0;
    check(&command, &folder, &mut pages);
    assert!(pages > 15, "{pages}");
    assert_eq!(
        String::from_utf8(output.stdout).expect("it is text"),
        format!("wrote {pages} pages into {shown}; to read one: man {shown}/linechat.1\n")
    );
    assert_eq!(linechat(&["man", "/dev/null"]).status.code(), Some(1));
    if !is_installed("man", "man-db") {
        return;
    }
    for page in fs::read_dir(&folder).expect("it is there") {
        let page = page.expect("an entry can be read").path();
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l"]).arg(&page).env("MANROFFSEQ", "").env("LC_ALL", "C.UTF-8");
        let output = man.output().expect("man runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{}: {said}", page.display());
    }
}

#[test]
fn the_service_may_do_little_and_its_units_are_understood() {
    if !is_installed("systemd-analyze", "systemd") {
        return;
    }
    let security = ["security", "--offline=true", "--no-pager"];
    let output = Command::new("systemd-analyze").args(security).arg(file("linechat.service")).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // → Overall exposure level for linechat.service: 1.2 OK
    let level = said.lines().find_map(|line| line.split_once("exposure level for linechat.service: ")?.1.split(' ').next());
    let level: f64 = level.and_then(|level| level.parse().ok()).unwrap_or_else(|| panic!("it says no level: {output:?}"));
    assert!(level <= 2.0, "{level}:\n{said}");
    let units = ["linechat.service", "linechat.socket", "linechat-tls.socket"].map(file);
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // That the binary is not installed is no mistake of theirs.
    let mistakes: Vec<_> =
        said.lines().filter(|line| line.contains("linechat") && !line.contains("is not executable")).collect();
    assert!(mistakes.is_empty(), "{mistakes:?}");
}

fn sbom(binary: &Path) -> Output {
    Command::new(file("sbom")).arg(binary).output().expect("the script runs")
}

#[test]
fn an_sbom_tells_what_the_binary_was_built_from() {
    if !is_installed("python3", "python3") || !is_installed("objcopy", "binutils") {
        return;
    }
    let dir = TempDir::new().expect("a temporary directory");
    let (list, section, binary) = (dir.path().join("list"), dir.path().join("section"), dir.path().join("binary"));
    fs::write(&list, LIST).expect("it can be written");
    let compress = "import sys, zlib; open(sys.argv[2], 'wb').write(zlib.compress(open(sys.argv[1], 'rb').read()))";
    let compressed = Command::new("python3").args(["-c", compress]).args([&list, &section]).status().expect("python3 runs");
    let add = format!(".dep-v0={}", section.display());
    let added = Command::new("objcopy").args(["--add-section", &add, "/bin/true"]).arg(&binary).status().expect("objcopy runs");
    assert!(compressed.success() && added.success());

    let output = sbom(&binary);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    assert_eq!((made["bomFormat"].as_str(), made["specVersion"].as_str()), (Some("CycloneDX"), Some("1.5")));
    assert_eq!(made["metadata"]["component"]["purl"], "pkg:cargo/linechat@0.1.0");
    let of = |index: usize, key: &str| made["components"][index][key].as_str().expect("it is said").to_owned();
    assert_eq!(
        (of(0, "name"), of(0, "scope"), of(1, "purl")),
        ("cc".into(), "excluded".into(), "pkg:cargo/tokio@1.54.0".into())
    );
    let needed = made["dependencies"].as_array().expect("there is a list").iter();
    let mut needed = needed.filter(|one| one["ref"] == "pkg:cargo/linechat@0.1.0").map(|one| one["dependsOn"].to_string());
    assert_eq!(needed.next().as_deref(), Some(r#"["pkg:cargo/cc@1.2.3","pkg:cargo/tokio@1.54.0"]"#));

    let silent = sbom(Path::new("/bin/true"));
    let why = String::from_utf8_lossy(&silent.stderr).into_owned();
    assert!(!silent.status.success() && why.contains("build it with: cargo auditable build"), "{why}");
}
