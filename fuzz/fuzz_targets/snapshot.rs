//! Snapshots of any bytes are read or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _summary = proconsul_anchors::snapshot::inspect(bytes);
});
