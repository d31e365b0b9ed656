//! Every attack of `scripts/attack`, in its short form, on this binary: one test for a row.
//!
//! A row's table is printed when it fails. Nothing is left out silently: what a row needs and this machine lacks is said, and
//! with `CI=true` it is a failure.

#[path = "support/clients.rs"]
#[expect(dead_code, reason = "only which programs are there")]
mod clients;

use std::path::Path;
use std::process::Command;

/// The exit code of a row that cannot run here.
const CANNOT_RUN: i32 = 3;

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/attack/run"))
}

fn attack(row: &str) {
    if !clients::is_installed("python3", "python3") {
        return;
    }
    let output = script().args([row, "--binary", env!("CARGO_BIN_EXE_linechat")]).output().expect("the script runs");
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
    if output.status.code() == Some(CANNOT_RUN) {
        eprintln!("\n*** {said}");
        return;
    }
    assert!(output.status.success(), "\n{said}");
    assert!(said.contains("\n1 of 1 rows passed\n"), "\n{said}");
}

macro_rules! attacks {
    ($($name:ident $row:literal,)*) => {
        const ROWS: &[&str] = &[$($row),*];

        $(#[test] fn $name() { attack($row); })*
    };
}

attacks! {
    a1_slowloris "A1",
    a2_no_line_end "A2",
    a3_members_who_never_read "A3",
    a4_a_flood_of_connects "A4",
    a5_no_descriptors "A5",
    a6_peers_that_vanish "A6",
    a7_telnet_noise "A7",
    a8_nul "A8",
    a9_invalid_utf8 "A9",
    a10_control_characters "A10",
    a11_smuggled_lines "A11",
    a12_look_alikes "A12",
    a13_web_pages "A13",
    a14_passwords "A14",
    a15_timing "A15",
    a16_caps "A16",
    a17_one_busy_client "A17",
    a18_a_full_disk "A18",
    a19_the_clock "A19",
    a20_flipped_bytes "A20",
    a21_a_store_cut_short "A21",
    a22_sigterm "A22",
    a23_compressed_input "A23",
    a24_downgrade "A24",
    a25_the_log "A25",
}

#[test]
fn every_row_has_a_test() {
    if !clients::is_installed("python3", "python3") {
        return;
    }
    let output = script().arg("--help").output().expect("the script runs");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_row = |word: &&str| word.strip_prefix('A').is_some_and(|number| number.parse::<u32>().is_ok());
    let rows: Vec<_> = help
        .lines()
        .skip_while(|line| *line != "rows:")
        .filter_map(|line| line.split_whitespace().next())
        .filter(is_row)
        .collect();
    assert_eq!(rows, ROWS);
}
