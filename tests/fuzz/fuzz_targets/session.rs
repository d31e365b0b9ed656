//! libFuzzer's way into `targets::session`.
#![no_main]

#[path = "../../support/json.rs"]
#[allow(dead_code, reason = "the schema is for others")]
mod json;
#[path = "../../support/pipe.rs"]
mod pipe;
#[path = "../../support/store.rs"]
mod store;
#[path = "../targets/mod.rs"]
#[allow(dead_code, reason = "each target runs one of the checks")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::session::check(data));
