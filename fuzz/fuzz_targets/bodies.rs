//! Request bodies of any bytes are read or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| proconsul_compat::fuzzing::bodies(text));
