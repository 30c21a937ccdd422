#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| olmstead_fuzz_targets::run("json", data));
