//! Rules of any text are read or refused, and what was read merges and answers.
#![no_main]

use proconsul_anchors::acl::rules::Rules;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _rules = Rules::parse(text);
});
