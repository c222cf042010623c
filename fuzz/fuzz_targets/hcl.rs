//! Configuration files of any bytes are read or refused, and what was read prints as JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(node) = proconsul_hcl::read(text) {
        let _printed = node.to_json().to_string();
    }
});
