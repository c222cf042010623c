//! Configuration entries of any bytes are read or refused, and lead somewhere or not.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| proconsul_compat::fuzzing::entries(text));
