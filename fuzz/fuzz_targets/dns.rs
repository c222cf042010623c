//! Messages of any bytes are answered as they deserve, by every way that a query takes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proconsul_dns::fuzzing::message(bytes));
