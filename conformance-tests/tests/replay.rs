//! What was recorded of the real Consul is what the subject answers: no Go, no network.

use std::{fs, path::Path};

use proconsul_conformance::{
    differ::Difference,
    fixtures,
    play::{self, Miss},
    script::Script,
    subject::{Mode, Setup, Subject},
};

/// Longer values are cut in the report; the fixture has them whole.
const SHOWN_MAX: usize = 300;

#[test]
fn recorded_exchanges() {
    let files = fixtures::scripts(&fixtures::folder()).unwrap();
    assert!(!files.is_empty(), "no fixtures");
    let only = std::env::var("CONFORMANCE_ONLY").unwrap_or_default();
    let mut wrong = 0;
    for file in files.iter().filter(|file| fixtures::name(file).contains(&only)) {
        for miss in play_file(file) {
            wrong += 1;
            println!("{}: {}", fixtures::name(file), tell(&miss));
        }
    }
    assert_eq!(wrong, 0, "exchanges differ from what was recorded");
}

fn play_file(file: &Path) -> Vec<Miss> {
    let text = fs::read_to_string(file).expect("a listed fixture can be read");
    let script = Script::parse(&text).expect("a fixture can be understood");
    let result = Subject::start(play::setup(&script, Setup::new(Mode::Disk)))
        .and_then(|subject| play::replay(&script, &subject));
    result.unwrap_or_else(|why| {
        let none = Difference { place: "no subject".to_owned(), left: String::new(), right: why };
        vec![Miss { exchange: String::new(), differences: vec![none] }]
    })
}

fn tell(miss: &Miss) -> String {
    let cut = |text: &str| text.chars().take(SHOWN_MAX).collect::<String>();
    let lines = miss.differences.iter().map(|d| {
        format!(
            "\n    {}\n      recorded {}\n      answered {}",
            d.place,
            cut(&d.left),
            cut(&d.right)
        )
    });
    format!("{}{}", miss.exchange, lines.collect::<String>())
}
