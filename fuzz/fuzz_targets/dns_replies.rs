//! Replies of any bytes from other servers are read or refused, and what is read can be handed on.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proconsul_dns::upstream::survives(bytes));
