//! Filter expressions of any text are read or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| proconsul_compat::fuzzing::filter(text));
