//! What is said of a binary that is given away: `scripts/package/sbom` reads it from the binary.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use support::clients::is_installed;
use tempfile::TempDir;

/// What cargo-auditable puts into a binary: here of a program that needs one crate, and another to be built.
const LIST: &str = r#"{"packages":[
    {"name":"cc","version":"1.2.3","source":"crates.io","kind":"build"},
    {"name":"linechat","version":"0.1.0","source":"local","dependencies":[0,2],"root":true},
    {"name":"tokio","version":"1.54.0","source":"crates.io"}]}"#;

fn sbom(binary: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/package/sbom");
    Command::new(script).arg(binary).output().expect("the script runs")
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
